from . import bridge, certificates, datasets, errors, families, files, game, learners, plots, solvers, testing
from .certificates.c6_search import certify_all
from .certificates.certificate import Certificate, Claim, Grade
from .certificates.certify import certify
from .certificates.check import check
from .certificates.equilibria import EquilibriaCertificate
from .families.base import Family, MomentEstimate
from .game import catalog
from .game.game import Game
from .game.heterogeneous import HeterogeneousGame, Uniqueness
from .game.weights import Anchoredness, Weights
from .samples import SampleSet
from .solvers.solution import History, Solution, Status
from .solvers.solve import solve

__version__: str

__all__ = [
    "Anchoredness",
    "Certificate",
    "Claim",
    "EquilibriaCertificate",
    "Family",
    "Game",
    "Grade",
    "HeterogeneousGame",
    "History",
    "MomentEstimate",
    "SampleSet",
    "Solution",
    "Status",
    "Uniqueness",
    "Weights",
    "bridge",
    "catalog",
    "certificates",
    "certify",
    "certify_all",
    "check",
    "datasets",
    "errors",
    "families",
    "files",
    "game",
    "learners",
    "plots",
    "solve",
    "solvers",
    "testing",
]
