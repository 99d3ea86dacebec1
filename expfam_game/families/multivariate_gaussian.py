"""Gaussian(d): the multivariate Gaussian law with unknown mean and covariance."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray
from expfam_game.errors import InvalidInput
from expfam_game.families._stable import exact_product, ratio_gap
from expfam_game.families.base import Family
from expfam_game.families.checks import Rule, require_integer
from expfam_game.families.gaussian import LOG_2PI, require_shape
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw


@dataclass(frozen=True, eq=False)
class Gaussian(Family):
    """Gaussian law in d dimensions with unknown mean m and covariance Σ = Λ⁻¹.

    φ(x) is x followed by the upper triangle of x xᵀ, row by row, each product once; θ is Λm followed by −Λ_ii/2 on the
    diagonal and −Λ_ij off it. A(θ) = ½ mᵀΛm − ½ log det Λ, base measure (2π)^(−d/2).

    All maps go through Cholesky factors. Relative errors are of the order ε κ(Σ) with κ the condition number of Σ (after
    scaling to unit variances); ``to_natural`` adds the factor 1 + mᵀΣ⁻¹m of E[x xᵀ] − m mᵀ, a subtraction that is itself
    done without error. Standard deviations and means from 1e-70 to 1e70.

    Parameters
    ----------
    n_variables : int
        Number d of coordinates of a sample, at least 1; ``dim`` is d + d(d + 1)/2.

    Examples
    --------
    >>> import expfam_game as eg
    >>> family = eg.families.Gaussian(2)
    >>> theta = family.from_moments(mean=[0.0, 1.0], covariance=[[2.0, 1.0], [1.0, 1.0]])
    >>> theta  # Λ = [[1, −1], [−1, 2]]
    array([-1. ,  2. , -0.5,  1. , -1. ])
    >>> family.to_mean(theta).round(6) + 0.0
    array([0., 1., 2., 1., 2.])

    Notes
    -----
    The mean statistic of n samples is drawn from the law of (x̄, scatter): a Gaussian and an independent Wishart
    matrix with n − 1 degrees of freedom, by its Bartlett decomposition (Bartlett, Proc. R. Soc. Edinb. 53 (1933)).
    """

    n_variables: int

    def __post_init__(self) -> None:
        require_integer("Gaussian", "n_variables", self.n_variables, 1)

    @property
    def dim(self) -> int:
        return self.n_variables * (self.n_variables + 3) // 2

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.n_variables,)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return _names(self.n_variables)

    def reference_mean(self) -> FloatArray:
        return pack_statistics(np.zeros(self.n_variables), np.eye(self.n_variables))

    def from_moments(self, mean: ArrayLike, covariance: ArrayLike) -> FloatArray:
        """Natural parameters of the law with this mean and covariance matrix.

        Parameters
        ----------
        mean : array_like, shape (..., n_variables)
        covariance : array_like, shape (..., n_variables, n_variables)
            Symmetric and positive definite; leading axes broadcast against those of ``mean``.

        Returns
        -------
        ndarray, shape (..., dim)

        Raises
        ------
        InvalidInput
            If a shape is wrong, an entry is not finite, or a covariance is not symmetric and positive definite.
        """
        d = self.n_variables
        m = require_shape(mean, (d,), "the mean")
        sigma = require_shape(covariance, (d, d), "the covariance")
        scale = np.sqrt(np.abs(np.diagonal(sigma, axis1=-2, axis2=-1)))
        if np.any(np.abs(sigma - np.swapaxes(sigma, -1, -2)) > 1e-12 * scale[..., :, None] * scale[..., None, :]):
            raise InvalidInput("a covariance matrix is not symmetric; it must equal its transpose")
        sigma = 0.5 * (sigma + np.swapaxes(sigma, -1, -2))
        if not np.all(is_positive_definite(sigma)):
            raise InvalidInput("a covariance matrix is not positive definite; all its eigenvalues must be positive")
        batch = np.broadcast_shapes(m.shape[:-1], sigma.shape[:-2])
        return _natural_from_moments(np.broadcast_to(m, (*batch, d)), np.broadcast_to(sigma, (*batch, d, d)))

    def to_moments(self, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Mean (..., d) and covariance (..., d, d); the inverse of :meth:`from_moments`."""
        mean, root = self._split(self._checked_natural(theta))
        return mean, _gram(root)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        return ()

    def _natural_rules(self, theta: FloatArray) -> Iterable[Rule]:
        precision = unpack_natural(theta, self.n_variables)[1]
        yield is_positive_definite(precision), "its precision matrix must be positive definite"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        covariance = _centred(*unpack_statistics(mu, self.n_variables))
        yield (
            is_positive_definite(covariance),
            "its covariance E[x xᵀ] − E[x] E[x]ᵀ must be positive definite",
        )

    def _split(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The mean and the inverse K of the Cholesky factor of Λ, so that Σ = KᵀK."""
        linear, precision = unpack_natural(theta, self.n_variables)
        root = np.linalg.inv(np.linalg.cholesky(precision))
        return _times(np.swapaxes(root, -1, -2), _times(root, linear)), root

    def _statistic(self, x: AnyArray) -> FloatArray:
        x = x.astype(np.float64)
        rows, columns = _pairs(self.n_variables)
        return np.concatenate([x, x[..., rows] * x[..., columns]], axis=-1)

    def _log_base(self, x: AnyArray) -> FloatArray:
        return np.full(x.shape[:-1], -0.5 * self.n_variables * LOG_2PI)

    def _mean_log_base(self, theta: FloatArray) -> FloatArray:
        return np.full(theta.shape[:-1], -0.5 * self.n_variables * LOG_2PI)

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        linear, _ = unpack_natural(theta, self.n_variables)
        _, root = self._split(theta)
        return np.asarray(0.5 * np.sum(_times(root, linear) ** 2, axis=-1) + _log_det(root))

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        mean, root = self._split(theta)
        return _mean_of(mean, _gram(root))

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        mean, second = unpack_statistics(mu, self.n_variables)
        return _natural_from_moments(mean, _centred(mean, second))

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        """Fourth moments by Isserlis: Cov(x_i x_j, x_k x_l) pairs every i, j with every k, l."""
        mean, root = self._split(theta)
        d, sigma = self.n_variables, _gram(root)
        i, j = _pairs(d)
        to_linear = mean[..., i, None] * sigma[..., j, :] + mean[..., j, None] * sigma[..., i, :]
        result = np.empty((*theta.shape, self.dim))
        result[..., :d, :d] = sigma
        result[..., d:, :d] = to_linear
        result[..., :d, d:] = np.swapaxes(to_linear, -1, -2)
        outer = mean[..., :, None] * mean[..., None, :]
        pairs = _cross(sigma, sigma + outer, i, j) + _cross(outer, sigma, i, j)
        result[..., d:, d:] = 0.5 * (pairs + np.swapaxes(pairs, -1, -2))
        return result

    def _variance(self, theta: FloatArray) -> FloatArray:
        mean, root = self._split(theta)
        return _variance_of(mean, _gram(root))

    def _entropy(self, theta: FloatArray) -> FloatArray:
        return 0.5 * self.n_variables * (1.0 + LOG_2PI) + _log_det(self._split(theta)[1])

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """½ Σ (ρ − 1 − log ρ) + ½ (m_a − m_b)ᵀ Λ_b (m_a − m_b) with ρ the eigenvalues of Σ_a Λ_b."""
        mean, root_a = self._split(theta_a)
        _, root_b = self._split(theta_b)
        linear, precision = unpack_natural(theta_b - theta_a, self.n_variables)
        u = np.linalg.eigvalsh(root_a @ precision @ np.swapaxes(root_a, -1, -2))  # ρ − 1
        near = np.all(np.abs(u) < 0.5, axis=-1)
        far = u.sum(axis=-1) + 2.0 * (_log_det(root_b) - _log_det(root_a))
        spread = np.where(near, ratio_gap(np.where(near[..., None], u, 0.0)).sum(axis=-1), far)
        pull = _times(root_b, _times(precision, mean) - linear)  # Λ_b (m_a − m_b), whitened
        return np.asarray(0.5 * (spread + np.sum(pull**2, axis=-1)))

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        mean, root = self._split(theta)
        return mean[..., None, :] + rng.standard_normal((*theta.shape[:-1], n, self.n_variables)) @ root

    def _sum_law(self, theta: FloatArray, n: int, rng: np.random.Generator) -> FloatArray | None:
        mean, root = self._split(theta)
        noise = rng.standard_normal(mean.shape) / np.sqrt(n)
        average = mean + _times(np.swapaxes(root, -1, -2), noise)
        scatter = _gram(_wishart_root(n - 1, self.n_variables, theta.shape[:-1], rng) @ root) / n
        return pack_statistics(average, scatter + average[..., :, None] * average[..., None, :])

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        from expfam_game.kernels.gaussian_moments import gaussian_moments

        mean, root = self._split(theta)
        covariance = _gram(root)
        return gaussian_moments(mean, root, _mean_of(mean, covariance), _variance_of(mean, covariance), n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.draws import gaussian_draw

        mean, root = self._split(theta)
        return [gaussian_draw(mean, root, self._to_mean(theta))]


def _mean_of(mean: FloatArray, covariance: FloatArray) -> FloatArray:
    """E φ."""
    return pack_statistics(mean, covariance + mean[..., :, None] * mean[..., None, :])


def _variance_of(mean: FloatArray, covariance: FloatArray) -> FloatArray:
    """Var φ, with Var x_i x_j = Σ_ii Σ_jj + Σ_ij² + Var(m_i x_j + m_j x_i) by Isserlis."""
    i, j = _pairs(mean.shape[-1])
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    together, first, second = covariance[..., i, j], mean[..., i], mean[..., j]
    linear = first**2 * variance[..., j] + second**2 * variance[..., i] + 2.0 * first * second * together
    products = variance[..., i] * variance[..., j] + together**2 + np.maximum(linear, 0.0)
    return np.concatenate([variance, products], axis=-1)


# ---------------------------------------------------------------------- packing


@functools.cache
def _pairs(d: int) -> tuple[IntArray, IntArray]:
    """Rows and columns of the upper triangle of a d × d matrix, in the order of the statistics."""
    rows, columns = np.triu_indices(d)
    rows.flags.writeable = columns.flags.writeable = False
    return rows, columns


@functools.cache
def _names(d: int) -> tuple[str, ...]:
    products = (f"x[{i}] x[{j}]" for i, j in zip(*_pairs(d)))
    return (*(f"x[{k}]" for k in range(d)), *products)


def pack_statistics(mean: FloatArray, second: FloatArray) -> FloatArray:
    """(E[x], E[x xᵀ]) to statistics: the mean, then the upper triangle row by row.

    >>> pack_statistics(np.zeros(2), np.array([[1.0, 2.0], [2.0, 3.0]]))
    array([0., 0., 1., 2., 3.])
    """
    rows, columns = _pairs(mean.shape[-1])
    return np.concatenate([mean, second[..., rows, columns]], axis=-1)


def unpack_statistics(mu: FloatArray, n_variables: int) -> tuple[FloatArray, FloatArray]:
    """The inverse of :func:`pack_statistics`.

    >>> unpack_statistics(np.array([0.0, 0.0, 1.0, 2.0, 3.0]), 2)[1]
    array([[1., 2.],
           [2., 3.]])
    """
    rows, columns = _pairs(n_variables)
    second = np.empty((*mu.shape[:-1], n_variables, n_variables))
    second[..., rows, columns] = second[..., columns, rows] = mu[..., n_variables:]
    return mu[..., :n_variables], second


def pack_natural(linear: FloatArray, precision: FloatArray) -> FloatArray:
    """(Λm, Λ) to natural parameters: −Λ_ii/2 for squares and −Λ_ij for products, which are counted once.

    >>> pack_natural(np.zeros(2), np.array([[2.0, 1.0], [1.0, 4.0]]))
    array([ 0.,  0., -1., -1., -2.])
    """
    return pack_statistics(linear, -precision * (1.0 - 0.5 * np.eye(linear.shape[-1])))


def unpack_natural(theta: FloatArray, n_variables: int) -> tuple[FloatArray, FloatArray]:
    """The inverse of :func:`pack_natural`.

    >>> unpack_natural(np.array([0.0, 0.0, -1.0, -1.0, -2.0]), 2)[1]
    array([[2., 1.],
           [1., 4.]])
    """
    linear, second = unpack_statistics(theta, n_variables)
    return linear, -second * (1.0 + np.eye(n_variables))


# ---------------------------------------------------------------------- linear algebra over leading axes


def is_positive_definite(matrix: FloatArray) -> BoolArray:
    """Whether each matrix has a Cholesky factor in floating point; shape (..., d, d) to (...).

    >>> is_positive_definite(np.array([[[1.0, 2.0], [2.0, 1.0]], [[2.0, 1.0], [1.0, 2.0]]]))
    array([False,  True])
    """
    flat = matrix.reshape(-1, *matrix.shape[-2:])
    holds = np.asarray(np.isfinite(flat).all(axis=(-2, -1)))
    good = flat[holds]
    if not _all_have_cholesky(good):
        holds[holds] = [_all_have_cholesky(one) for one in good]
    return holds.reshape(matrix.shape[:-2])


def _all_have_cholesky(matrices: FloatArray) -> bool:
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        return False
    return True


def _natural_from_moments(mean: FloatArray, covariance: FloatArray) -> FloatArray:
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    precision = _gram(root)
    return pack_natural(_times(np.swapaxes(root, -1, -2), _times(root, mean)), precision)


def _centred(mean: FloatArray, second: FloatArray) -> FloatArray:
    """E[x xᵀ] − m mᵀ, every entry rounded once."""
    high, low = exact_product(mean[..., :, None], mean[..., None, :])
    return (second - high) - low


def _times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray(np.matmul(matrix, vector[..., None])[..., 0])


def _gram(root: FloatArray) -> FloatArray:
    """KᵀK, exactly symmetric."""
    product = np.swapaxes(root, -1, -2) @ root
    return 0.5 * (product + np.swapaxes(product, -1, -2))


def _log_det(root: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1))


def _cross(p: FloatArray, q: FloatArray, i: IntArray, j: IntArray) -> FloatArray:
    """p_ik q_jl + p_il q_jk over pairs (i, j) and (k, l), of which a symmetric sum is made by calling it twice."""
    a, b, k, m = i[:, None], j[:, None], i[None, :], j[None, :]
    return p[..., a, k] * q[..., b, m] + p[..., a, m] * q[..., b, k]


def _wishart_root(degrees: int, d: int, batch: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """T with TᵀT ~ Wishart(degrees, I): the normal vectors themselves while they are fewer than d, else Bartlett's factor."""
    if degrees < d:
        return rng.standard_normal((*batch, degrees, d))
    factor = np.triu(rng.standard_normal((*batch, d, d)), 1)
    diagonal = np.arange(d)
    factor[..., diagonal, diagonal] = np.sqrt(2.0 * rng.standard_gamma((degrees - diagonal) / 2.0, (*batch, d)))
    return factor


# ---------------------------------------------------------------------- checks
