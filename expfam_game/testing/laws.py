"""What every exponential family must obey, as tests: ``check_family`` runs all laws, ``LAWS`` lists them.

Each law takes a family, natural parameters of shape ``(k, dim)`` and a seed, returns nothing, and raises
:class:`LawBroken` with the law, the family, the parameter and the numbers. Tolerances are not set by hand: they are
bounds on truncation, rounding (through the condition number of what is computed) or sampling error (false alarms
below 1e-9), all from ``numerics``. The parameters should be moderate: at the extremes of a family's range the bounds stay
valid but say little, so compare with exact arithmetic there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NoReturn

import numpy as np
from numpy.polynomial.legendre import leggauss

from expfam_game._typing import AnyArray, ArrayLike, FloatArray
from expfam_game.errors import (
    ExpfamGameError,
    InvalidData,
    InvalidInput,
    InvalidMeanParameter,
    InvalidNaturalParameter,
)
from expfam_game.families.base import Family
from expfam_game.testing import numerics
from expfam_game.testing.numerics import ACCURACY, EPS, ULPS

Law = Callable[[Family, FloatArray, int], None]

SAMPLES = 1 << 15
"""Samples behind each statistical check."""


class LawBroken(AssertionError):
    """A family breaks a law.

    Attributes
    ----------
    law : str
        Name of the law.
    family : Family
    theta : ndarray or None
        Natural parameter at which it is broken.
    """

    def __init__(self, law: str, family: Family, theta: FloatArray | None, reason: str) -> None:
        where = "" if theta is None else f" at θ = {np.array2string(theta, precision=17, threshold=16)}"
        super().__init__(f"{law}: {family!r}{where}: {reason}")
        self.law = law
        self.family = family
        self.theta = theta


def check_family(family: Family, thetas: ArrayLike, seed: int = 0, laws: Iterable[Law] | None = None) -> None:
    """Put a family to every law.

    Parameters
    ----------
    family : Family
    thetas : array_like, shape (k, dim) or (dim,)
        Natural parameters at which to test; moderate ones, two or more that differ.
    seed : int
        Seed of the statistical laws.
    laws : iterable of functions, optional
        The laws to test, by default all of ``LAWS``.

    Raises
    ------
    LawBroken
        With the law, the family, the parameter and the numbers.

    Examples
    --------
    >>> import expfam_game as eg
    >>> from expfam_game.testing import check_family
    >>> check_family(eg.families.Bernoulli(dim=2), [[0.0, 1.0], [-2.0, 0.5]])
    """
    rows = np.atleast_2d(np.asarray(thetas, dtype=np.float64))
    for law in LAWS if laws is None else laws:
        try:
            law(family, rows, seed)
        except LawBroken:
            raise
        except Exception as problem:
            name = getattr(law, "__name__", repr(law))
            raise LawBroken(name, family, None, f"{type(problem).__name__}: {problem}") from problem


# ---------------------------------------------------------------------- first and second derivative


def mean_is_gradient_of_log_partition(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """μ(θ) = ∇A(θ), by extrapolated differences of the log-partition function."""
    for theta in thetas:
        gradient, bound = numerics.jacobian(family, family.log_partition, numerics.log_partition_rounding, theta)
        bound = bound + numerics.mean_rounding(family, theta)
        _require_close("mean_is_gradient_of_log_partition", family, theta, family.to_mean(theta), gradient, bound)


def fisher_is_jacobian_of_mean(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """F(θ) = ∇μ(θ) = ∇²A(θ), by extrapolated differences of the mean map."""
    for theta in thetas:
        slope, bound = numerics.jacobian(family, family.to_mean, _mean_rounding_with_floor, theta)
        fisher = family.fisher_information(theta)
        bound = bound + ACCURACY * _scale_of(fisher)
        _require_close("fisher_is_jacobian_of_mean", family, theta, fisher, slope, bound)


def _mean_rounding_with_floor(family: Family, theta: FloatArray) -> FloatArray:
    return np.asarray(numerics.mean_rounding(family, theta) + ULPS * EPS * np.log1p(np.abs(theta)).max())


def fisher_is_symmetric_positive_definite(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """F(θ) is symmetric and, scaled to a unit diagonal, positive definite by more than rounding can hide.

    A family that breaks it is not minimal: some combination of its statistics is constant.
    """
    name = "fisher_is_symmetric_positive_definite"
    for theta in thetas:
        fisher = family.fisher_information(theta)
        scale = _scale_of(fisher)
        _require_close(name, family, theta, fisher, fisher.T, ULPS * EPS * scale)
        smallest = np.linalg.eigvalsh(fisher / scale)[0]
        if not smallest > 4.0 * family.dim * EPS:
            _broken(name, family, theta, f"the smallest eigenvalue of the scaled F is {smallest:.3e}")


def variance_is_diagonal_of_fisher(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """``variance`` is the diagonal of ``fisher_information``, which is diagonal where ``separable`` says so."""
    name = "variance_is_diagonal_of_fisher"
    for theta in thetas:
        fisher, variance = family.fisher_information(theta), family.variance(theta)
        _require_close(name, family, theta, variance, np.diagonal(fisher), ACCURACY * variance)
        if family.separable and np.any(fisher != np.diag(np.diagonal(fisher))):
            _broken(name, family, theta, f"separable is True, but F has entries off its diagonal: {fisher}")


def _scale_of(fisher: FloatArray) -> FloatArray:
    root = np.sqrt(np.diagonal(fisher))
    return np.asarray(np.outer(root, root))


# ---------------------------------------------------------------------- divergence and duality


def kl_is_bregman_divergence(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """KL(p_a ‖ p_b) = A(b) − A(a) − ⟨μ(a), b − a⟩, up to the cancellation in the difference on the right."""
    for a, b in _pairs(thetas):
        step = b - a
        bregman = family.log_partition(b) - family.log_partition(a) - family.to_mean(a) @ step
        rounding = numerics.log_partition_rounding(family, np.stack([a, b])).sum()
        rounding += np.abs(step) @ numerics.mean_rounding(family, a)
        kl = family.kl(a, b)
        _require_close("kl_is_bregman_divergence", family, a, kl, bregman, rounding + 1e-9 * kl)


def kl_is_accurate_nearby(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """KL(p_a ‖ p_b) = ∫₀¹ (1 − s) dᵀF(a + s d)d ds to 1e-8, where a and b are 1e-2, 1e-4 and 1e-6 Fisher units apart.

    Beyond the 1e-8, what rounding may cost the quadratic form where F is nearly singular.
    """
    nodes, node_weights = leggauss(12)
    nodes, node_weights = (nodes + 1.0) / 2.0, node_weights / 2.0
    for theta in thetas:
        rng = np.random.default_rng(seed)
        for size in (1e-2, 1e-4, 1e-6):
            other = numerics.fisher_step(family, theta, size, rng)
            step = other - theta
            fisher = family.fisher_information(theta + nodes[:, None] * step)
            expected = np.sum(node_weights * (1.0 - nodes) * np.einsum("j,sjk,k->s", step, fisher, step))
            rounding = ULPS * EPS * np.einsum("j,sjk,k->s", np.abs(step), np.abs(fisher), np.abs(step)).max()
            kl = family.kl(theta, other)
            _require_close("kl_is_accurate_nearby", family, theta, kl, expected, 1e-8 * expected + rounding)


def kl_is_zero_only_at_equality(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """KL(p_a ‖ p_b) ≥ 0, and it is zero if and only if a = b."""
    name = "kl_is_zero_only_at_equality"
    for theta in thetas:
        itself = float(family.kl(theta, theta))
        if itself != 0.0:
            _broken(name, family, theta, f"KL of the distribution to itself is {itself!r}")
    for a, b in _pairs(thetas):
        if not np.array_equal(a, b) and not family.kl(a, b) > 0.0:
            _broken(name, family, a, f"KL to θ = {b} is {family.kl(a, b)!r}; it must be positive")


def fenchel_young(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """A(θ) + A*(μ) − ⟨θ, μ⟩ is never negative, zero at μ = μ(θ), and elsewhere KL(p_θ(μ) ‖ p_θ)."""
    means = family.to_mean(thetas)
    for k, theta in enumerate(thetas):
        gap = family.log_partition(theta) + family.conjugate(means) - means @ theta
        rounding = numerics.log_partition_rounding(family, thetas) + numerics.log_partition_rounding(family, theta)
        moved = np.sum(numerics.mean_rounding(family, thetas) * np.abs(thetas - theta), axis=-1)
        expected = family.kl(thetas, theta)
        _require_close("fenchel_young", family, theta, gap, expected, rounding + moved + 1e-9 * expected)
        _require_close("fenchel_young", family, theta, gap[k], 0.0, rounding[k])


def round_trip(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """∇A*(∇A(θ)) = θ and ∇A(∇A*(μ)) = μ, to 1e-10 beyond what the condition number of F makes of rounding."""
    for theta in thetas:
        mean = family.to_mean(theta)
        back = family.to_natural(mean)
        unit = np.sqrt(np.diagonal(numerics.inverse_fisher(family, theta)))
        bound = ACCURACY * (np.abs(theta) + unit) + numerics.natural_rounding(family, theta)
        _require_close("round_trip", family, theta, back, theta, bound)
        bound = ACCURACY * (np.abs(mean) + np.sqrt(family.variance(theta))) + numerics.mean_rounding(family, theta)
        _require_close("round_trip", family, theta, family.to_mean(back), mean, bound)


# ---------------------------------------------------------------------- densities


def log_prob_is_the_exponential_form(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """log p(x) = ⟨θ, φ(x)⟩ + log h(x) − A(θ) on samples, all of which lie in the sample space."""
    for theta in thetas:
        x = family.sample(theta, 64, seed)
        phi, log_base = family.statistic(x), family.log_base(x)
        expected = phi @ theta + log_base - family.log_partition(theta)
        size = np.abs(phi) @ np.abs(theta) + np.abs(log_base) + np.abs(family.log_partition(theta))
        bound = ULPS * EPS * size
        _require_close("log_prob_is_the_exponential_form", family, theta, family.log_prob(x, theta), expected, bound)


def log_prob_normalises(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """Probabilities sum to one.

    Discrete families on counts or small spaces: the sum itself. Continuous families on a line: the integral. Families on
    R², R³ or a simplex of that dimension: the integral over the middle box against the number of samples in it.
    All others: E_q[p/q] = 1 for a nearby q.
    """
    name = "log_prob_normalises"
    for theta in thetas:
        space = numerics.sample_space(family, theta, seed)
        if space is not None:
            total, bound = numerics.expectation(family, theta, space, np.ones_like)
            _require_close(name, family, theta, total, 1.0, bound)
        elif not _box_agrees(name, family, theta, seed):
            _ratio_has_mean_one(name, family, theta, seed)


def _box_agrees(name: str, family: Family, theta: FloatArray, seed: int) -> bool:
    """Compare the integral of the density over a box with the samples in it; False where that cannot be done."""
    x = np.asarray(family.sample(theta, SAMPLES, seed), dtype=np.float64)
    if x.ndim != 2 or x.shape[1] > 4 or np.any(np.all(x == np.round(x), axis=0)):
        return False
    free = x[:, :-1] if _on_simplex(family, x) else x
    if free is x and not numerics.in_support(family, x[:8] * 0.999).any():
        return False  # samples on a surface
    low, high = np.quantile(free, 0.2, axis=0), np.quantile(free, 0.8, axis=0)
    if free.shape[1] > 3 or (free is not x and high.sum() >= 1.0):
        return False
    fine, coarse = (_box_integral(family, theta, low, high, free is not x, nodes) for nodes in (24, 16))
    inside = np.mean(np.all((free >= low) & (free <= high), axis=1))
    gap = abs(inside - fine)
    width = np.sqrt(numerics.exponent_limit(1) / (2.0 * x.shape[0]))  # Hoeffding
    # The box was chosen from the samples: the class of boxes has VC dimension 2d, hence the factor.
    _require_close(name, family, theta, gap, 0.0, 2.0 * width + abs(fine - coarse))
    return True


def _on_simplex(family: Family, x: FloatArray) -> bool:
    return family.event_shape != () and bool(np.all(x >= 0)) and bool(np.allclose(x.sum(axis=-1), 1.0, atol=1e-9))


def _box_integral(
    family: Family, theta: FloatArray, low: FloatArray, high: FloatArray, simplex: bool, nodes: int
) -> float:
    place, weight = leggauss(nodes)
    axes = [a + (b - a) * (place + 1.0) / 2.0 for a, b in zip(low, high)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    weights = np.stack(np.meshgrid(*[weight / 2.0] * len(axes), indexing="ij"), axis=-1).reshape(-1, len(axes))
    if simplex:
        points = np.concatenate([points, 1.0 - points.sum(axis=1, keepdims=True)], axis=1)
    return float(np.sum(np.exp(family.log_prob(points, theta)) * weights.prod(axis=1)) * np.prod(high - low))


def _ratio_has_mean_one(name: str, family: Family, theta: FloatArray, seed: int) -> None:
    other = numerics.fisher_step(family, theta, 0.2, np.random.default_rng(seed))
    x = family.sample(other, SAMPLES, seed)
    ratio = np.exp(family.log_prob(x, theta) - family.log_prob(x, other))
    _require_close(name, family, theta, ratio.mean(), 1.0, numerics.bernstein_width(ratio))


def entropy_is_expected_surprise(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """H(p) = −E[log p(x)], by summation or quadrature where the sample space allows, by sampling elsewhere."""
    for theta in thetas:
        space = numerics.sample_space(family, theta, seed)
        if space is not None:
            surprise, bound = numerics.expectation(family, theta, space, lambda log_prob: -log_prob)
        else:
            values = -family.log_prob(family.sample(theta, SAMPLES, seed), theta)
            surprise, bound = float(values.mean()), float(numerics.bernstein_width(values))
        bound += ACCURACY * abs(surprise) + float(numerics.log_partition_rounding(family, theta))
        _require_close("entropy_is_expected_surprise", family, theta, family.entropy(theta), surprise, bound)


# ---------------------------------------------------------------------- sampling


def samples_have_the_mean(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """The average statistic of samples, of ``estimate_mean(method="samples")`` and of the sum law lies near μ(θ)."""
    name = "samples_have_the_mean"
    for theta in thetas:
        phi = family.statistic(family.sample(theta, SAMPLES, seed))
        _require_likely(name, family, theta, phi.mean(axis=0), SAMPLES, "samples")
        estimate = family.estimate_mean(theta, SAMPLES + 5000, seed, method="samples")
        _require_likely(name, family, theta, estimate.mean, estimate.n, "estimate_mean")
        if _has_sum_law(family, theta):
            estimate = family.estimate_mean(theta, 10**6, seed, method="sum-law")
            _require_likely(name, family, theta, estimate.mean, estimate.n, "the sum law")
            repeated = family.estimate_mean(np.tile(theta, (4000, 1)), 3, seed, method="sum-law")
            _require_likely(name, family, theta, repeated.mean.mean(axis=0), 12000, "the sum law of 3 samples")


def samples_have_the_covariance(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """The covariance of sampled statistics is F(θ), and that of the mean of 5 by the sum law is F(θ)/5."""
    for theta in thetas:
        phi = family.statistic(family.sample(theta, SAMPLES, seed))
        _require_covariance(family, theta, phi, 1, "samples")
        if _has_sum_law(family, theta):
            repeated = family.estimate_mean(np.tile(theta, (SAMPLES, 1)), 5, seed, method="sum-law")
            _require_covariance(family, theta, repeated.mean, 5, "the sum law of 5 samples")


def standard_errors_are_honest(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """``MomentEstimate.standard_error`` is √(F_kk/n): exactly for the sum law, as estimated from the samples otherwise."""
    name = "standard_errors_are_honest"
    for theta in thetas:
        variance = family.variance(theta)
        estimate = family.estimate_mean(theta, SAMPLES + 5000, seed, method="samples")
        fresh = family.statistic(family.sample(theta, SAMPLES, seed + 1))
        width = 2.0 * numerics.bernstein_width((fresh - family.to_mean(theta)) ** 2)
        width += numerics.bernstein_width(fresh) ** 2 + ACCURACY * variance  # the estimate knows no exact mean
        _require_close(name, family, theta, estimate.standard_error**2 * estimate.n, variance, width)
        if _has_sum_law(family, theta):
            estimate = family.estimate_mean(theta, 1000, seed, method="sum-law")
            _require_close(
                name,
                family,
                theta,
                estimate.standard_error,
                np.sqrt(variance / 1000),
                ACCURACY * np.sqrt(variance),
            )


def seeding_is_reproducible(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """The same seed gives the same numbers, as an int or a SeedSequence, and NumPy's global state is left alone."""
    name, theta = "seeding_is_reproducible", thetas[0]
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first = family.sample(thetas, 50, seed)
    if not np.array_equal(first, family.sample(thetas, 50, np.random.SeedSequence(seed))):
        _broken(name, family, theta, "two samples with the same seed differ")
    if np.array_equal(first, family.sample(thetas, 50, seed + 1)) and np.unique(first).size > 1:
        _broken(name, family, theta, "samples with different seeds are the same")
    generator = np.random.default_rng(seed)
    family.sample(theta, 2, generator)
    for method in ("auto", "samples"):
        one, two = (family.estimate_mean(thetas, 100, seed, method=method) for _ in range(2))
        if not (np.array_equal(one.mean, two.mean) and np.array_equal(one.standard_error, two.standard_error)):
            _broken(name, family, theta, f"two estimates by {method!r} with the same seed differ")
    if not np.array_equal(before, np.random.get_state()[1]):  # type: ignore[index]  # noqa: NPY002
        _broken(name, family, theta, "sampling changed NumPy's global random state")


def _has_sum_law(family: Family, theta: FloatArray) -> bool:
    return family.estimate_mean(theta, 2, 0).method == "sum-law"


def _require_likely(name: str, family: Family, theta: FloatArray, average: FloatArray, n: int, what: str) -> None:
    exponent = numerics.chernoff_exponent(family, theta, average, n)
    if np.any(exponent > numerics.exponent_limit(family.dim)):
        worst = int(np.argmax(exponent))
        mean, error = family.to_mean(theta)[worst], np.sqrt(family.variance(theta)[worst] / n)
        reason = f"mean statistic {worst} of {what} is {average[worst]!r}, {abs(average[worst] - mean) / error:.1f}"
        _broken(
            name,
            family,
            theta,
            f"{reason} standard errors from {mean!r} (Chernoff bound e^-{exponent[worst]:.0f})",
        )


def _require_covariance(family: Family, theta: FloatArray, phi: FloatArray, n: int, what: str) -> None:
    gap = phi - family.to_mean(theta)
    rows, columns = np.triu_indices(family.dim)
    keep = slice(0, 64)  # the first 64 pairs are enough: the others are drawn by the same code
    rows, columns = rows[keep], columns[keep]
    products = n * gap[:, rows] * gap[:, columns]
    expected, width = family.fisher_information(theta)[rows, columns], numerics.bernstein_width(products)
    name = "samples_have_the_covariance"
    _require_close(name, family, theta, products.mean(axis=0), expected, width, f"covariance of {what}")


# ---------------------------------------------------------------------- shapes


def batches_are_row_by_row(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """A batch with two leading axes, with one, or empty, gives what each row gives alone."""
    name = "batches_are_row_by_row"
    grid = np.resize(thetas, (2, 3, family.dim))
    x = family.sample(grid[0, 0], 1, seed)[0]
    functions: dict[str, Callable[[FloatArray], AnyArray]] = {
        "log_partition": family.log_partition,
        "to_mean": family.to_mean,
        "fisher_information": family.fisher_information,
        "variance": family.variance,
        "entropy": family.entropy,
        "to_natural(to_mean)": lambda theta: family.to_natural(family.to_mean(theta)),
        "conjugate(to_mean)": lambda theta: family.conjugate(family.to_mean(theta)),
        "kl": lambda theta: family.kl(theta, grid[0, 0]),
        "log_prob": lambda theta: family.log_prob(x, theta),
        "in_natural_space": family.in_natural_space,
        "in_mean_space(to_mean)": lambda theta: family.in_mean_space(family.to_mean(theta)),
    }
    for what, function in functions.items():
        alone = np.stack([function(theta) for theta in grid.reshape(6, -1)])
        for batch in (grid.reshape(6, -1), grid, grid[:0], grid[:, :0]):
            value = function(batch)
            expected = alone[: int(np.prod(batch.shape[:-1]))].reshape(batch.shape[:-1] + alone.shape[1:])
            if value.shape != expected.shape:
                _broken(
                    name,
                    family,
                    None,
                    f"{what} of θ {batch.shape} has shape {value.shape}, not {expected.shape}",
                )
            if alone.dtype == bool:
                _require_close(name, family, None, value, expected, 0.5, what)
                continue
            size = np.abs(expected).max(initial=0.0)
            _require_close(name, family, None, value, expected, ACCURACY * size + ULPS * EPS, what)
    _sample_shapes(name, family, grid, seed)


def _sample_shapes(name: str, family: Family, grid: FloatArray, seed: int) -> None:
    for batch in (grid[0, 0], grid[0], grid, grid[:0]):
        lead = batch.shape[:-1]
        x = family.sample(batch, 4, seed)
        if x.shape != (*lead, 4, *family.event_shape):
            _broken(name, family, None, f"4 samples of θ {batch.shape} have shape {x.shape}")
        if family.statistic(x).shape != (*lead, 4, family.dim) or family.log_base(x).shape != (*lead, 4):
            _broken(name, family, None, f"statistic or log_base of samples {x.shape} has the wrong shape")
        for method in ("auto", "samples"):
            estimate = family.estimate_mean(batch, 3, seed, method=method)
            if not estimate.mean.shape == estimate.standard_error.shape == batch.shape:
                _broken(name, family, None, f"estimate_mean of θ {batch.shape} has shape {estimate.mean.shape}")
    together = family.estimate_mean(grid[0], 3, seed, method="samples").mean[0]
    if not np.array_equal(together, family.estimate_mean(grid[0, :1], 3, seed, method="samples").mean[0]):
        _broken(name, family, None, "the estimate of agent 0 depends on how many agents there are")


# ---------------------------------------------------------------------- input and identity


def bad_parameters_are_rejected(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """NaN, infinity and the wrong shape are rejected, with the agent and the entry named for a bad row of a batch."""
    name, theta = "bad_parameters_are_rejected", thetas[0]
    calls = [
        (family.to_mean, theta, InvalidNaturalParameter),
        (family.to_natural, family.to_mean(theta), InvalidMeanParameter),
    ]
    for call, good, error in calls:
        for bad in (np.nan, np.inf, -np.inf):
            batch = np.stack([good, good, good])
            batch[1, -1] = bad
            problem = _rejected(name, family, partial(call, batch), error, f"{bad} in agent 1")
            if problem.agent != 1 or problem.entry != family.dim - 1 or "agent 1" not in str(problem):
                _broken(
                    name,
                    family,
                    theta,
                    f"the message must name agent 1 and entry {family.dim - 1}: {problem}",
                )
        for wrong in (
            np.zeros(family.dim + 1),
            np.float64(0.0),
            np.zeros((2, family.dim + 1)),
            ["x"] * family.dim,
        ):
            _rejected(name, family, partial(call, wrong), error, f"{wrong!r}")
    wrong_counts: tuple[Any, ...] = (0, -1, 2.5, True, "3")
    for n in wrong_counts:
        _rejected(name, family, partial(family.sample, theta, n, seed), InvalidInput, f"n = {n!r}")
        _rejected(name, family, partial(family.estimate_mean, theta, n, seed), InvalidInput, f"n = {n!r}")


def bad_samples_are_rejected(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """NaN, infinity, the wrong shape and values off the sample space are rejected as InvalidData."""
    name = "bad_samples_are_rejected"
    good = np.asarray(family.sample(thetas[0], 3, seed), dtype=np.float64)
    for bad in (np.nan, np.inf, -np.inf):
        x = good.copy()
        x[(1, *[0] * len(family.event_shape))] = bad
        problem = _rejected(name, family, partial(family.statistic, x), InvalidData, f"{bad} in sample 1")
        if problem.agent != 1:
            _broken(name, family, thetas[0], f"the message must name sample 1: {problem}")
    wrong_shape = [np.zeros((2, 31)), np.zeros(())] if family.event_shape else []
    for x in [*wrong_shape, np.asarray(["a"]), np.asarray([None])]:
        _rejected(name, family, partial(family.statistic, x), InvalidData, f"{x!r}")
    for value in (-3.0, 0.5, 1e12, -1e12):
        x = good.copy()
        x[1] = value
        if not numerics.in_support(family, x)[1]:
            _rejected(name, family, partial(family.log_prob, x, thetas[0]), InvalidData, f"sample {value}")


def points_outside_are_rejected(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """Parameters beyond the edge of their space are rejected, and those before it map into the other space.

    The edge is looked for along the first axes and along the line through the reference mean.
    """
    name = "points_outside_are_rejected"
    reference, means = family.reference_mean(), family.to_mean(thetas)
    for start, ends, contains, image_contains, call, error in (
        (
            reference,
            means,
            family.in_mean_space,
            family.in_natural_space,
            family.to_natural,
            InvalidMeanParameter,
        ),
        (
            thetas[0],
            thetas[1:],
            family.in_natural_space,
            family.in_mean_space,
            family.to_mean,
            InvalidNaturalParameter,
        ),
    ):
        for direction in _directions(family, start, ends):
            ray = start + 2.0 ** np.arange(-4.0, 2.0)[:, None] * direction
            images = call(ray[contains(ray)])
            if not np.all(image_contains(images)):
                _broken(name, family, None, f"{call.__name__} leaves the space of its values: {images} from {ray}")
            outside = _beyond(contains, start, direction)
            if outside is None:
                continue
            batch = np.stack([start, start, outside])
            problem = _rejected(name, family, partial(call, batch), error, f"{outside} of agent 2")
            if problem.agent != 2 or "agent 2" not in str(problem) or not problem.rule:
                _broken(name, family, None, f"the message must name agent 2 and the rule: {problem}")
            if list(contains(batch)) != [True, True, False]:
                _broken(name, family, None, f"in_*_space of {batch} is {contains(batch)}")


def _directions(family: Family, start: FloatArray, ends: FloatArray) -> FloatArray:
    axes = np.eye(family.dim)[:3] * np.maximum(1.0, np.abs(start))
    lines = ends[-1:] - start
    return np.concatenate([axes, -axes, lines, -lines])


def _beyond(contains: Callable[[ArrayLike], AnyArray], start: FloatArray, direction: FloatArray) -> FloatArray | None:
    """A point past the edge on a ray, close to it; None if there is no edge."""
    if not np.any(direction):
        return None
    far = start + 2.0 ** np.arange(-2.0, 24.0)[:, None] * direction
    outside = ~np.asarray(contains(far))
    if not outside.any():
        return None
    beyond, inside = far[np.argmax(outside)], start
    for _ in range(8):
        middle = inside + (beyond - inside) / 2.0
        inside, beyond = (middle, beyond) if contains(middle) else (inside, middle)
    return np.asarray(beyond)


def reference_mean_is_inside(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """``reference_mean`` lies in the mean space, comes back from the natural parameters, and is the same each time."""
    name = "reference_mean_is_inside"
    reference = family.reference_mean()
    if reference.shape != (family.dim,) or reference.dtype != np.float64 or not family.in_mean_space(reference):
        _broken(name, family, None, f"{reference!r} is not a float64 point of the mean space")
    kept = reference.copy()
    if reference.flags.writeable:
        reference[:] = np.nan
    if not np.array_equal(family.reference_mean(), kept):
        _broken(name, family, None, "reference_mean changes when its result is written to")
    theta = family.to_natural(kept)
    bound = ACCURACY * (np.abs(kept) + np.sqrt(family.variance(theta))) + numerics.mean_rounding(family, theta)
    _require_close(name, family, theta, family.to_mean(theta), kept, bound)


def fingerprint_identifies(family: Family, thetas: FloatArray, seed: int = 0) -> None:
    """Copies are equal and share a fingerprint; a power of the family, or anything else, is not equal to it."""
    name = "fingerprint_identifies"
    twin, other = copy.copy(family), family**2
    if not (twin == family and hash(twin) == hash(family) and twin.fingerprint() == family.fingerprint()):
        _broken(name, family, None, "a copy is not equal to it")
    if other == family or other.fingerprint() == family.fingerprint() or family == object():
        _broken(name, family, None, f"it is equal to {other!r} or to an object that is no family")
    if len(family.statistic_names) != family.dim or len(set(family.statistic_names)) != family.dim:
        _broken(
            name,
            family,
            None,
            f"statistic_names must be {family.dim} different names: {family.statistic_names}",
        )


# ---------------------------------------------------------------------- helpers


def _pairs(thetas: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Each parameter with each other one, in both orders."""
    return [(a, b) for i, a in enumerate(thetas) for j, b in enumerate(thetas) if i != j]


def _require_close(
    name: str,
    family: Family,
    theta: FloatArray | None,
    value: ArrayLike,
    expected: ArrayLike,
    bound: ArrayLike,
    what: str = "value",
) -> None:
    value, expected, bound = np.broadcast_arrays(np.asarray(value, float), np.asarray(expected, float), bound)
    holds = np.abs(value - expected) <= bound
    if not np.all(holds):
        index = tuple(int(k) for k in np.argwhere(~holds)[0])
        numbers = f"is {value[index]!r}, expected {expected[index]!r} within {bound[index]:.3g}"
        _broken(name, family, theta, f"{what}{list(index) if index else ''} {numbers}")


def _rejected(name: str, family: Family, call: Callable[[], Any], error: type[InvalidInput], what: str) -> InvalidInput:
    result: Any = None
    try:
        result = call()
    except error as problem:
        if not (isinstance(problem, ExpfamGameError) and isinstance(problem, ValueError) and str(problem)):
            _broken(
                name,
                family,
                None,
                f"{what}: the error must be an ExpfamGameError and a ValueError with a message",
            )
        return problem
    except Exception as problem:
        raise LawBroken(
            name, family, None, f"{what} raised {type(problem).__name__} ({problem}), not {error.__name__}"
        ) from problem
    raise LawBroken(name, family, None, f"{what} was accepted (result {result!r}); it must raise {error.__name__}")


def _broken(name: str, family: Family, theta: FloatArray | None, reason: str) -> NoReturn:
    raise LawBroken(name, family, theta, reason)


LAWS: tuple[Law, ...] = (
    mean_is_gradient_of_log_partition,
    fisher_is_jacobian_of_mean,
    fisher_is_symmetric_positive_definite,
    variance_is_diagonal_of_fisher,
    kl_is_bregman_divergence,
    kl_is_accurate_nearby,
    kl_is_zero_only_at_equality,
    fenchel_young,
    round_trip,
    log_prob_is_the_exponential_form,
    log_prob_normalises,
    entropy_is_expected_surprise,
    samples_have_the_mean,
    samples_have_the_covariance,
    standard_errors_are_honest,
    seeding_is_reproducible,
    batches_are_row_by_row,
    bad_parameters_are_rejected,
    bad_samples_are_rejected,
    points_outside_are_rejected,
    reference_mean_is_inside,
    fingerprint_identifies,
)
"""Every law, in the order in which ``check_family`` tests them."""
