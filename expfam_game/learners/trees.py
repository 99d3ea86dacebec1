"""Trees over binary variables, and mixtures of them, with a class label: crisp images with an exact likelihood.

A tree-shaped law is p(x) = Π_j p(x_j | x_parent(j)). Chow and Liu: among all trees the likelihood is highest for the
maximum spanning tree whose edges weigh the mutual information of their ends, with the observed conditionals; a mixture
of trees is fitted by EM with that estimate, weighted, as its M-step. Missing variables are summed out exactly by
passing messages from the leaves to the root, and drawn exactly on the way back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expfam_game._typing import AnyArray, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidInput
from expfam_game.kernels.compiling import compiled, elementwise
from expfam_game.kernels.elementary import fast_log
from expfam_game.learners.checks import check_binary, checked_margin
from expfam_game.learners.mixture import Mixture

NEGLIGIBLE = 1e-14
"""A row that a component explains with a smaller share of its weight leaves no trace in its sums."""

START_ROWS = 20.0
"""Rows' worth of the law of all clusters together that a component starts with; later steps know nothing of it."""

TINY = 1e-300
"""Stands for zero in x log x."""


@dataclass(frozen=True)
class Encoded:
    """Rows of zeros and ones (uint8), and which of them are observed: None if all, else shape (n, D)."""

    values: AnyArray
    mask: BoolArray | None


@dataclass
class Sums:
    """Expected sums of a class; the diagonal of ``pairs`` counts the ones.

    Attributes
    ----------
    pairs : ndarray, shape (K, D, D)
        E Σ r x_i x_j.
    total : ndarray, shape (K,)
        Σ r.
    squares : float
        Σ (Σ_k r)² over the rows: the total squared over it is the effective number of rows (Kish).
    """

    pairs: FloatArray
    total: FloatArray
    squares: float = 0.0


class MixtureOfTrees(Mixture):
    """Mixture of K Chow–Liu trees per class over binary variables.

    Parameters
    ----------
    n_components, n_classes, label, max_iter, tol, warm_start, seed
        As in :class:`Mixture`.
    margin : float
        Conditional probabilities P(x_j = 1 | parent) are held in [margin, 1 − margin], 0 < margin < 1/2. The maximum of
        the likelihood under that bound, for a given tree, is the clipped ratio of expected counts, so the bound costs
        neither monotonicity nor idempotence.
    pseudo_count : float
        Rows' worth of the class's own pairwise counts, all components together, added to those of every component. Rows
        are counted in effective rows, (Σ w)² / Σ w², so only proportions of weights matter. With one component it
        changes nothing. With several it helps where rows are few (10 to 30 for some hundred rows a class), at a price:
        the estimate is no longer that of maximum likelihood, so ``history_`` may fall by a little, and components
        refitted to their own samples drift towards each other, while the pairwise law of the class stays nearly put.

    Attributes
    ----------
    parent_ : ndarray of int, shape (C, K, D)
        −1 for the root, which is variable 0.
    order_ : ndarray of int, shape (C, K, D)
        The variables, every parent before its children.
    conditional_ : ndarray, shape (C, K, D, 2)
        P(x_j = 1 | parent = 0) and P(x_j = 1 | parent = 1), equal for the root.

    Notes
    -----
    The M-step needs the expected counts of all pairs. Where two variables are missing in a row and joined by a path of
    missing ones they are correlated given the rest; E[x_v | x_u] is linear in a binary x_u, so along a path the
    covariance is a variance times slopes, and all pairs of a row cost one product each. A new tree replaces the old one
    only if it explains the expected counts better, so no step lowers the likelihood (T11). A row that shows no feature
    tells of classes and components only.

    Memory: 8 K D² bytes of expected counts for a class at a time, for all classes at once where labels are missing.

    References
    ----------
    C. Chow, C. Liu (1968), "Approximating discrete probability distributions with dependence trees".
    M. Meilă, M. Jordan (2000), "Learning with mixtures of trees".

    Examples
    --------
    The second variable copies the first, the third is its opposite:

    >>> import numpy as np
    >>> from expfam_game.learners import MixtureOfTrees
    >>> x = np.array([[0, 0, 1], [1, 1, 0]] * 10)
    >>> model = MixtureOfTrees(1, margin=0.01).fit([x])
    >>> model.conditional_[0, 0, 2]
    array([0.99, 0.01])
    >>> model.complete([[1, 0, 0]], observed=[True, False, False], seed=0)
    array([[1, 1, 0]])
    >>> np.exp(model.log_prob([[1, 0, 0]], observed=[True, False, False])).round(12)  # P(x_0 = 1)
    array([0.5])
    """

    parent_: IntArray
    order_: IntArray
    conditional_: FloatArray

    def __init__(
        self,
        n_components: int = 8,
        *,
        n_classes: int | None = None,
        label: int = -1,
        margin: float = 1e-3,
        pseudo_count: float = 0.0,
        max_iter: int = 30,
        tol: float = 0.1,
        warm_start: bool = True,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            n_components,
            n_classes=n_classes,
            label=label,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            seed=seed,
        )
        if not 0 <= pseudo_count < np.inf:
            raise InvalidInput(f"pseudo_count is {pseudo_count!r}; it must be non-negative and finite")
        self.margin = float(checked_margin(margin))
        self.pseudo_count = pseudo_count

    # ------------------------------------------------------------------ hooks

    def _allocate(self, n_features: int) -> None:
        shape = (self.class_prob_.size, self.n_components, n_features)
        self.order_ = np.broadcast_to(np.arange(n_features), shape).copy()
        self.parent_ = np.broadcast_to(
            np.minimum(np.arange(n_features), 1) - 1, shape
        ).copy()  # a star around variable 0
        self.conditional_ = np.full((*shape, 2), 0.5)

    def _encode(self, values: AnyArray, mask: BoolArray | None) -> Encoded:
        check_binary(values, self.n_classes)
        return Encoded(
            np.ascontiguousarray(values, dtype=np.uint8), None if mask is None else np.broadcast_to(mask, values.shape)
        )

    def _start(
        self, c: int, values: FloatArray, mask: BoolArray | None, responsibilities: FloatArray, rng: np.random.Generator
    ) -> None:
        """The tree of every cluster, drawn towards the class, from rows filled up with the frequencies of the class."""
        n = len(values)
        known = np.broadcast_to(np.ones((1, 1), dtype=bool) if mask is None else mask, values.shape)
        weights = responsibilities.sum(axis=1)
        frequency = (weights @ values + 0.5 / n) / (weights @ known + 1.0 / n)
        filled = np.where(known, values, frequency)
        for k in range(self.n_components):
            shares = responsibilities[:, k] + START_ROWS / n * weights
            pairs = np.zeros((values.shape[1], values.shape[1]))
            _add_gram(pairs, filled, shares)
            np.fill_diagonal(pairs, shares @ filled)  # of a frequency the square was added
            self._replace(c, k, pairs, float(shares.sum()), first=True)
        if self.n_components > 1:  # rows that are all alike must not make components that are all alike
            noise = rng.random((2, *self.conditional_[c].shape[:2], 1))
            conditional = self.conditional_[c] * (1.0 - 0.05 * noise[0]) + 0.025 * noise[1]
            self.conditional_[c] = np.clip(conditional, self.margin, 1.0 - self.margin)

    def _log_density(self, c: int, data: Encoded, rows: IntArray) -> FloatArray:
        x = data.values[rows]
        result = np.empty((rows.size, self.n_components))
        for k in range(self.n_components):
            table = log_table(self.conditional_[c, k])
            if data.mask is None:
                add_up(x, self.parent_[c, k], table, result[:, k])
            else:
                marginal(x, data.mask[rows], self.order_[c, k], self.parent_[c, k], table, result[:, k])
        return result

    def _new_statistics(self, c: int) -> Sums:
        k, d = self.n_components, self.n_features_
        return Sums(np.zeros((k, d, d)), np.zeros(k))

    def _accumulate(
        self, statistics: Sums, c: int, data: Encoded, rows: IntArray, responsibilities: FloatArray
    ) -> None:
        if data.mask is not None:
            shows = data.mask[rows].any(axis=1)
            rows, responsibilities = rows[shows], responsibilities[shows]
        weights = responsibilities.sum(axis=1)
        statistics.squares += float(weights @ weights)
        for k in range(self.n_components):
            kept = responsibilities[:, k] > NEGLIGIBLE * weights
            shares, x = np.ascontiguousarray(responsibilities[kept, k]), data.values[rows[kept]]
            expected = x.astype(np.float64)
            if data.mask is not None:
                mask, pairs = data.mask[rows[kept]], statistics.pairs[k]
                table = log_table(self.conditional_[c, k])
                expect(x, mask, shares, self.order_[c, k], self.parent_[c, k], table, expected, pairs)
            _add_gram(statistics.pairs[k], expected, shares)
            statistics.total[k] += shares.sum()

    def _maximise(self, c: int, statistics: Sums, mass: FloatArray) -> None:
        pairs, total = statistics.pairs, statistics.total
        seen = total > 0
        if not seen.any():
            return
        if self.pseudo_count > 0 and self.n_components > 1:
            extra = self.pseudo_count * statistics.squares / total.sum()  # the weight of that many effective rows
            pairs += extra * (pairs.sum(axis=0) / total.sum())
            total = total + extra
        for k in map(int, np.flatnonzero(seen)):
            self._replace(c, k, pairs[k], total[k])

    def _draw(self, c: int, components: IntArray, rng: np.random.Generator) -> AnyArray:
        shape = (components.size, self.n_features_)
        return self._fill(c, components, np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=bool), rng)

    def _fill(
        self, c: int, components: IntArray, values: AnyArray, mask: BoolArray, rng: np.random.Generator
    ) -> AnyArray:
        """Messages from the leaves up, then the missing variables drawn from the root down."""
        result = values.astype(np.uint8)
        uniform = rng.random(result.shape)
        for k in np.unique(components):
            mine = np.flatnonzero(components == k)
            x, table = result[mine], log_table(self.conditional_[c, k])
            draw_missing(x, mask[mine], uniform[mine], self.order_[c, k], self.parent_[c, k], table)
            result[mine] = x
        return result

    # ------------------------------------------------------------------ the M-step of one tree

    def _replace(self, c: int, k: int, pairs: FloatArray, total: float, first: bool = False) -> None:
        """The tree that explains the counts best; the present one if none does better. Overwrites the counts."""
        pairs /= total
        information = np.empty_like(pairs)
        mutual_information(pairs, information)
        order, parent = maximum_spanning_tree(information)
        conditional = self._conditionals(pairs, parent)
        if not first:
            present = self._conditionals(pairs, self.parent_[c, k])
            gain = _expected_log_prob(pairs, parent, conditional) - _expected_log_prob(
                pairs, self.parent_[c, k], present
            )
            if gain <= 1e-12 * pairs.shape[0]:
                self.conditional_[c, k] = present
                return
        self.order_[c, k], self.parent_[c, k], self.conditional_[c, k] = order, parent, conditional

    def _conditionals(self, pairs: FloatArray, parent: IntArray) -> FloatArray:
        """Ratios of expected counts, within the margin; where the parent never takes a value, the frequency itself."""
        joint, above, ones = _edges(pairs, parent)
        frequencies = np.stack([ones, ones], axis=1)
        counts = np.stack([ones - joint, joint], axis=1)
        sizes = np.stack([1.0 - above, above], axis=1)
        usable = (sizes > 1e-14) & (parent >= 0)[:, None]
        ratio = np.divide(counts, sizes, out=frequencies, where=usable)
        return np.clip(ratio, self.margin, 1.0 - self.margin)


class ChowLiuTree(MixtureOfTrees):
    """One Chow–Liu tree per class over binary variables: the maximum-likelihood tree in closed form.

    A :class:`MixtureOfTrees` with one component. Where nothing is missing one step reaches the maximum and a second one
    finds that it has been reached.

    Parameters
    ----------
    n_classes, label, margin, max_iter, tol, warm_start, seed
        As in :class:`MixtureOfTrees`.

    Examples
    --------
    >>> import numpy as np
    >>> from expfam_game.learners import ChowLiuTree
    >>> x = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])
    >>> ChowLiuTree(margin=0.01).fit([x]).conditional_[0, 0]
    array([[0.5 , 0.5 ],
           [0.01, 0.99],
           [0.5 , 0.5 ]])
    """

    def __init__(
        self,
        *,
        n_classes: int | None = None,
        label: int = -1,
        margin: float = 1e-3,
        max_iter: int = 30,
        tol: float = 0.1,
        warm_start: bool = True,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            1,
            n_classes=n_classes,
            label=label,
            margin=margin,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            seed=seed,
        )


# ---------------------------------------------------------------------- arrays


def log_table(conditional: FloatArray) -> FloatArray:
    """log P(x_j = b | parent = a) at [j, a, b], shape (D, 2, 2)."""
    return np.stack([np.log1p(-conditional), np.log(conditional)], axis=2)


def _add_gram(pairs: FloatArray, x: FloatArray, shares: FloatArray) -> None:
    """Add Xᵀ diag(shares) X. Written as a product of a matrix with itself, half of which BLAS need not compute."""
    scaled = x * np.sqrt(shares)[:, None]
    pairs += scaled.T @ scaled


def _edges(pairs: FloatArray, parent: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P(x_j = 1, parent = 1), P(parent = 1) and P(x_j = 1); the root counts as its own parent."""
    ones = np.clip(pairs.diagonal(), 0.0, 1.0)
    nodes = np.arange(parent.size)
    above = np.where(parent >= 0, parent, nodes)
    low = np.maximum(0.0, ones + ones[above] - 1.0)
    joint = np.clip(pairs[nodes, above], low, np.minimum(ones, ones[above]))
    return joint, ones[above], ones


def _expected_log_prob(pairs: FloatArray, parent: IntArray, conditional: FloatArray) -> float:
    """Mean log-probability of a tree under pairwise frequencies."""
    joint, above, ones = _edges(pairs, parent)
    cells = np.array([[1.0 - above - ones + joint, ones - joint], [above - joint, joint]])  # parent's value, own value
    terms = cells * log_table(conditional).transpose(1, 2, 0)
    root = parent < 0
    alone = (1.0 - ones) * np.log1p(-conditional[:, 0]) + ones * np.log(conditional[:, 0])
    return float(terms.sum(axis=(0, 1))[~root].sum() + alone[root].sum())


# ---------------------------------------------------------------------- kernels


@elementwise
def x_log_x(x: float) -> float:
    """x log x; zero where rounding has left nothing or less."""
    positive = max(x, TINY)
    return float(positive * fast_log(positive))


@elementwise
def mutual_information(pairs: FloatArray, out: FloatArray) -> None:
    """Mutual information of every pair in nats, from the frequencies of both being one; zero on the diagonal."""
    d = pairs.shape[0]
    ones, negentropy = np.empty(d), np.empty(d)
    for i in range(d):
        ones[i] = pairs[i, i]
        negentropy[i] = x_log_x(ones[i]) + x_log_x(1.0 - ones[i])
    for i in range(d):
        p, known, row, result = ones[i], negentropy[i], pairs[i], out[i]
        for j in range(i):  # free of branches and strides, so that it fills vector registers
            joint = x_log_x(row[j]) + x_log_x(p - row[j])
            joint += x_log_x(ones[j] - row[j]) + x_log_x(1.0 - p - ones[j] + row[j])
            result[j] = max(joint - known - negentropy[j], 0.0)
        result[i] = 0.0
        for j in range(i):
            out[j, i] = result[j]


@compiled
def maximum_spanning_tree(weights: FloatArray) -> tuple[IntArray, IntArray]:
    """Nodes in the order in which Prim's algorithm meets them, and their parents (−1 for node 0); O(D²)."""
    d = weights.shape[0]
    order, parent = np.zeros(d, np.int64), np.zeros(d, np.int64)
    best = weights[0].copy()
    parent[0], best[0] = -1, -1.0
    for step in range(1, d):
        node = np.argmax(best)
        order[step] = node
        best[node] = -1.0  # weights are not negative, so it is never met again
        for j in range(d):
            if best[j] >= 0.0 and weights[node, j] > best[j]:
                best[j], parent[j] = weights[node, j], node
    return order, parent


@compiled
def add_up(x: AnyArray, parent: IntArray, table: FloatArray, out: FloatArray) -> None:
    """out[i] = log p(x_i) where all variables are observed."""
    n, d = x.shape
    for i in range(n):
        row, total = x[i], 0.0
        for j in range(d):
            above = row[parent[j]] if parent[j] >= 0 else row[j]  # the root's table does not depend on it
            total += table[j, above, row[j]]
        out[i] = total


@compiled
def log_add(a: float, b: float) -> float:
    """log(e^a + e^b)."""
    return float(max(a, b) + np.log1p(np.exp(-abs(a - b))))


@compiled
def log_odds(table: FloatArray, below: FloatArray, node: int, above: int) -> float:
    """Log-odds of a missing node being one, given its parent's value and all that is observed beneath it."""
    return float(table[node, above, 1] + below[node, 1] - table[node, above, 0] - below[node, 0])


@compiled
def pass_up(
    x: AnyArray, mask: BoolArray, order: IntArray, parent: IntArray, table: FloatArray, below: FloatArray
) -> float:
    """log p of what is observed in a row; below[j, b] becomes log p(observed beneath j | x_j = b)."""
    below[:] = 0.0
    for step in range(order.size - 1, -1, -1):
        node = order[step]
        if not mask[node] and below[node, 0] == below[node, 1]:
            zero = one = below[node, 0]  # says nothing about its parent; conditional probabilities sum to one
        elif mask[node]:
            value = x[node]
            zero, one = table[node, 0, value] + below[node, value], table[node, 1, value] + below[node, value]
        else:
            zero = log_add(table[node, 0, 0] + below[node, 0], table[node, 0, 1] + below[node, 1])
            one = log_add(table[node, 1, 0] + below[node, 0], table[node, 1, 1] + below[node, 1])
        if parent[node] < 0:
            return float(zero)
        below[parent[node], 0] += zero
        below[parent[node], 1] += one
    return 0.0


@compiled
def marginal(
    x: AnyArray, mask: BoolArray, order: IntArray, parent: IntArray, table: FloatArray, out: FloatArray
) -> None:
    """out[i] = log p of what is observed in row i."""
    below = np.empty((order.size, 2))
    for i in range(x.shape[0]):
        out[i] = pass_up(x[i], mask[i], order, parent, table, below)


@compiled
def draw_missing(
    x: AnyArray, mask: BoolArray, uniform: FloatArray, order: IntArray, parent: IntArray, table: FloatArray
) -> None:
    """Draw what is missing given what is observed, in place."""
    below = np.empty((order.size, 2))
    for i in range(x.shape[0]):
        pass_up(x[i], mask[i], order, parent, table, below)
        for node in order:
            if not mask[i, node]:
                above = x[i, parent[node]] if parent[node] >= 0 else 0
                probability = 1.0 / (1.0 + np.exp(-log_odds(table, below, node, above)))
                x[i, node] = 1 if uniform[i, node] < probability else 0


@compiled
def expect(
    x: AnyArray,
    mask: BoolArray,
    shares: FloatArray,
    order: IntArray,
    parent: IntArray,
    table: FloatArray,
    expected: FloatArray,
    pairs: FloatArray,
) -> None:
    """expected[i] = E[x_i | observed]; to the pairs is added Σ shares[i] · Cov[x_i | observed].

    Missing nodes that missing ones join form a block, kept as a chain from its newest node to its oldest. A new node's
    covariance with the nodes before it is its slope, P(1 | parent = 1) − P(1 | parent = 0), times that of its parent.
    """
    d = order.size
    below = np.empty((d, 2))
    covariance = np.zeros((d, d))
    block, earlier, newest = np.empty(d, np.int64), np.empty(d, np.int64), np.empty(d, np.int64)
    for i in range(x.shape[0]):
        mean = expected[i]
        pass_up(x[i], mask[i], order, parent, table, below)
        for node in order:
            if mask[i, node]:
                mean[node] = x[i, node]
                continue
            p = parent[node]
            one = 1.0 / (1.0 + np.exp(-log_odds(table, below, node, 1)))
            zero = 1.0 / (1.0 + np.exp(-log_odds(table, below, node, 0)))
            above = mean[p] if p >= 0 else 0.0
            mean[node] = zero + above * (one - zero)
            joined = p >= 0 and not mask[i, p]
            block[node] = block[p] if joined else node
            earlier[node] = newest[block[node]] if joined else -1
            newest[block[node]] = node
            other = earlier[node]
            while other >= 0:
                value = (one - zero) * covariance[p, other]
                covariance[node, other] = covariance[other, node] = value
                pairs[node, other] += shares[i] * value
                pairs[other, node] += shares[i] * value
                other = earlier[other]
            covariance[node, node] = mean[node] * (1.0 - mean[node])
            pairs[node, node] += shares[i] * covariance[node, node]
