from .autoencoder import ConditionalVAE
from .bernoulli_mixture import BernoulliMixture
from .class_conditional import ClassConditional
from .factor_analysers import MixtureOfFactorAnalysers
from .mixture import Mixture
from .trees import ChowLiuTree, MixtureOfTrees

__all__ = [
    "BernoulliMixture",
    "ChowLiuTree",
    "ClassConditional",
    "ConditionalVAE",
    "Mixture",
    "MixtureOfFactorAnalysers",
    "MixtureOfTrees",
]
