from .adapters import CallableAgent, FamilyAgent
from .agent import GenerativeAgent, SampleSet, pool
from .exchange import play
from .faults import Fault
from .result import PlayResult
from .scikit import ScikitAgent, ScikitGibbsAgent
from .theory import TheoryCheck

__all__ = [
    "CallableAgent",
    "FamilyAgent",
    "Fault",
    "GenerativeAgent",
    "PlayResult",
    "SampleSet",
    "ScikitAgent",
    "ScikitGibbsAgent",
    "TheoryCheck",
    "play",
    "pool",
]
