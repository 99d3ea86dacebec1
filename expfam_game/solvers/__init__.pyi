from .asynchronous import AsynchronousPlay
from .base import Solver
from .best_response import BestResponse
from .contraction import Contraction
from .direct import Direct
from .gauss_seidel import GaussSeidel
from .gradient import GradientPlay
from .heterogeneous import HeterogeneousSolver
from .natural_gradient import NaturalGradientPlay
from .newton import Newton
from .sampled import SampledPlay
from .solution import History, NoiseFloor, Solution, Status
from .streaming import StreamedEquilibrium, stream_equilibrium

__all__ = [
    "AsynchronousPlay",
    "BestResponse",
    "Contraction",
    "Direct",
    "GaussSeidel",
    "GradientPlay",
    "HeterogeneousSolver",
    "History",
    "NaturalGradientPlay",
    "Newton",
    "NoiseFloor",
    "SampledPlay",
    "Solution",
    "Solver",
    "Status",
    "StreamedEquilibrium",
    "stream_equilibrium",
]
