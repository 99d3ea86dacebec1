from . import catalog
from .game import Game
from .weights import Anchoredness, Weights

__all__ = ["Anchoredness", "Game", "Weights", "catalog"]
