from .bernoulli_mixture import BernoulliMixture
from .class_conditional import ClassConditional
from .mixture import Mixture

__all__ = ["BernoulliMixture", "ClassConditional", "Mixture"]
