from . import catalog
from .cooperation import BestRow, CooperationRisk, best_row, cooperation_risk
from .coupling import Coupling, symmetric_play
from .game import Game
from .heterogeneous import HeterogeneousGame, Uniqueness
from .partial import PartialGame, PartialSolution
from .weights import Anchoredness, Weights

__all__ = [
    "Anchoredness",
    "BestRow",
    "CooperationRisk",
    "Coupling",
    "Game",
    "HeterogeneousGame",
    "PartialGame",
    "PartialSolution",
    "Uniqueness",
    "Weights",
    "best_row",
    "catalog",
    "cooperation_risk",
    "symmetric_play",
]
