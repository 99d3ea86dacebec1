"""The Family contract: an exponential family described by its sample space, statistic and base measure.

    p_θ(x) = h(x) exp(⟨θ, φ(x)⟩ − A(θ)),   μ(θ) = ∇A(θ) = E_θ[φ],   F(θ) = ∇²A(θ) = Cov_θ(φ)

A family holds no parameters. The public methods here check their input and then call the underscored methods, which a
subclass supplies and which may assume valid float64 input of shape ``(..., dim)``. To write a new family, subclass
:class:`Family`, supply the methods under "what a subclass supplies", and run ``expfam_game.testing.laws.check_family``.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, Seed
from expfam_game.errors import (
    InvalidData,
    InvalidInput,
    InvalidMeanParameter,
    InvalidNaturalParameter,
)
from expfam_game.families.bregman import bregman
from expfam_game.families.checks import Rule, all_hold, as_float, checked_count, expanded, raise_unless
from expfam_game.kernels.streams import StreamKey, seed_sequence, stream, stream_key

if TYPE_CHECKING:
    from expfam_game.families.product import Product
    from expfam_game.kernels.covariance import Draw

_BLOCK = 1 << 15
"""Samples drawn at a time by ``estimate_mean``: bounds its memory and defines its random streams."""


@dataclass(frozen=True)
class MomentEstimate:
    """A Monte-Carlo estimate of mean parameters.

    Attributes
    ----------
    mean : ndarray, shape (..., dim)
        Average statistic of the samples.
    standard_error : ndarray, shape (..., dim)
        Standard error of each entry of ``mean``: from the exact variance with ``method="sum-law"`` and for Gaussian, Gamma, Beta
        and Dirichlet, where squares would cost more than the samples; otherwise, and with a covariance, from the
        samples. Infinite for one sample unless from a sum law.
    n : int
        Number of samples behind each estimate.
    method : {"samples", "sum-law"}
        Whether samples were drawn, or their sum was drawn from its exact law.
    covariance : ndarray, shape (..., dim, dim), or None
        Covariance matrix of the statistic, where it was asked for: of the samples (divided by n − 1, infinite for
        n = 1), or with ``method="sum-law"`` the exact one. The covariance of ``mean`` is an n-th of it.
    """

    mean: FloatArray
    standard_error: FloatArray
    n: int
    method: Literal["samples", "sum-law"]
    covariance: FloatArray | None = None


class Family(ABC):
    """A regular, minimal exponential family; see the module's docstring for notation.

    Attributes
    ----------
    dim : int
        Number of statistics, the length of θ and μ.
    event_shape : tuple of int
        Shape of one sample.
    separable : bool
        Whether the log-partition is a sum over coordinates, so that the Fisher information is diagonal.
    """

    if TYPE_CHECKING:

        @property
        def separable(self) -> bool: ...
        @property
        def dim(self) -> int: ...
        @property
        def event_shape(self) -> tuple[int, ...]: ...
    else:
        separable = False

    # ------------------------------------------------------------------ what a subclass supplies

    @abstractmethod
    def _statistic(self, x: AnyArray) -> FloatArray:
        """φ(x): ``(..., *event_shape)`` to ``(..., dim)``."""

    @abstractmethod
    def _log_partition(self, theta: FloatArray) -> FloatArray:
        """A(θ): ``(..., dim)`` to ``(...,)``."""

    @abstractmethod
    def _to_mean(self, theta: FloatArray) -> FloatArray:
        """∇A(θ)."""

    @abstractmethod
    def _to_natural(self, mu: FloatArray) -> FloatArray:
        """The inverse of ``_to_mean``."""

    @abstractmethod
    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        """∇²A(θ): ``(..., dim)`` to ``(..., dim, dim)``."""

    @abstractmethod
    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        """n samples for each θ: ``(..., dim)`` to ``(..., n, *event_shape)``."""

    @abstractmethod
    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        """The rules that make x a sample; masks over ``x`` or over its batch axes."""

    @abstractmethod
    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        """The rules that put μ into the open mean space."""

    @abstractmethod
    def reference_mean(self) -> FloatArray:
        """A fixed interior point of the mean space, shape ``(dim,)``: the prior mean of a conjugate pseudo-count (T2)."""

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        """The rules that put θ into the open natural parameter space; by default all of R^dim."""
        return ()

    def _log_base(self, x: AnyArray) -> FloatArray:
        """log h(x), relative to counting or Lebesgue measure; zero by default."""
        return np.zeros(x.shape[: x.ndim - len(self.event_shape)])

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        """E_θ[log h(x)], needed by the entropy; zero by default, to be overridden with ``_log_base``."""
        return np.zeros(theta.shape[:-1])

    def _sample_statistic(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """φ of n samples, shape ``(..., n, dim)``; override where φ is representable though the sample is not."""
        return self._statistic(self._sample(theta, n, rng))

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        """The mean statistic of n samples, drawn from its exact law in O(1) of n; None where no such law is known."""
        return None

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        """Mean and sum of squared deviations of φ (or its expectation, (n − 1) Var φ) over n samples of each row of θ,
        shapes ``(agents, dim)``, by a kernel that draws and accumulates in one pass; None where there is none, and the
        samples are streamed through NumPy."""
        return None

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        """Compiled draws of φ − E φ, sample by sample, for each row of θ; None where there are none."""
        return None

    def _fused_covariance(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        """As ``_fused_moments``, with the sum of outer products of the deviations, ``(agents, dim, dim)``."""
        if self.dim == 1:
            moments = self._fused_moments(theta, n, key)
            return None if moments is None else (moments[0], moments[1][:, :, None])
        draws = self._covariance_draws(theta)
        if draws is None:
            return None
        from expfam_game.kernels.covariance import scatter_matrices

        return scatter_matrices(draws, n, key)

    def _variance(self, theta: FloatArray) -> FloatArray:
        """The diagonal of the Fisher information; override where the matrix need not be formed."""
        return np.diagonal(self._fisher_information(theta), axis1=-2, axis2=-1).copy()

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """KL(p_a ‖ p_b) in nats; override where a form without cancellation is known."""
        return bregman(self, theta_a, theta_b)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        """A name for each statistic, used in messages and tables."""
        return tuple(f"φ[{k}]" for k in range(self.dim))

    # ------------------------------------------------------------------ the contract

    def statistic(self, x: ArrayLike) -> FloatArray:
        """The sufficient statistic φ(x).

        Parameters
        ----------
        x : array_like, shape (..., *event_shape)

        Returns
        -------
        ndarray, shape (..., dim)

        Raises
        ------
        InvalidData
            If a sample has the wrong shape or lies outside the sample space.

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.families.Gamma().statistic(1.0)
        array([0., 1.])
        """
        return self._statistic(self._checked_samples(x))

    def log_base(self, x: ArrayLike) -> FloatArray:
        """log h(x), relative to counting measure (discrete) or Lebesgue measure (continuous)."""
        return self._log_base(self._checked_samples(x))

    def log_partition(self, theta: ArrayLike) -> FloatArray:
        """The log-partition function A(θ), in nats; shape (..., dim) to (...)."""
        return self._log_partition(self._checked_natural(theta))

    def to_mean(self, theta: ArrayLike) -> FloatArray:
        """Mean parameters μ(θ) = ∇A(θ) = E_θ[φ]; shape (..., dim) to (..., dim).

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.families.Poisson().to_mean([0.0])
        array([1.])
        """
        return self._to_mean(self._checked_natural(theta))

    def to_natural(self, mu: ArrayLike) -> FloatArray:
        """Natural parameters θ = ∇A*(μ), the inverse of :meth:`to_mean`; shape (..., dim) to (..., dim).

        Raises
        ------
        InvalidMeanParameter
            If μ lies on or outside the boundary of the mean space.
        InversionFailed
            If a numerical inversion does not reach its residual.

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.families.Bernoulli(dim=2).to_natural([0.5, 0.5])
        array([0., 0.])
        """
        return self._to_natural(self._checked_mean(mu))

    def fisher_information(self, theta: ArrayLike) -> FloatArray:
        """Fisher information F(θ) = ∇²A(θ) = Cov_θ(φ); shape (..., dim) to (..., dim, dim)."""
        return self._fisher_information(self._checked_natural(theta))

    def variance(self, theta: ArrayLike) -> FloatArray:
        """Var_θ of each statistic, the diagonal of :meth:`fisher_information`; shape (..., dim) to (..., dim)."""
        return self._variance(self._checked_natural(theta))

    def entropy(self, theta: ArrayLike) -> FloatArray:
        """Shannon (discrete) or differential (continuous) entropy in nats; shape (..., dim) to (...)."""
        return self._entropy(self._checked_natural(theta))

    def _entropy(self, theta: FloatArray) -> FloatArray:
        linear = np.sum(theta * self._to_mean(theta), axis=-1)
        return np.asarray(self._log_partition(theta) - linear - self._mean_log_base(theta))

    def conjugate(self, mu: ArrayLike) -> FloatArray:
        """The convex conjugate A*(μ) = ⟨θ, μ⟩ − A(θ), minus the entropy relative to h; shape (..., dim) to (...)."""
        mu = self._checked_mean(mu)
        theta = self._to_natural(mu)
        return np.asarray(np.sum(theta * mu, axis=-1) - self._log_partition(theta))

    def kl(self, theta_a: ArrayLike, theta_b: ArrayLike) -> FloatArray:
        """Kullback–Leibler divergence KL(p_a ‖ p_b) in nats, the Bregman divergence of A (T1).

        Parameters
        ----------
        theta_a, theta_b : array_like, shape (..., dim)
            Natural parameters; leading axes broadcast.

        Returns
        -------
        ndarray, shape (...)
            Non-negative; accurate also where the two distributions nearly agree.

        Examples
        --------
        >>> import expfam_game as eg
        >>> float(eg.families.Poisson().kl([0.0], [0.0]))
        0.0
        """
        a, b = self._checked_natural(theta_a), self._checked_natural(theta_b)
        shape = np.broadcast_shapes(a.shape, b.shape)
        return np.maximum(self._kl(expanded(a, shape), expanded(b, shape)), 0.0)

    def log_prob(self, x: ArrayLike, theta: ArrayLike) -> FloatArray:
        """Log-density of x in nats, relative to counting or Lebesgue measure.

        Parameters
        ----------
        x : array_like, shape (..., *event_shape)
        theta : array_like, shape (..., dim)
            Leading axes broadcast against those of ``x``.

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.families.Bernoulli(dim=1).log_prob([[0], [1]], [0.0]).round(4)
        array([-0.6931, -0.6931])
        """
        samples = self._checked_samples(x)
        natural = self._checked_natural(theta)
        linear = np.sum(self._statistic(samples) * natural, axis=-1)
        return np.asarray(linear + self._log_base(samples) - self._log_partition(natural))

    def sample(self, theta: ArrayLike, n: int, seed: Seed) -> AnyArray:
        """Draw n independent samples for each θ.

        Parameters
        ----------
        theta : array_like, shape (..., dim)
        n : int
            Samples per parameter vector, at least 1.
        seed : int, SeedSequence or Generator

        Returns
        -------
        ndarray, shape (..., n, *event_shape)

        Examples
        --------
        >>> import expfam_game as eg
        >>> eg.families.Poisson().sample([[0.0], [1.0]], n=5, seed=0).shape
        (2, 5)
        """
        natural = self._checked_natural(theta)
        return self._sample(natural, checked_count(n), stream(seed_sequence(seed)))

    def estimate_mean(
        self,
        theta: ArrayLike,
        n: int,
        seed: Seed,
        method: Literal["auto", "samples", "sum-law"] = "auto",
        covariance: bool = False,
    ) -> MomentEstimate:
        """Monte-Carlo estimate of the mean parameters; the samples are never held in memory together.

        Parameters
        ----------
        theta : array_like, shape (..., dim)
        n : int
            Samples per parameter vector.
        seed : int, SeedSequence or Generator
            The stream is keyed by (seed, agent, block), so the result depends on nothing else.
        method : {"auto", "samples", "sum-law"}
            ``"sum-law"`` draws the mean of the n statistics from its exact law, at a cost independent of n;
            ``"samples"`` draws the samples; ``"auto"`` takes the law where the family has one.
        covariance : bool
            Return the covariance matrix of the statistic too, which costs the time to pair the statistics. Where the
            family has one statistic, or samples are counted (Categorical, Finite, a grid's FromStatistic, Ising with
            loops, MarkovChain), the samples are the same as without; otherwise they are others.

        Returns
        -------
        MomentEstimate

        Examples
        --------
        >>> import expfam_game as eg
        >>> estimate = eg.families.Poisson().estimate_mean([0.0], n=10**6, seed=0)
        >>> estimate.method, bool(abs(estimate.mean[0] - 1) < 6 * estimate.standard_error[0])
        ('sum-law', True)
        """
        natural, n = self._checked_natural(theta), checked_count(n)
        if method not in ("auto", "samples", "sum-law"):
            raise InvalidInput(f"method is {method!r}; it must be 'auto', 'samples' or 'sum-law'")
        if method != "samples":
            mean = self._sum_law(natural, n, stream(seed_sequence(seed)))
            if mean is not None:
                exact = self._fisher_information(natural) if covariance else None
                return MomentEstimate(mean, np.sqrt(self._variance(natural) / n), n, "sum-law", exact)
            if method == "sum-law":
                raise InvalidInput(f"{self!r} has no exact law for the sum of its statistics; use method='samples'")
        return self._estimate_by_samples(natural, n, seed_sequence(seed), covariance)

    def _estimate_by_samples(
        self, theta: FloatArray, n: int, root: np.random.SeedSequence, covariance: bool = False
    ) -> MomentEstimate:
        flat = np.ascontiguousarray(theta.reshape(-1, self.dim))
        with np.errstate(over="ignore", invalid="ignore"):  # squares beyond the largest double give infinite errors
            kernel = self._fused_covariance if covariance else self._fused_moments
            fused = kernel(flat, n, stream_key(root)) if flat.size else None
            if fused is None:
                shape = (*flat.shape, self.dim) if covariance else flat.shape
                fused = np.empty_like(flat), np.empty(shape)
                for agent, row in enumerate(flat):
                    fused[0][agent], fused[1][agent] = self._streamed_moments(row, n, root, agent, covariance)
        mean, scatter = fused
        spread = scatter / (n - 1) if n > 1 else np.full(scatter.shape, np.inf)
        variance = np.diagonal(spread, axis1=-2, axis2=-1) if covariance else spread
        error = np.sqrt(np.where(np.isnan(variance), np.inf, variance) / n)  # ∞ − ∞ is such an overflow too
        matrix = spread.reshape(*theta.shape, self.dim) if covariance else None
        return MomentEstimate(mean.reshape(theta.shape), error.reshape(theta.shape), n, "samples", matrix)

    def _streamed_moments(
        self, theta: FloatArray, n: int, root: np.random.SeedSequence, agent: int, outer: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and sum of squared deviations of φ, or of their outer products, merged block by block (Chan, Golub &
        LeVeque 1983)."""
        mean, scatter = np.zeros(self.dim), np.zeros((self.dim, self.dim) if outer else self.dim)
        for block, start in enumerate(range(0, n, _BLOCK)):
            size = min(_BLOCK, n - start)
            phi = self._sample_statistic(theta, size, stream(root, agent, block))
            block_mean = phi.mean(axis=0)
            shift, phi = block_mean - mean, phi - block_mean
            weight = start * size / (start + size)
            if outer:
                scatter += phi.T @ phi + np.outer(shift, shift) * weight
            else:
                scatter += np.sum(phi**2, axis=0) + shift**2 * weight
            mean += shift * (size / (start + size))
        return mean, scatter

    def in_natural_space(self, theta: ArrayLike) -> BoolArray:
        """Whether each θ lies in the open natural parameter space; shape (..., dim) to (...)."""
        values = self._shaped(theta, InvalidNaturalParameter, "natural parameters")
        return all_hold(np.isfinite(values), self._natural_rules, values)

    def in_mean_space(self, mu: ArrayLike) -> BoolArray:
        """Whether each μ lies in the open mean space M = int conv φ(X); shape (..., dim) to (...)."""
        values = self._shaped(mu, InvalidMeanParameter, "mean parameters")
        return all_hold(np.isfinite(values), self._mean_rules, values)

    def mean_violations(self, mu: ArrayLike) -> BoolArray:
        """Which single statistics of each μ break a bound of their own; shape (..., dim) to (..., dim).

        All False for a μ that is inside, or that is outside only because of a rule about the whole vector.
        """
        values = self._shaped(mu, InvalidMeanParameter, "mean parameters")
        with np.errstate(all="ignore"):
            per_entry = [~holds for holds, _ in self._mean_rules(values) if holds.shape == values.shape]
        return np.asarray(np.logical_or.reduce([~np.isfinite(values), *per_entry]))

    # ------------------------------------------------------------------ identity

    def __pow__(self, repeats: int) -> Product:
        """``family ** k``: k independent coordinates of the same family.

        >>> import expfam_game as eg
        >>> (eg.families.Poisson() ** 3).dim
        3
        """
        from expfam_game.families.product import Product

        return Product([self] * repeats)

    def fingerprint(self) -> str:
        """A digest of the family's name and hyper-parameters, by which certificates recognise a game."""
        digest = hashlib.sha256(type(self).__name__.encode())
        for field in fields(self):  # type: ignore[arg-type]
            digest.update(field.name.encode() + _field_bytes(getattr(self, field.name)))
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Family) and self.fingerprint() == other.fingerprint()

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    # ------------------------------------------------------------------ checks

    def _shaped(self, values: ArrayLike, error: type[InvalidInput], what: str) -> FloatArray:
        array = as_float(values, error, what)
        if array.ndim == 0 or array.shape[-1] != self.dim:
            raise error(
                f"{what} of {self!r} must have shape (..., {self.dim}), one entry per statistic; got {array.shape}"
            )
        return array

    def _checked_natural(self, theta: ArrayLike) -> FloatArray:
        values = self._shaped(theta, InvalidNaturalParameter, "natural parameters")
        self._require(values, self._natural_rules, InvalidNaturalParameter, "natural parameter")
        return values

    def _checked_mean(self, mu: ArrayLike) -> FloatArray:
        values = self._shaped(mu, InvalidMeanParameter, "mean parameters")
        self._require(values, self._mean_rules, InvalidMeanParameter, "mean parameter")
        return values

    def _require(
        self, values: FloatArray, rules: Callable[[FloatArray], Iterable[Rule]], error: type[InvalidInput], what: str
    ) -> None:
        finite = np.isfinite(values)
        raise_unless(finite, "it must be finite", values, values.ndim - 1, error, what, "agent", self.statistic_names)
        for holds, rule in rules(values):
            raise_unless(holds, rule, values, values.ndim - 1, error, what, "agent", self.statistic_names)

    def _checked_samples(self, x: ArrayLike) -> AnyArray:
        if np.ma.is_masked(x):
            raise InvalidData("samples have masked entries; drop or fill them (x.compressed(), x.filled(value))")
        array = np.asarray(x)
        if array.dtype.kind not in "biuf":
            raise InvalidData(f"samples must be real numbers, got dtype {array.dtype}")
        batch = array.ndim - len(self.event_shape)
        if batch < 0 or array.shape[batch:] != self.event_shape:
            raise InvalidData(
                f"samples of {self!r} must have shape (..., {', '.join(map(str, self.event_shape))})".replace(
                    ", )", ")"
                )
                + f", got {array.shape}"
            )
        raise_unless(np.isfinite(array), "it must be finite", array, batch, InvalidData, "value", "sample", ())
        for holds, rule in self._support_rules(array):
            raise_unless(holds, rule, array, batch, InvalidData, "value", "sample", ())
        return array


def _field_bytes(value: object) -> bytes:
    if isinstance(value, np.ndarray):
        return str((value.dtype.str, value.shape)).encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, tuple):
        return b"(" + b",".join(map(_field_bytes, value)) + b")"
    if isinstance(value, Family):
        return value.fingerprint().encode()
    if isinstance(value, (int, float, np.integer, np.floating)):
        return repr(float(value)).encode()  # Weibull(2), Weibull(2.0) and Weibull(np.float64(2)) are the same family
    return repr(value).encode()
