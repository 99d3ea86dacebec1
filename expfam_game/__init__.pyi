from . import certificates, datasets, errors, families, files, game, plots, solvers, testing
from .certificates.certificate import Certificate, Claim, Grade
from .certificates.certify import certify
from .certificates.check import check
from .families.base import Family, MomentEstimate
from .game import catalog
from .game.game import Game
from .game.weights import Anchoredness, Weights
from .solvers.solution import History, Solution, Status
from .solvers.solve import solve

__version__: str

__all__ = [
    "Anchoredness",
    "Certificate",
    "Claim",
    "Family",
    "Game",
    "Grade",
    "History",
    "MomentEstimate",
    "Solution",
    "Status",
    "Weights",
    "catalog",
    "certificates",
    "certify",
    "check",
    "datasets",
    "errors",
    "families",
    "files",
    "game",
    "plots",
    "solve",
    "solvers",
    "testing",
]
