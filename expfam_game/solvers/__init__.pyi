from .asynchronous import AsynchronousPlay
from .base import Solver
from .contraction import Contraction
from .direct import Direct
from .gauss_seidel import GaussSeidel
from .gradient import GradientPlay
from .natural_gradient import NaturalGradientPlay
from .sampled import SampledPlay
from .solution import History, NoiseFloor, Solution, Status

__all__ = [
    "AsynchronousPlay",
    "Contraction",
    "Direct",
    "GaussSeidel",
    "GradientPlay",
    "History",
    "NaturalGradientPlay",
    "NoiseFloor",
    "SampledPlay",
    "Solution",
    "Solver",
    "Status",
]
