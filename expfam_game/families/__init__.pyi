from .base import Family, MomentEstimate
from .bernoulli import Bernoulli
from .categorical import Categorical
from .counts import Binomial, Geometric, NegativeBinomial, Poisson
from .data_moments import DataMoments, mean_statistic
from .directional import VonMises, VonMisesFisher
from .dirichlet import Beta, Dirichlet
from .exponential import Exponential, Laplace, Weibull
from .finite import Finite
from .from_statistic import FromStatistic
from .gamma import Gamma
from .gaussian import DiagonalGaussian, KnownVarianceGaussian, LogNormal
from .inverse_gaussian import InverseGaussian
from .ising import Ising
from .markov_chain import MarkovChain
from .multivariate_gaussian import Gaussian
from .product import Product

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "DataMoments",
    "DiagonalGaussian",
    "Dirichlet",
    "Exponential",
    "Family",
    "Finite",
    "FromStatistic",
    "Gamma",
    "Gaussian",
    "Geometric",
    "InverseGaussian",
    "Ising",
    "KnownVarianceGaussian",
    "Laplace",
    "LogNormal",
    "MarkovChain",
    "MomentEstimate",
    "NegativeBinomial",
    "Poisson",
    "Product",
    "VonMises",
    "VonMisesFisher",
    "Weibull",
    "mean_statistic",
]
