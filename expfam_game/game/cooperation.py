"""What playing the game is worth to an agent, and the weights it would choose if it could (T9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expfam_game._typing import ArrayLike, BoolArray, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.game import linear
from expfam_game.game.weights import Weights


@dataclass(frozen=True)
class CooperationRisk:
    """The expected squared error of every agent's equilibrium mean, in the units of the statistic squared.

    Attributes
    ----------
    bias : ndarray, shape (n_agents,)
        ‖Σ_j R_ij m_j° − m_i°‖², from listening to agents whose worlds differ.
    variance : ndarray, shape (n_agents,)
        Σ_j R_ij² tr V_j / n_j, from everybody's finite samples.
    alone : ndarray, shape (n_agents,)
        tr V_i / n_i, the risk of learning from one's own samples only; infinite for an agent without samples.
    """

    bias: FloatArray
    variance: FloatArray
    alone: FloatArray

    @property
    def total(self) -> FloatArray:
        """Bias plus variance, shape (n_agents,)."""
        return self.bias + self.variance

    @property
    def gains(self) -> BoolArray:
        """Which agents are better off at the equilibrium than alone, shape (n_agents,)."""
        return np.asarray(self.total < self.alone)


@dataclass(frozen=True)
class BestRow:
    """The row of influence that is best for one agent.

    Attributes
    ----------
    row : ndarray, shape (n_agents,)
        Non-negative, sums to one.
    risk : float
        The agent's expected squared error with this row.
    """

    row: FloatArray
    risk: float


def cooperation_risk(
    weights: Weights, means: ArrayLike, total_variances: ArrayLike, counts: ArrayLike
) -> CooperationRisk:
    """Risk of the equilibrium mean of every agent when the data means are averages of samples (T9).

    Agent i owns ``n_i`` independent draws whose statistic has mean ``m_i°`` and covariance ``V_i``, and
    E‖μ_i* − m_i°‖² = ‖Σ_j R_ij m_j° − m_i°‖² + Σ_j R_ij² tr V_j / n_j.

    Parameters
    ----------
    weights : Weights
        Anchored.
    means : array_like, shape (n_agents, dim)
        The true means m°, not the averages of samples.
    total_variances : array_like, shape (n_agents,)
        tr V_j: the sum of the variances of the statistics.
    counts : array_like of int, shape (n_agents,)
        n_j; zero for an agent without data, whose self-weight must be zero.

    Returns
    -------
    CooperationRisk

    Raises
    ------
    InvalidInput, NotAnchored

    Examples
    --------
    Ten samples each, means 0.2 standard deviations apart: cooperation pays.

    >>> import expfam_game as eg
    >>> worth = eg.game.cooperation_risk(eg.Weights.complete(2, 0.5), [[0.0], [0.2]], [1.0, 1.0], [10, 10])
    >>> worth.total.round(4), worth.gains
    (array([0.06, 0.06]), array([ True,  True]))
    """
    m, spread = _checked(means, total_variances, counts)
    if m.shape[0] != weights.n_agents:
        raise InvalidInput(f"means has {m.shape[0]} rows, but the weights are for {weights.n_agents} agents")
    trusting = np.flatnonzero((weights.self_weights > 0) & np.isinf(spread))
    if trusting.size:
        raise InvalidInput(
            f"agent {trusting[0]} has no samples, so its self-weight must be zero", agent=int(trusting[0])
        )
    weights.require_anchored()
    influence = linear.solve_lu(weights.off_diagonal, np.diag(weights.self_weights))
    heard = np.where(np.isinf(spread), 0.0, spread)
    bias = np.sum((influence @ m - m) ** 2, axis=1)
    return CooperationRisk(np.asarray(bias), np.asarray(influence**2 @ heard), spread)


def best_row(agent: int, means: ArrayLike, total_variances: ArrayLike, counts: ArrayLike) -> BestRow:
    """The influence row that minimises one agent's risk: a quadratic program on the simplex (T9).

    When the others stay isolated, R_i· = α_i·, so the agent reaches this row by choosing its own weights.

    Parameters
    ----------
    agent : int
    means, total_variances, counts
        As for :func:`cooperation_risk`. Agents without samples get no weight.

    Returns
    -------
    BestRow

    Notes
    -----
    On the simplex the bias is ‖Σ_j r_j (m_j° − m_i°)‖², so the risk is ‖A r‖² with A the differences of the means stacked
    on diag(√(tr V_j / n_j)). For u = c r with r on the simplex, min_c ‖A u‖² + (Σ u − 1)² is f/(1 + f) with f = ‖A r‖²,
    increasing in f: non-negative least squares for u finds r (Lawson & Hanson, Solving Least Squares Problems, 1974).

    Examples
    --------
    >>> import expfam_game as eg
    >>> best = eg.game.best_row(0, [[0.0], [0.2], [5.0]], [1.0, 1.0, 1.0], [10, 1000, 1000])
    >>> best.row.round(3), round(best.risk, 4)
    (array([0.291, 0.709, 0.   ]), 0.0291)
    """
    from scipy.optimize import nnls

    m, spread = _checked(means, total_variances, counts)
    n_agents = m.shape[0]
    if isinstance(agent, bool) or not isinstance(agent, (int, np.integer)) or not 0 <= agent < n_agents:
        raise InvalidInput(f"agent is {agent!r}; it must be an integer between 0 and {n_agents - 1}")
    heard = np.flatnonzero(np.isfinite(spread))
    if heard.size == 0:
        raise InvalidInput("no agent has samples; at least one count must be positive")
    rows = np.vstack([(m[heard] - m[agent]).T, np.diag(np.sqrt(spread[heard]))])
    scale = float(np.min(np.linalg.norm(rows, axis=0)))
    row = np.zeros(n_agents)
    if scale == 0.0:  # an agent with the same mean and no variance: nothing is better
        row[heard[np.argmin(np.linalg.norm(rows, axis=0))]] = 1.0
        return BestRow(row, 0.0)
    system = np.vstack([rows / scale, np.ones(heard.size)])
    solution = nnls(system, np.r_[np.zeros(rows.shape[0]), 1.0])[0]
    row[heard] = solution / solution.sum()
    return BestRow(row, float(np.sum((rows @ row[heard]) ** 2)))


def _checked(means: ArrayLike, total_variances: ArrayLike, counts: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """m° and tr V_j / n_j (infinite where n_j = 0), or an error that names the argument."""
    try:
        m = np.asarray(means, dtype=np.float64)
        total, sizes = np.asarray(total_variances, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise InvalidInput(f"means, total_variances and counts must be arrays of real numbers: {problem}") from None
    if m.ndim != 2 or m.shape[0] == 0 or not np.all(np.isfinite(m)):
        raise InvalidInput(f"means must be finite with shape (n_agents, dim), got shape {m.shape}")
    if total.shape != m.shape[:1] or not np.all(np.isfinite(total)) or np.any(total < 0):
        raise InvalidInput(f"total_variances must be {m.shape[0]} finite non-negative numbers, got {total_variances!r}")
    if sizes.shape != m.shape[:1] or not np.all(np.isfinite(sizes)) or np.any((sizes < 0) | (sizes != np.floor(sizes))):
        raise InvalidInput(f"counts must be {m.shape[0]} non-negative integers, got {counts!r}")
    with np.errstate(divide="ignore", invalid="ignore"):
        return m, np.where(sizes > 0, total / sizes, np.inf)
