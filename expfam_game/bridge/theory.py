"""What theory says about a game of black boxes: the expected path of a statistic and the noise of its samples (T8).

Whatever an agent is, if its fit reproduces the weighted average of a statistic s (every exponential family whose φ spans
s does, and every model with a free class prior, for the class marginals), its expectation of s after a fit is a weighted
average of what it was given:

    μ_i ← α_ii m_i + Σ_letters w_l ŝ_l,     ŝ_l = μ_j(at the time of the draw) + noise of variance V_j/n

This is linear in the private averages m and in the noise. The ledger follows both through the game as it is really
played, letter by letter: any order, memory, silent and failing agents. Given who played when (which is decided without a
look at the samples), expectations are exact, and covariances are exact up to V_j, which is known (p(1 − p)) for
indicators up to O(1/n) and estimated from the drawn samples otherwise. For simultaneous rounds and fresh draws the
covariance is the recursion of T8, ``Σ ← B(Σ + Λ)Bᵀ`` for broadcast and ``Σ ← BΣBᵀ + diag_i(Σ_j α_ij² V_j/n)`` for
separate draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expfam_game._typing import BoolArray, FloatArray
from expfam_game.bridge.faults import in_shared_variables
from expfam_game.bridge.setting import Setting
from expfam_game.errors import InvalidInput
from expfam_game.samples import SampleSet, counted

MOST_SLOTS = 400
"""Up to this many agents and letters in use the joint covariance is kept; beyond it the check has no bands."""


class Undefined(Exception):
    """The statistic cannot be computed from some samples; the message says why."""


# ---------------------------------------------------------------------- the statistic


class Statistic:
    """The statistic that is compared: class indicators, or a user's function of the samples."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def rows(self, samples: SampleSet, agent: int) -> FloatArray:
        """s of every row, shape (n, K).

        Raises
        ------
        Undefined
            If it needs a variable that is not observed.
        """
        setting = self._setting
        if setting.statistic is None:
            column, classes = setting.label_column(agent), setting.classes or 1
            if column is None:
                raise Undefined(f"agent {agent} does not model the label")
            labels = samples.labels(column, classes)
            if np.any(labels < 0):
                raise Undefined(f"some samples of agent {agent} have no label")
            return np.asarray(labels[:, None] == np.arange(classes), dtype=np.float64)
        values = np.asarray(
            setting.statistic(in_shared_variables(samples, setting.variables[agent], setting.n_variables)), np.float64
        )
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[0] != samples.n:
            raise InvalidInput(
                f"statistic returned shape {values.shape} for {samples.n} samples; it must be (n,) or (n, K)"
            )
        if not np.isfinite(values).all():
            raise Undefined(f"the statistic is not finite for some samples of agent {agent}")
        return values

    def own_mean(self, agent: int) -> FloatArray | None:
        """The average m_i over an agent's private data, shape (K,); None without data."""
        sets = self._setting.private[agent]
        means = [part.normalized_weights() @ self.rows(part, agent) for part in sets]
        return np.asarray(self._setting.shares(agent) @ np.array(means)) if means else None


@dataclass(frozen=True)
class Average:
    """A sample average of the statistic.

    Attributes
    ----------
    mean : ndarray, shape (K,)
    spread : ndarray, shape (K,)
        Variance of the statistic of one row.
    variance : ndarray, shape (K,)
        Variance of ``mean``.
    """

    mean: FloatArray
    spread: FloatArray
    variance: FloatArray


def average(
    rows: FloatArray, samples: SampleSet, strata: FloatArray | None, expected: FloatArray, indicator: BoolArray
) -> Average:
    """The weighted average of the statistic over a draw, and how uncertain it is.

    Parameters
    ----------
    rows : ndarray, shape (n, K)
    samples : SampleSet
        For its row weights w, which are normalised.
    strata : ndarray, shape (n,), or None
        The class of each row of a stratified draw, whose share has no randomness.
    expected : ndarray, shape (K,)
        The expectation of the mean, where known; gives indicators their variance p(1 − p).
    indicator : ndarray of bool, shape (K,)
        Which statistics take the values 0 and 1 only.
    """
    w = samples.normalized_weights()
    mean = w @ rows
    indicator = indicator & np.all((rows == 0.0) | (rows == 1.0), axis=0)
    p = np.clip(expected, 0.0, 1.0)
    spread = np.where(indicator, p * (1.0 - p), w @ (rows - mean) ** 2 * _bessel(len(w)))
    if strata is None:
        return Average(mean, spread, np.sum(w**2) * spread)
    variance = np.zeros_like(mean)
    for stratum in np.unique(strata):
        chosen = strata == stratum
        inside = w[chosen] / max(w[chosen].sum(), np.finfo(float).tiny)
        centre = inside @ rows[chosen] if chosen.sum() > 1 else mean
        variance += w[chosen] ** 2 @ (rows[chosen] - centre) ** 2 * _bessel(int(chosen.sum()))
    return Average(mean, spread, variance)


def _bessel(n: int) -> float:
    return n / (n - 1.0) if n > 1 else 1.0


# ---------------------------------------------------------------------- the ledger


class Ledger:
    """Expectation and covariance of every agent's mean and of every letter in use.

    Slots 0 … N − 1 are the agents, the others letters. ``share[slot]`` are the weights with which the private averages m
    enter; ``covariance[k]`` is the joint covariance of all slots for statistic k.
    """

    def __init__(self, n_agents: int, means: FloatArray, indicator: BoolArray) -> None:
        self.means = means
        self.indicator = indicator
        self.share = np.zeros((n_agents, n_agents))
        fits = n_agents <= MOST_SLOTS
        self.covariance: FloatArray | None = np.zeros((means.shape[1], n_agents, n_agents)) if fits else None
        self._free: list[int] = []

    def expected(self, slot: int) -> FloatArray:
        """E of the statistic under an agent, or in a letter; shape (K,)."""
        return np.asarray(self.share[slot] @ self.means)

    def variance(self, agent: int) -> FloatArray:
        """Variance of an agent's mean, shape (K,); NaN beyond the size limit."""
        if self.covariance is None:
            return np.full(self.means.shape[1], np.nan)
        return np.asarray(self.covariance[:, agent, agent])

    def post(self, sender: int, variance: FloatArray) -> int:
        """A letter of independent samples: the sender's mean plus noise of the given variance. Returns its slot."""
        slot = self._slot()
        self.share[slot] = self.share[sender]
        if self.covariance is not None:
            row = self.covariance[:, sender, :].copy()
            row[:, slot] = self.covariance[:, sender, sender] + variance
            self._set(slot, row)
        return slot

    def fit(self, agent: int, own: float, heard: list[tuple[int, float]], noise: FloatArray) -> None:
        """The agent's mean becomes ``own`` times its data's plus the weighted letters, plus noise of the fit itself."""
        slots = [slot for slot, _ in heard]
        weights = np.array([weight for _, weight in heard])
        share = weights @ self.share[slots] if slots else np.zeros_like(self.share[agent])
        share[agent] += own
        self.share[agent] = share
        if self.covariance is not None:
            row = np.einsum("s,ksm->km", weights, self.covariance[:, slots, :])
            row[:, agent] = row[:, slots] @ weights + noise
            self._set(agent, row)

    def discard(self, slot: int) -> None:
        """Forget a letter that nobody will read again."""
        self.share[slot] = 0.0
        if self.covariance is not None:
            self._set(slot, np.zeros(self.covariance.shape[:2]))
        self._free.append(slot)

    def _set(self, slot: int, row: FloatArray) -> None:
        assert self.covariance is not None
        self.covariance[:, slot, :] = row
        self.covariance[:, :, slot] = row

    def _slot(self) -> int:
        if not self._free:
            size = len(self.share)
            more = max(size, 8)
            self.share = np.pad(self.share, ((0, more), (0, 0)))
            if self.covariance is not None:
                fits = size < MOST_SLOTS
                self.covariance = np.pad(self.covariance, ((0, 0), (0, more), (0, more))) if fits else None
            self._free = list(range(size + more - 1, size - 1, -1))
        return self._free.pop()


# ---------------------------------------------------------------------- the report


@dataclass(frozen=True)
class TheoryCheck:
    """A statistic of every agent after every round, beside what linear theory says about it (T2, T8).

    Attributes
    ----------
    names : tuple of str
        Of the K entries of the statistic.
    observed : ndarray, shape (rounds + 1, n_agents, K)
        Average over samples drawn after each round for this purpose; NaN where an agent had nothing to say.
    predicted : ndarray, shape (rounds + 1, n_agents, K)
        Its expectation after each round, given who played when. Tends to ``equilibrium`` at the rate ρ(B) (T4).
    equilibrium : ndarray, shape (n_agents, K)
        R m, with the influence matrix R of the weights in force at the end; NaN for dropped agents.
    standard_error : ndarray, shape (rounds + 1, n_agents, K)
        Of ``observed − predicted``: the noise of all exchanged samples (the covariance recursion of T8, followed through
        the rounds as they were played) and of the samples behind ``observed``. Exact for indicators such as class marginals up
        to relative O(1/n); for other statistics with variances estimated from the samples. NaN in games too large for it.

    Examples
    --------
    >>> import expfam_game as eg
    >>> from expfam_game.bridge import FamilyAgent, play
    >>> agents = [FamilyAgent(eg.families.Poisson())] * 2
    >>> data = [[[1.0], [3.0]], [[5.0]]]
    >>> result = play(agents, eg.Weights.complete(2, 0.5), data, rounds=6, n=400, statistic=lambda x: x, seed=2)
    >>> check = result.theory
    >>> check.equilibrium.ravel(), check.predicted[-1].round(2).ravel()
    (array([3., 4.]), array([2.98, 4.02]))
    >>> check.within(6.0), check.z_scores().shape
    (True, (7, 2, 1))
    >>> check
    TheoryCheck(7 rounds × 2 agents × 1 entry, largest |z| ...: agent ..., round ..., statistic 0)
    """

    names: tuple[str, ...]
    observed: FloatArray
    predicted: FloatArray
    equilibrium: FloatArray
    standard_error: FloatArray

    def __repr__(self) -> str:
        rounds, agents, entries = self.observed.shape
        size = f"{counted(rounds, 'round')} × {counted(agents, 'agent')} × {counted(entries, 'entry', 'entries')}"
        z = np.abs(self.z_scores())
        if np.isnan(z).all():
            return f"TheoryCheck({size}, no z-scores)"
        place = [int(k) for k in np.unravel_index(int(np.nanargmax(z)), z.shape)]
        where = f"agent {place[1]}, round {place[0]}, {self.names[place[2]]}"
        return f"TheoryCheck({size}, largest |z| {np.nanmax(z):.2f}: {where})"

    def z_scores(self) -> FloatArray:
        """(observed − predicted) in standard errors; 0 where both are zero to rounding. Shape (rounds + 1, n_agents, K)."""
        gap = self.observed - self.predicted
        gap = np.where(np.abs(gap) <= 1e-9 * np.maximum(1.0, np.abs(self.predicted)), 0.0, gap)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(gap == 0.0, 0.0, gap / self.standard_error)

    def within(self, z: float = 6.0, *, tolerance: float = 0.0, rounds: slice | int | None = None) -> bool:
        """Whether every agent was where theory puts it, in all rounds, within z standard errors plus a tolerance.

        Parameters
        ----------
        z : float
            A Gaussian entry is outside six with probability 2e-9. Rare classes are skewed: one that a draw has 30 rows of
            on average is outside with probability 1e-7, with 5 rows 1e-6, with one row in ten draws 5e-3.
        tolerance : float
            For what theory leaves out: prior counts of a learner, or stratified draws whose class marginals have no noise. With
            ``10 / n`` (rows of a draw) an entry, however rare its class, is outside with probability at most 2e-9.
        rounds : int or slice, optional
            Which rounds count; by default all of them, since the prediction is one for every round. ``-1`` is the last. Entries
            without observation count as satisfied; where the standard error is not known (NaN), only the tolerance counts.
        """
        chosen = slice(None) if rounds is None else rounds
        gap = np.abs(self.observed - self.predicted)[chosen]
        limit = z * np.nan_to_num(self.standard_error[chosen], nan=0.0) + tolerance
        rounding = 1e-9 * np.maximum(1.0, np.abs(self.predicted[chosen]))
        return bool(np.all((gap <= limit + rounding) | np.isnan(gap)))

    def total_variation(self) -> FloatArray:
        """½ Σ_k |observed − equilibrium|, for statistics that are class marginals; shape (rounds + 1, n_agents)."""
        return np.asarray(0.5 * np.abs(self.observed - self.equilibrium).sum(axis=2))
