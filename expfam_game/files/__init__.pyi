from .data import batches, load_array, load_weights
from .games import load_game
from .solutions import load_solution, save_solution

__all__ = ["batches", "load_array", "load_game", "load_solution", "load_weights", "save_solution"]
