"""Ising(edges): spins ±1 on a graph. φ = (x_s; x_s x_t on the edges). Exact: forests of any size, or at most 20 sites."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, xlogy

from expfam_game._typing import AnyArray, BoolArray, FloatArray, IntArray
from expfam_game.errors import InvalidInput, MissingExtra
from expfam_game.families.base import Family
from expfam_game.families.bernoulli import log_odds_kl
from expfam_game.families.checks import Rule
from expfam_game.families.enumerated_spins import Enumeration
from expfam_game.families.newton import invert_mean, solve_mean
from expfam_game.kernels.streams import StreamKey

if TYPE_CHECKING:
    from expfam_game.kernels.covariance import Draw

_MOST_SITES = 20


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Ising(Family):
    """Ising model on a graph: spins x_s = ±1 with fields θ_s and couplings θ_st.

    p(x) ∝ exp(Σ_s θ_s x_s + Σ_{s–t} θ_st x_s x_t); φ lists the spins, then the products over the edges in the order of
    ``edges``. On forests of any size everything is computed by belief propagation in log-odds, including a closed inverse
    from pairwise marginals (Wainwright & Jordan 2008, §4.1.2). Graphs with loops are enumerated up to 20 sites by fast
    Walsh–Hadamard transforms: all 2^n energies, the means and the Fisher information, E[x_S x_T] = E[x_{S△T}], are entries
    of such transforms. Larger graphs with loops are refused.

    Ranges: forests are stable for fields and couplings up to 300 in absolute value; graphs with loops keep an absolute
    error of about 1e-14 (1 + Σ|θ|) in A(θ) and 1e-15 (1 + Σ|θ|) in the means. Natural parameters are recovered as far as the
    doubles holding μ determine them, roughly to 1e-16 divided by the smallest pair probability; on loops that smallest
    probability should be 1e-10 or more.

    Mean space: for a forest the means for which all four probabilities (1 ± μ_s ± μ_t + μ_st)/4 of every edge are positive
    (exact). With loops these conditions are only necessary; a mean that passes them is accepted if Newton's method finds
    its natural parameter.

    Parameters
    ----------
    edges : sequence of pairs of int
        No loops at a site, no edge twice; the two ends may be given in either order.
    n_sites : int, optional
        Number of sites, the greatest index plus one by default; more to add isolated sites.

    References
    ----------
    M. J. Wainwright, M. I. Jordan, "Graphical models, exponential families, and variational inference", Foundations and
    Trends in Machine Learning 1 (2008) 1–305.

    Examples
    --------
    >>> import numpy as np, expfam_game as eg
    >>> family = eg.families.Ising.chain(3)
    >>> family.statistic([1, -1, -1])
    array([ 1., -1., -1., -1.,  1.])
    >>> family.to_mean([0.0, 0.0, 0.0, 1.0, 1.0]).round(4)
    array([0.    , 0.    , 0.    , 0.7616, 0.7616])
    """

    edges: tuple[tuple[int, int], ...]
    n_sites: int

    def __init__(self, edges: Sequence[tuple[int, int]], n_sites: int | None = None) -> None:
        pairs = _checked_edges(edges)
        least = max((t + 1 for _, t in pairs), default=1)
        sites = least if n_sites is None else n_sites
        if isinstance(sites, bool) or not isinstance(sites, (int, np.integer)) or sites < least:
            raise InvalidInput(
                f"Ising: n_sites is {n_sites!r}; it must be an integer, at least {least} for these edges"
            )
        object.__setattr__(self, "edges", pairs)
        object.__setattr__(self, "n_sites", int(sites))
        if not self._is_forest and self.n_sites > _MOST_SITES:
            raise InvalidInput(
                f"Ising: the graph has {self.n_sites} sites and a loop; exact computation needs a graph without loops or "
                f"at most {_MOST_SITES} sites"
            )

    @classmethod
    def chain(cls, n: int) -> Ising:
        """The path 0 – 1 – … – n−1."""
        return cls([(s, s + 1) for s in range(_positive(n, "n") - 1)], n)

    @classmethod
    def grid(cls, rows: int, columns: int) -> Ising:
        """A rows × columns grid, sites numbered row by row, free boundary."""
        at = np.arange(_positive(rows, "rows") * _positive(columns, "columns")).reshape(rows, columns)
        across = np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()], axis=1)
        down = np.stack([at[:-1].ravel(), at[1:].ravel()], axis=1)
        return cls([(int(s), int(t)) for s, t in np.concatenate([across, down])], rows * columns)

    @classmethod
    def complete(cls, n: int) -> Ising:
        """Every pair of n sites coupled (the Boltzmann machine without hidden units)."""
        return cls(list(combinations(range(_positive(n, "n")), 2)), n)

    @classmethod
    def from_networkx(cls, graph: Any) -> Ising:
        """The graph's nodes in their order become sites 0, 1, …; directions and multiplicities are ignored."""
        try:
            import networkx as nx
        except ImportError:
            raise MissingExtra("networkx", "networkx", "Ising.from_networkx") from None
        number = {node: k for k, node in enumerate(graph.nodes)}
        simple = nx.Graph(graph)
        return cls([(number[s], number[t]) for s, t in simple.edges], len(number))

    def __repr__(self) -> str:
        return f"Ising(sites={self.n_sites}, edges={len(self.edges)})"

    @property
    def dim(self) -> int:
        return self.n_sites + len(self.edges)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.n_sites,)

    @property
    def statistic_names(self) -> tuple[str, ...]:
        return tuple(f"x[{s}]" for s in range(self.n_sites)) + tuple(f"x[{s}]x[{t}]" for s, t in self.edges)

    @cached_property
    def _pairs(self) -> IntArray:
        return np.array(self.edges, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def _is_forest(self) -> bool:
        return _number_of_parts(self.n_sites, self._pairs) == self.n_sites - len(self.edges)

    @cached_property
    def _engine(self) -> _Forest | Enumeration:
        return _Forest(self.n_sites, self._pairs) if self._is_forest else Enumeration(self.n_sites, self._pairs)

    def reference_mean(self) -> FloatArray:
        return np.zeros(self.dim)

    def _support_rules(self, x: AnyArray) -> Iterable[Rule]:
        yield (x == 1) | (x == -1), "a spin must be −1 or +1"

    def _mean_rules(self, mu: FloatArray) -> Iterable[Rule]:
        yield np.abs(mu) < 1, "a mean spin or correlation must lie strictly between −1 and 1"
        least = _pair_probabilities(mu, self.n_sites, self._pairs).min(axis=-1)
        holds = np.ones(mu.shape, dtype=bool)
        holds[..., self.n_sites :] = least > 0
        yield (
            holds,
            "the probabilities (1 ± μ_s ± μ_t + μ_st)/4 of the four states of an edge must be positive",
        )
        if not self._is_forest:
            yield (
                self._attained(mu, np.asarray(holds.all(axis=-1))),
                "the mean must lie strictly inside the marginal polytope",
            )

    def _attained(self, mu: FloatArray, candidates: BoolArray) -> BoolArray:
        good = np.asarray(candidates & (np.abs(mu) < 1).all(axis=-1))
        result = good.copy()
        if good.any():
            result[good] = solve_mean(self, mu[good], self._start(mu[good])).converged
        return result

    def _start(self, mu: FloatArray) -> FloatArray:
        start = np.zeros_like(mu)
        start[..., : self.n_sites] = np.arctanh(mu[..., : self.n_sites])
        return start

    def _statistic(self, x: AnyArray) -> FloatArray:
        spins = x.astype(np.float64)
        return np.concatenate([spins, spins[..., self._pairs[:, 0]] * spins[..., self._pairs[:, 1]]], axis=-1)

    def _log_partition(self, theta: FloatArray) -> FloatArray:
        flat = theta.reshape(-1, self.dim)
        return self._engine.log_partition(flat).reshape(theta.shape[:-1])

    def _to_mean(self, theta: FloatArray) -> FloatArray:
        # a sum of probabilities near one may be rounded beyond it
        return np.clip(self._engine.mean(theta.reshape(-1, self.dim)), -1.0, 1.0).reshape(theta.shape)

    def _to_natural(self, mu: FloatArray) -> FloatArray:
        if self._is_forest:
            return _forest_natural(mu, self.n_sites, self._pairs)
        return invert_mean(self, mu, self._start(mu))

    def _fisher_information(self, theta: FloatArray) -> FloatArray:
        return self._engine.fisher(theta.reshape(-1, self.dim)).reshape(*theta.shape, self.dim)

    def _variance(self, theta: FloatArray) -> FloatArray:
        return self._engine.variance(theta.reshape(-1, self.dim)).reshape(theta.shape)

    def _entropy(self, theta: FloatArray) -> FloatArray:
        return self._engine.entropy(theta.reshape(-1, self.dim)).reshape(theta.shape[:-1])

    def _kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        a, b = theta_a.reshape(-1, self.dim), theta_b.reshape(-1, self.dim)
        return self._engine.kl(a, b).reshape(theta_a.shape[:-1])

    def _sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        x = self._engine.sample(theta.reshape(-1, self.dim), n, rng)
        return x.reshape(*theta.shape[:-1], n, self.n_sites)

    def _fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        return self._engine.fused_moments(theta, n, key)

    def _fused_covariance(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray] | None:
        return self._engine.fused_covariance(theta, n, key)

    def _covariance_draws(self, theta: FloatArray) -> list[Draw] | None:
        return self._engine.draws(theta)


# ---------------------------------------------------------------------- pairwise marginals


def _pair_probabilities(mu: FloatArray, sites: int, pairs: IntArray) -> FloatArray:
    """Probabilities of (+,+), (+,−), (−,+), (−,−) on each edge, shape ``(..., edges, 4)``."""
    s, t, st = mu[..., pairs[:, 0]], mu[..., pairs[:, 1]], mu[..., sites:]
    # 1 + st and s + t are formed first: both are exact near the corners, where the result is small
    return 0.25 * np.stack([(1 + st) + (s + t), (1 - st) + (s - t), (1 - st) - (s - t), (1 + st) - (s + t)], axis=-1)


def _forest_natural(mu: FloatArray, sites: int, pairs: IntArray) -> FloatArray:
    """From log p = Σ_edges log p_st + Σ_sites (1 − degree) log p_s."""
    log_p = np.log(_pair_probabilities(mu, sites, pairs))
    spin = mu[..., :sites]
    degree = np.bincount(pairs.ravel(), minlength=sites)
    theta = np.empty_like(mu)
    theta[..., sites:] = 0.25 * (log_p[..., 0] - log_p[..., 1] - log_p[..., 2] + log_p[..., 3])
    fields = (1 - degree) * np.arctanh(spin)
    first = 0.25 * (log_p[..., 0] + log_p[..., 1] - log_p[..., 2] - log_p[..., 3])
    second = 0.25 * (log_p[..., 0] - log_p[..., 1] + log_p[..., 2] - log_p[..., 3])
    by_site = np.moveaxis(fields, -1, 0)
    np.add.at(by_site, pairs[:, 0], np.moveaxis(first, -1, 0))
    np.add.at(by_site, pairs[:, 1], np.moveaxis(second, -1, 0))
    theta[..., :sites] = fields
    return theta


# ---------------------------------------------------------------------- forests


@dataclass(frozen=True)
class _Level:
    """Sites at one depth below the roots, their parents and the edges between."""

    child: IntArray
    parent: IntArray
    edge: IntArray


@dataclass(frozen=True)
class _Conditionals:
    """Laws read off the upward pass; the first axis runs over sites, the second over agents.

    ``odds`` are the half log-odds λ_s of a site given its subtree: x_s | x_parent = ± has log-odds 2(λ_s ± J_s).
    ``joint[i, j]`` is the probability of parent = (+, −)[i], site = (+, −)[j]; roots have a fair independent parent.
    """

    odds: FloatArray
    coupling: FloatArray
    joint: FloatArray


class _Forest:
    """Belief propagation on a forest, level by level; arrays are (sites, agents)."""

    def __init__(self, sites: int, pairs: IntArray) -> None:
        self.sites, self.pairs = sites, pairs
        self.levels, self.roots = _levels(sites, pairs)
        self.parent = np.full(sites, -1)
        self.edge = np.full(sites, -1)
        for level in self.levels:
            self.parent[level.child], self.edge[level.child] = level.parent, level.edge
        self.inner = np.flatnonzero(self.parent >= 0)

    def _upward(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Half log-odds of each site given its subtree, and A(θ)."""
        odds = theta[:, : self.sites].T.copy()
        coupling = theta[:, self.sites :].T
        log_z = np.zeros(len(theta))
        for level in reversed(self.levels):
            j, below = coupling[level.edge], odds[level.child]
            same, different = _log_two_cosh(j + below), _log_two_cosh(j - below)
            np.add.at(odds, level.parent, 0.5 * (same - different))
            log_z += 0.5 * (same + different).sum(axis=0)
        return odds, log_z + _log_two_cosh(odds[self.roots]).sum(axis=0)

    def _conditionals(self, theta: FloatArray) -> _Conditionals:
        odds, _ = self._upward(theta)
        coupling = np.zeros_like(odds)
        coupling[self.inner] = theta.T[self.sites + self.edge[self.inner]]
        up, down = 2.0 * (odds + coupling), 2.0 * (odds - coupling)
        joint = np.array([[expit(up), expit(-up)], [expit(down), expit(-down)]])
        marginal = np.full((2, *odds.shape), 0.5)
        marginal[:, self.roots] = joint[0][:, self.roots]
        for level in self.levels:
            above = marginal[:, level.parent]
            marginal[:, level.child] = (above[:, None] * joint[:, :, level.child]).sum(axis=0)
        above = np.full_like(marginal, 0.5)
        above[:, self.inner] = marginal[:, self.parent[self.inner]]
        return _Conditionals(odds, coupling, above[:, None] * joint)

    def log_partition(self, theta: FloatArray) -> FloatArray:
        return self._upward(theta)[1]

    def mean(self, theta: FloatArray) -> FloatArray:
        joint = self._conditionals(theta).joint
        return self._as_statistics(
            (joint[0, 0] + joint[1, 0]) - (joint[0, 1] + joint[1, 1]),
            (joint[0, 0] + joint[1, 1]) - (joint[0, 1] + joint[1, 0]),
        )

    def variance(self, theta: FloatArray) -> FloatArray:
        joint = self._conditionals(theta).joint
        return self._as_statistics(
            4.0 * (joint[0, 0] + joint[1, 0]) * (joint[0, 1] + joint[1, 1]),
            4.0 * (joint[0, 0] + joint[1, 1]) * (joint[0, 1] + joint[1, 0]),
        )

    def _as_statistics(self, of_sites: FloatArray, of_edges: FloatArray) -> FloatArray:
        result = np.empty((of_sites.shape[1], self.sites + len(self.pairs)))
        result[:, : self.sites] = of_sites.T
        result[:, self.sites + self.edge[self.inner]] = of_edges[self.inner].T
        return result

    def fisher(self, theta: FloatArray) -> FloatArray:
        """Row by row from the roots: given its parent p, x_s is independent of everything seen before it.

        With E[x_s | x_p] = a + b x_p, Cov(f, x_s) = b Cov(f, x_p) and Cov(f, x_s x_p) = a Cov(f, x_p) for every earlier f.
        """
        law = self._conditionals(theta)
        slope, offset = _affine_conditional(law.odds, law.coupling)
        variance = self.variance(theta)
        result = np.zeros((*variance.shape, variance.shape[1]))
        every = np.arange(variance.shape[1])
        result[:, every, every] = variance
        seen = np.zeros(0, dtype=np.int64)
        for s in [*self.roots, *(site for level in self.levels for site in level.child)]:
            if self.parent[s] < 0:
                seen = np.append(seen, s)
                continue
            e = self.sites + self.edge[s]
            above = result[:, self.parent[s]][:, seen]
            for row, factor in ((s, slope[s]), (e, offset[s])):
                result[:, row, seen] = result[:, seen, row] = factor[:, None] * above
            # spin s against the edge's agreement: the 2×2 determinant of their joint law
            inside = law.joint[0, 0, s] * law.joint[0, 1, s] - law.joint[1, 0, s] * law.joint[1, 1, s]
            result[:, s, e] = result[:, e, s] = 4.0 * inside
            seen = np.append(seen, (s, e))
        return result

    def entropy(self, theta: FloatArray) -> FloatArray:
        """The chain rule: the entropy of each site given its parent."""
        joint = self._conditionals(theta).joint
        above = joint.sum(axis=1, keepdims=True)
        given = np.divide(joint, above, out=np.zeros_like(joint), where=above > 0)
        return np.asarray(-(above * xlogy(given, given)).sum(axis=(0, 1, 2)))

    def kl(self, theta_a: FloatArray, theta_b: FloatArray) -> FloatArray:
        """The chain rule: the divergence of each site given its parent, averaged over the parent."""
        a, b = self._conditionals(theta_a), self._conditionals(theta_b)
        total = np.zeros(len(theta_a))
        for sign, parent in ((1.0, 0), (-1.0, 1)):
            given = log_odds_kl(2.0 * (a.odds + sign * a.coupling), 2.0 * (b.odds + sign * b.coupling))
            total += (a.joint[parent].sum(axis=0) * given).sum(axis=0)
        return total

    def sample(self, theta: FloatArray, n: int, rng: np.random.Generator) -> AnyArray:
        odds, _ = self._upward(theta)
        coupling = theta[:, self.sites :].T
        x = np.empty((self.sites, len(theta), n), dtype=np.int8)
        x[self.roots] = _spins(expit(2.0 * odds[self.roots]), n, rng)
        for level in self.levels:
            j, below = coupling[level.edge], odds[level.child]
            high = _spins(expit(2.0 * np.stack([below + j, below - j])), n, rng, shared=True)
            x[level.child] = np.where(x[level.parent] > 0, high[0], high[1])
        return np.moveaxis(x, 0, -1)

    def fused_moments(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
        """Counts of spins up and of agreements with the parent, site by site from the roots."""
        from expfam_game.kernels.count_moments import forest_counts

        rare, flipped = self._rarer_values(theta)
        counts = forest_counts(self._order, self.parent.astype(np.int64), rare, flipped, n, key)
        mean = self._as_statistics(*(2.0 * part.T / n - 1.0 for part in np.split(counts, 2, axis=1)))
        scatter = self._as_statistics(*(4.0 * part.T * ((n - part.T) / n) for part in np.split(counts, 2, axis=1)))
        return mean, scatter

    @cached_property
    def _order(self) -> IntArray:
        """The sites from the roots on."""
        return np.concatenate([self.roots, *(level.child for level in self.levels)]).astype(np.int64)

    def _rarer_values(self, theta: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Probability of the rarer value of each site given its parent's (agents, sites, 2), and whether that is down."""
        odds, _ = self._upward(theta)
        coupling = np.zeros_like(odds)
        coupling[self.inner] = theta.T[self.sites + self.edge[self.inner]]
        log_odds = np.moveaxis(2.0 * np.stack([odds - coupling, odds + coupling]), (0, 1, 2), (2, 1, 0))
        return expit(-np.abs(log_odds)), log_odds > 0

    def _tree(self) -> tuple[IntArray, IntArray, IntArray]:
        """Order of the sites, their parents, and where the statistic of the edge to the parent stands."""
        place = np.where(self.parent >= 0, self.sites + self.edge, 0)
        return self._order, self.parent.astype(np.int64), place.astype(np.int64)

    def fused_covariance(self, theta: FloatArray, n: int, key: StreamKey) -> tuple[FloatArray, FloatArray]:
        """Sixty-four samples to a word, so that pairs of statistics are counted together."""
        from expfam_game.kernels.bit_moments import forest_scatter

        return forest_scatter(*self._tree(), *self._rarer_values(theta), n, key)

    def draws(self, theta: FloatArray) -> list[Draw] | None:
        from expfam_game.kernels.bit_moments import forest_draw

        return [forest_draw(*self._tree(), *self._rarer_values(theta), self.mean(theta))]


def _spins(up: FloatArray, n: int, rng: np.random.Generator, shared: bool = False) -> AnyArray:
    """n spins for each probability of +1; ``shared``: one uniform number serves all entries of the first axis."""
    shape = up.shape[1:] if shared else up.shape
    return np.where(rng.random((*shape, n)) < up[..., None], 1, -1).astype(np.int8)


def _log_two_cosh(z: FloatArray) -> FloatArray:
    size = np.abs(z)
    return np.asarray(size + np.log1p(np.exp(-2.0 * size)))


def _affine_conditional(odds: FloatArray, coupling: FloatArray) -> tuple[FloatArray, FloatArray]:
    """b and a in E[x_s | x_p] = a + b x_p, as products, so that nothing cancels when both are near 0 or ±1."""

    def difference(even: FloatArray, odd: FloatArray) -> FloatArray:
        """(tanh(even + odd) − tanh(even − odd)) / 2 for odd ≥ 0."""
        return np.asarray(expit(2.0 * (even + odd)) * expit(2.0 * (odd - even)) * -np.expm1(-4.0 * np.abs(odd)))

    slope = np.sign(coupling) * difference(odds, np.abs(coupling))
    offset = np.sign(odds) * difference(coupling, np.abs(odds))
    return slope, offset


def _levels(sites: int, pairs: IntArray) -> tuple[list[_Level], IntArray]:
    """Breadth-first levels from a middle site of each tree, so that a chain of n has n/2 of them."""
    neighbours: list[list[tuple[int, int]]] = [[] for _ in range(sites)]
    for edge, (s, t) in enumerate(pairs.tolist()):
        neighbours[s].append((t, edge))
        neighbours[t].append((s, edge))
    roots, done = [], np.zeros(sites, dtype=bool)
    for site in range(sites):
        if not done[site]:
            far, members, _ = _walk(site, neighbours)
            done[members] = True
            end, _, above = _walk(far, neighbours)
            roots.append(_middle(end, above))
    levels = []
    front, came = roots, dict.fromkeys(roots, -1)
    while front:
        steps = [(t, s, edge) for s in front for t, edge in neighbours[s] if t != came[s]]
        came.update((t, s) for t, s, _ in steps)
        front = [t for t, _, _ in steps]
        if steps:
            child, parent, edge_ids = np.array(steps, dtype=np.int64).T
            levels.append(_Level(child, parent, edge_ids))
    return levels, np.array(roots, dtype=np.int64)


def _walk(site: int, neighbours: list[list[tuple[int, int]]]) -> tuple[int, list[int], dict[int, int]]:
    """Breadth-first walk: the last site reached, all sites, and the site from which each was reached."""
    above, order = {site: -1}, [site]
    for s in order:
        for t, _ in neighbours[s]:
            if t not in above:
                above[t] = s
                order.append(t)
    return order[-1], order, above


def _middle(end: int, above: dict[int, int]) -> int:
    path = [end]
    while above[path[-1]] >= 0:
        path.append(above[path[-1]])
    return path[len(path) // 2]


# ---------------------------------------------------------------------- checks of the constructor


def _checked_edges(edges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: dict[tuple[int, int], None] = {}
    for edge in edges:
        try:
            s, t = (int(end) for end in edge)
            whole = all(int(end) == end for end in edge)
        except (TypeError, ValueError):
            raise InvalidInput(f"Ising: edge {edge!r} is not a pair of site numbers") from None
        if s == t or min(s, t) < 0 or not whole:
            raise InvalidInput(f"Ising: edge {edge!r} must join two different sites numbered 0, 1, …")
        pair = (min(s, t), max(s, t))
        if pair in found:
            raise InvalidInput(f"Ising: edge {pair} occurs twice; each pair of sites may be coupled once")
        found[pair] = None
    return tuple(found)


def _positive(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InvalidInput(f"Ising: {name} is {value!r}; it must be an integer, at least 1")
    return int(value)


def _number_of_parts(sites: int, pairs: IntArray) -> int:
    """Connected components, by union and find."""
    leader = list(range(sites))

    def find(s: int) -> int:
        while leader[s] != s:
            leader[s] = leader[leader[s]]
            s = leader[s]
        return s

    parts = sites
    for s, t in pairs.tolist():
        a, b = find(s), find(t)
        if a != b:
            leader[a] = b
            parts -= 1
    return parts
