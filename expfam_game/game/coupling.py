"""Symmetric equilibrium learning on full tables: decoder and encoder train on each other's completions (T12)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expfam_game._typing import ArrayLike, FloatArray
from expfam_game.errors import InvalidInput


@dataclass(frozen=True)
class Coupling:
    """Where alternating best response ended; one equilibrium of many, decided by the start.

    Attributes
    ----------
    joint : ndarray, shape (n_x, n_z)
        A coupling of data and prior. Its conditionals are decoder and encoder.
    steps : int
        Pairs of best responses played.
    marginal_error : float
        Σ_x |Σ_z joint − data|: how far encoder and decoder are from describing one joint law, in [0, 2].
    converged : bool
        Whether ``marginal_error`` reached the tolerance.
    """

    joint: FloatArray
    steps: int
    marginal_error: float
    converged: bool

    @property
    def decoder(self) -> FloatArray:
        """p(x | z), shape (n_x, n_z); columns sum to one, and are zero for a code of no mass."""
        return _conditional(self.joint, axis=0)

    @property
    def encoder(self) -> FloatArray:
        """q(z | x), shape (n_x, n_z); rows sum to one, and are zero for a sample of no mass."""
        return _conditional(self.joint, axis=1)


def symmetric_play(
    start: ArrayLike, data: ArrayLike, prior: ArrayLike, *, tolerance: float = 1e-12, max_steps: int = 10_000
) -> Coupling:
    """Alternating best response of a decoder p(x | z) and an encoder q(z | x) with full tables.

    The decoder's best response to the encoder is p(x | z) ∝ data(x) q(z | x), the encoder's to the decoder is
    q(z | x) ∝ prior(z) p(x | z): iterative proportional fitting of the joint law (Sinkhorn). It converges to the
    I-projection of the start onto the couplings of data and prior, if one vanishes wherever the start does. Every coupling is
    an equilibrium, so the result is one equilibrium among many; only the start decides which.

    Parameters
    ----------
    start : array_like, shape (n_x, n_z)
        Non-negative; the first encoder is its rows, normalised. A zero stays a zero.
    data : array_like, shape (n_x,)
        The distribution of the data.
    prior : array_like, shape (n_z,)
        The distribution of the codes.
    tolerance : float
        Bound on ``marginal_error``.
    max_steps : int

    Returns
    -------
    Coupling

    Raises
    ------
    InvalidInput
        If a table is not what it should be, or a row or column with mass has only zeros.

    References
    ----------
    R. Sinkhorn, Ann. Math. Statist. 35 (1964); I. Csiszár, Ann. Probab. 3 (1975); B. Flach, D. Schlesinger,
    A. Shekhovtsov, arXiv:2307.09883.

    Examples
    --------
    >>> import expfam_game as eg
    >>> play = eg.game.symmetric_play([[4.0, 1.0], [1.0, 4.0]], data=[0.5, 0.5], prior=[0.5, 0.5])
    >>> play.joint
    array([[0.4, 0.1],
           [0.1, 0.4]])
    >>> eg.game.symmetric_play(play.joint**2, [0.5, 0.5], [0.5, 0.5]).joint.round(4)  # another equilibrium
    array([[0.4706, 0.0294],
           [0.0294, 0.4706]])
    """
    joint, rows, columns = _checked(start, data, prior)
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise InvalidInput(f"tolerance is {tolerance!r}; it must be positive and finite")
    if isinstance(max_steps, bool) or not isinstance(max_steps, (int, np.integer)) or max_steps < 1:
        raise InvalidInput(f"max_steps is {max_steps!r}; it must be an integer, at least 1")
    joint = rows[:, None] * _conditional(joint, axis=1)  # data(x) q(z | x)
    error = float("inf")
    for step in range(1, int(max_steps) + 1):
        joint = columns * _conditional(joint, axis=0)  # the decoder answers: prior(z) p(x | z)
        error = float(np.abs(joint.sum(axis=1) - rows).sum())
        if error <= tolerance:
            return Coupling(joint, step, error, True)
        joint = rows[:, None] * _conditional(joint, axis=1)  # the encoder answers: data(x) q(z | x)
    return Coupling(joint, int(max_steps), error, False)


def _conditional(joint: FloatArray, axis: int) -> FloatArray:
    total = joint.sum(axis=axis, keepdims=True)
    return np.asarray(np.divide(joint, total, out=np.zeros_like(joint), where=total > 0))


def _checked(start: ArrayLike, data: ArrayLike, prior: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    try:
        table = np.asarray(start, dtype=np.float64)
        rows, columns = np.asarray(data, dtype=np.float64), np.asarray(prior, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"start, data and prior must be arrays of real numbers: {problem}") from None
    if table.ndim != 2 or table.size == 0 or not np.all(np.isfinite(table)) or np.any(table < 0):
        raise InvalidInput(f"start must be a non-negative table of shape (n_x, n_z), got shape {table.shape}")
    for name, law, size in (("data", rows, table.shape[0]), ("prior", columns, table.shape[1])):
        good = law.shape == (size,) and np.all(law >= 0) and abs(float(law.sum()) - 1.0) <= 1e-9
        if not good:
            raise InvalidInput(f"{name} must be {size} probabilities that sum to one, got {law!r}")
    table = table * (rows > 0)[:, None] * (columns > 0)
    for name, law, sums in (("row", rows, table.sum(axis=1)), ("column", columns, table.sum(axis=0))):
        if np.any(bad := (law > 0) & (sums == 0)):
            raise InvalidInput(
                f"{name} {int(np.argmax(bad))} of start is zero, but it must carry mass; no coupling has it"
            )
    return table, rows / rows.sum(), columns / columns.sum()
