"""A light model of drawings that feeds main models of pictures: what the agents with different variables fit.

Class c and style k stand over one or two drawings (binary, one Bernoulli a pixel); a drawing may be the ink of a picture
whose pixels are symbols of a small palette. A picture has a backdrop of some kind b; each pixel draws its symbol from the
table of that kind for ink or for no ink:

    p(c) p(k | c) Π_d Π_p Bern(s_dp; θ_dckp) p(b) Π_p T_bp[s_p, x_p].

An exponential family with hidden variables: whatever is not observed is summed out, pixel by pixel, in closed form, and EM
has closed-form steps (T11). Nothing is known in advance about what ink does to a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.kernels.compiling import compiled, reduction
from expfam_game.learners.clustering import cluster
from expfam_game.learners.label_column import stratified
from expfam_game.learners.log_space import draw_index, log_sum_exp
from expfam_game.samples import SampleSet, share_out

BLOCK = 256
"""Rows worked off together, which bounds the memory."""

TRACE = 1e-6  # a component with a smaller share of a row leaves no trace in its sums

GIVEN_UP = -60.0  # log-probability of a component that has none, for rows that name it

FLAT = 0.2
"""Probability of ink before anything is known about a drawing."""


@dataclass(frozen=True)
class Layout:
    """The columns of a table: class, style, the drawings, and the picture that lies over the last of them, if any."""

    pixels: int
    drawings: int = 1
    picture: bool = False

    @property
    def width(self) -> int:
        return 2 + self.pixels * (self.drawings + self.picture)

    def drawing(self, d: int) -> slice:
        return slice(2 + d * self.pixels, 2 + (d + 1) * self.pixels)

    @property
    def over(self) -> slice:
        """The picture's columns."""
        return slice(2 + self.drawings * self.pixels, self.width)


@dataclass
class Rows:
    """Samples in which the same blocks of variables are observed; −1 where class or style is not.

    ``drawings[d]`` and ``picture`` are None where not observed.
    """

    labels: IntArray
    styles: IntArray
    drawings: list[AnyArray | None]
    picture: AnyArray | None
    weights: FloatArray

    def take(self, index: Any) -> Rows:
        drawings = [None if x is None else x[index] for x in self.drawings]
        picture = None if self.picture is None else self.picture[index]
        return Rows(self.labels[index], self.styles[index], drawings, picture, self.weights[index])

    @property
    def complete(self) -> bool:
        """Whether nothing but the kind of backdrop, or a whole block, is hidden."""
        hidden_ink = self.picture is not None and self.drawings[-1] is None
        return bool((self.labels >= 0).all() and (self.styles >= 0).all()) and not hidden_ink

    def blocks(self) -> Iterator[tuple[slice, Rows]]:
        for start in range(0, len(self.labels), BLOCK):
            piece = slice(start, start + BLOCK)
            yield piece, self.take(piece)


@dataclass
class Sums:
    """Expected counts of one EM step."""

    mass: FloatArray
    ink: FloatArray
    seen: FloatArray
    kinds: FloatArray
    symbols: FloatArray


class Layered:
    """Class, style, drawings and a picture in layers.

    Parameters
    ----------
    layout : Layout
        The last drawing is the ink of the picture.
    n_classes, n_styles : int
    n_kinds : int
        Kinds of backdrop.
    n_symbols : int
        Size of the palette.
    per_pixel : bool
        True: every pixel has its own backdrop tables, and ink looks the same everywhere. False: the tables of a kind, for
        ink and for none, are the same at all pixels.
    margin : float
        Probabilities of ink are held in [margin, 1 − margin].
    floor : float
        Least probability of a symbol.
    prune : float
        Kinds of backdrop that a look through the average drawing puts so many nats behind are left out.
    max_iter : int
        Most EM steps of one ``fit``; a second ``fit`` goes on from where the first ended.
    tol : float
        ``fit`` stops when a step gains less than this, in nats.
    seed : int

    Attributes
    ----------
    component_prob_ : ndarray, shape (C, K)
        p(c, k); zero for classes that nobody has defined yet.
    ink_ : ndarray, shape (drawings, C K, pixels)
    kind_prob_ : ndarray, shape (kinds,)
    table_ : ndarray, shape (kinds, pixels or 1, 2, symbols)

    Notes
    -----
    Nothing is fitted before somebody's samples define classes, and until then ``sample`` returns no rows.
    """

    component_prob_: FloatArray
    ink_: FloatArray
    kind_prob_: FloatArray
    table_: FloatArray

    def __init__(
        self,
        layout: Layout,
        *,
        n_classes: int = 10,
        n_styles: int = 20,
        n_kinds: int = 1,
        n_symbols: int = 2,
        per_pixel: bool = False,
        margin: float = 0.02,
        floor: float = 1e-3,
        prune: float = 40.0,
        max_iter: int = 10,
        tol: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.layout = layout
        self.n_classes, self.n_styles = n_classes, n_styles
        self.n_kinds, self.n_symbols, self.per_pixel = n_kinds, n_symbols, per_pixel
        self.margin, self.floor, self.prune = margin, floor, prune
        self.max_iter, self.tol, self.seed = max_iter, tol, seed

    # ------------------------------------------------------------------ fitting

    def fit(self, samples: Sequence[Any], weights: Sequence[float] | None = None) -> Self:
        """Some steps of EM on weighted sample sets, from the present parameters."""
        sets = share_out(samples, [1.0] * len(samples) if weights is None else weights)
        groups = [self._rows(part) for part in sets]
        if not self.defined:
            if not any((group.labels >= 0).any() for group in groups):
                return self
            self._start()
        if self.layout.picture and not hasattr(self, "table_") and any(g.picture is not None for g in groups):
            self._start_pictures(groups)
        if self.starting_:
            self._first_step(groups)
        self.history_: list[float] = []
        for _ in range(self.max_iter):
            self.history_.append(self._step(groups))
            if len(self.history_) > 1 and self.history_[-1] - self.history_[-2] < self.tol:
                break
        return self

    @property
    def defined(self) -> bool:
        """Whether anybody has said what the classes are."""
        return hasattr(self, "component_prob_")

    def _rows(self, samples: SampleSet) -> Rows:
        layout = self.layout
        if samples.n_variables != layout.width:
            raise InvalidData(f"the samples have {samples.n_variables} variables; this model has {layout.width}")
        mask = samples.mask()

        def block(columns: slice) -> AnyArray | None:
            part = mask[:, columns]
            if not part.any():
                return None
            if not part.all():
                raise InvalidInput(
                    "a drawing or picture must be observed entirely, in all rows of a set, or not at all"
                )
            return np.ascontiguousarray(samples.values[:, columns], dtype=np.uint8)

        return Rows(
            samples.labels(0, self.n_classes),
            samples.labels(1, self.n_styles),
            [block(layout.drawing(d)) for d in range(layout.drawings)],
            block(layout.over) if layout.picture else None,
            samples.normalized_weights() if samples.row_weights is None else samples.row_weights,
        )

    # ------------------------------------------------------------------ EM

    def _step(self, groups: Sequence[Rows]) -> float:
        """One EM step; returns the mean log-likelihood before it."""
        sums, likelihood = self._no_sums(), 0.0
        tables = self._tables(self.ink_[-1]) if self.layout.picture and hasattr(self, "table_") else None
        for group in groups:
            for _, rows in group.blocks():
                if rows.complete:
                    likelihood += self._add_complete(sums, rows, tables)
                    continue
                components, kinds = self._log_joint(rows, tables)
                total = log_sum_exp(components)
                shares = np.exp(components - total[:, None])
                self._add(sums, rows, shares, kinds)
                likelihood += float(rows.weights @ total)
        self._maximise(sums)
        return likelihood

    def _tables(self, ink: FloatArray) -> AnyArray:
        """log p(symbol | kind, pixel, component), shape (kinds, pixels, symbols, components)."""
        theta = ink.T[None, :, None, :]
        table = self.table_[..., None]
        return np.log(theta * table[:, :, 1] + (1.0 - theta) * table[:, :, 0]).astype(np.float32)

    def _log_joint(self, rows: Rows, tables: AnyArray | None) -> tuple[FloatArray, FloatArray | None]:
        """log p(c, k, observed), shape (n, C K); and log p(kind | component, picture), (n, kinds, C K or 1), or None."""
        with np.errstate(divide="ignore"):
            result = np.tile(np.log(self.component_prob_)[None], (len(rows.labels), 1, 1))
        # Who names a class or style has it, also where this model gave it up.
        named = (rows.labels >= 0) | (rows.styles >= 0)
        result[named] = np.maximum(result[named], GIVEN_UP)
        classes, styles = np.arange(self.n_classes)[None, :, None], np.arange(self.n_styles)[None, None, :]
        known, styled = rows.labels[:, None, None], rows.styles[:, None, None]
        result[np.broadcast_to((known >= 0) & (classes != known), result.shape)] = -np.inf
        result[np.broadcast_to((styled >= 0) & (styles != styled), result.shape)] = -np.inf
        result = result.reshape(len(result), -1)
        for d, drawing in enumerate(rows.drawings):
            if drawing is not None:
                theta = self.ink_[d]
                result += drawing @ np.log(theta / (1.0 - theta)).T + np.log1p(-theta).sum(axis=1)
        if rows.picture is None or tables is None:
            return result, None
        kinds = self._log_kinds(rows, tables)
        under = log_sum_exp(np.moveaxis(kinds, 1, -1))
        result += under
        return result, kinds - under[:, None]

    def _log_kinds(self, rows: Rows, tables: AnyArray) -> FloatArray:
        """log p(kind, picture | component, drawing if observed), shape (n, kinds, C K or 1)."""
        assert rows.picture is not None
        drawing = rows.drawings[-1]
        if drawing is not None:
            where = np.arange(self.layout.pixels) if self.per_pixel else np.zeros(self.layout.pixels, dtype=np.int64)
            logs = np.log(self.table_)[:, where, drawing, rows.picture]
            return np.asarray(np.moveaxis(logs.sum(axis=-1), 0, 1) + np.log(self.kind_prob_))[..., None]
        mean = self.component_prob_.ravel() @ self.ink_[-1]
        coarse = self._picture_sums(rows.picture, self._tables(mean[None]), None)[..., 0]
        coarse += np.log(self.kind_prob_)
        near = coarse > coarse.max(axis=1, keepdims=True) - self.prune
        return self._picture_sums(rows.picture, tables, near) + np.log(self.kind_prob_)[:, None]

    def _picture_sums(self, picture: AnyArray, tables: AnyArray, wanted: BoolArray | None) -> FloatArray:
        chosen = np.ones((len(picture), self.n_kinds), dtype=bool) if wanted is None else wanted
        out = np.full((len(picture), self.n_kinds, tables.shape[-1]), -np.inf)
        add_pixels(picture, tables, chosen, out)
        return out

    def _no_sums(self) -> Sums:
        shape = self.ink_.shape
        symbols = self.table_.shape if hasattr(self, "table_") else (0,)
        return Sums(np.zeros(shape[1]), np.zeros(shape), np.zeros(shape), np.zeros(self.n_kinds), np.zeros(symbols))

    def _add(self, sums: Sums, rows: Rows, shares: FloatArray, kinds: FloatArray | None) -> None:
        weighted = shares * rows.weights[:, None]
        sums.mass += weighted.sum(axis=0)
        for d, drawing in enumerate(rows.drawings):
            if drawing is not None:
                sums.ink[d] += weighted.T @ drawing
                sums.seen[d] += weighted.sum(axis=0)[:, None]
        if kinds is None:
            return
        assert rows.picture is not None
        drawing = rows.drawings[-1]
        if drawing is not None:
            joint = np.exp(kinds[..., 0]) * rows.weights[:, None]
            sums.kinds += joint.sum(axis=0)
            count_symbols(rows.picture, drawing, joint, sums.symbols)
            return
        joint = weighted[:, None, :] * np.exp(kinds)
        sums.kinds += joint.sum(axis=(0, 2))
        sums.seen[-1] += weighted.sum(axis=0)[:, None]
        least = TRACE * rows.weights
        split_pixels(rows.picture, joint, least, self.ink_[-1], self.table_, sums.ink[-1], sums.symbols)

    def _add_complete(self, sums: Sums, rows: Rows, tables: AnyArray | None) -> float:
        """What ``_log_joint`` and ``_add`` would do, without looking at components that the rows rule out."""
        index = rows.labels * self.n_styles + rows.styles
        with np.errstate(divide="ignore"):
            total = np.maximum(np.log(self.component_prob_.ravel()[index]), GIVEN_UP)
        order = np.argsort(index, kind="stable")
        met, first = np.unique(index[order], return_index=True)
        mass = np.add.reduceat(rows.weights[order], first)
        sums.mass[met] += mass
        for d, drawing in enumerate(rows.drawings):
            if drawing is not None:
                ink = self.ink_[d, index]
                total += np.log(np.where(drawing, ink, 1.0 - ink)).sum(axis=1)
                sums.ink[d, met] += np.add.reduceat(rows.weights[order, None] * drawing[order], first, axis=0)
                sums.seen[d, met] += mass[:, None]
        drawing = rows.drawings[-1]
        if rows.picture is not None and drawing is not None and tables is not None:
            kinds = self._log_kinds(rows, tables)
            under = log_sum_exp(kinds[..., 0])
            total += under
            joint = np.exp(kinds[..., 0] - under[:, None]) * rows.weights[:, None]
            sums.kinds += joint.sum(axis=0)
            count_symbols(rows.picture, drawing, joint, sums.symbols)
        return float(rows.weights @ total)

    def _maximise(self, sums: Sums) -> None:
        self.component_prob_ = (sums.mass / sums.mass.sum()).reshape(self.component_prob_.shape)
        counted = sums.seen > 1e-12 * max(1.0, float(sums.mass.sum()))
        ratio = np.divide(sums.ink, sums.seen, out=self.ink_.copy(), where=counted)
        self.ink_ = np.clip(ratio, self.margin, 1.0 - self.margin)
        if sums.kinds.any():
            self._set_tables(sums.symbols)
            self.kind_prob_ = np.maximum(sums.kinds, 1e-9 * sums.kinds.sum())
            self.kind_prob_ /= self.kind_prob_.sum()

    def _set_tables(self, symbols: FloatArray) -> None:
        if self.per_pixel:  # ink looks the same everywhere
            symbols[:, :, 1] = symbols[:, :, 1].sum(axis=(0, 1))
        total = symbols.sum(axis=-1, keepdims=True)
        table = np.divide(symbols, total, out=self.table_.copy(), where=total > 1e-9 * symbols.sum())
        table = np.maximum(table, self.floor)
        self.table_ = table / table.sum(axis=-1, keepdims=True)

    # ------------------------------------------------------------------ the first samples

    def _start(self) -> None:
        size = self.n_classes * self.n_styles
        self.component_prob_ = np.zeros((self.n_classes, self.n_styles))
        self.ink_ = np.full((self.layout.drawings, size, self.layout.pixels), FLAT)
        self.starting_ = True

    def _start_pictures(self, groups: Sequence[Rows]) -> None:
        """Kinds of backdrop by k-means; then tables for ink and for none, seen through the average drawing."""
        pictures = np.concatenate([group.picture for group in groups if group.picture is not None])
        weights = np.concatenate([group.weights for group in groups if group.picture is not None])
        rng = np.random.default_rng(self.seed)
        one_hot = np.eye(self.n_symbols)
        features = (
            pictures.astype(np.float64)
            if self.per_pixel
            else np.sqrt(np.stack([one_hot[row].mean(axis=0) for row in pictures]))
        )
        kinds = cluster(features, weights / weights.sum(), self.n_kinds, rng, steps=10)
        mean = self._average_drawing(groups)
        shape = (self.n_kinds, self.layout.pixels if self.per_pixel else 1, 2, self.n_symbols)
        self.kind_prob_ = kinds.sum(axis=0)
        self.table_ = np.full(shape, 1.0 / self.n_symbols)
        frequency = one_hot[pictures].mean(axis=(0, 1)) + 1e-6
        backdrop = np.stack([np.tensordot(share, one_hot[pictures], axes=(0, 0)) for share in kinds.T])
        if self.per_pixel:  # ink is what is rare
            self.table_[:, :, 0] = (backdrop + 1e-3) / (backdrop + 1e-3).sum(axis=-1, keepdims=True)
            self.table_[:, :, 1] = frequency**-2.0 / (frequency**-2.0).sum()
            return
        for layer, weight in ((0, (1.0 - mean) ** 4), (1, mean**2)):
            counts = np.einsum("bpv,p->bv", backdrop, weight) + 1e-3
            self.table_[:, 0, layer] = counts / counts.sum(axis=-1, keepdims=True)
        self._settle(pictures, weights, mean)

    def _average_drawing(self, groups: Sequence[Rows]) -> FloatArray:
        found = [(g.drawings[-1], g.weights) for g in groups if g.drawings[-1] is not None]
        if not found:
            return np.full(self.layout.pixels, FLAT)
        total = sum(float(weights.sum()) for _, weights in found)
        mean = np.sum([weights @ drawing for drawing, weights in found], axis=0) / total
        return np.asarray(np.clip(mean, self.margin, 1.0 - self.margin))

    def _settle(self, pictures: AnyArray, weights: FloatArray, mean: FloatArray, steps: int = 15) -> None:
        """EM for backdrops alone: one component, the average drawing."""
        for _ in range(steps):
            sums = Sums(
                np.zeros(1), np.zeros((1, 1, 1)), np.zeros(1), np.zeros(self.n_kinds), np.zeros(self.table_.shape)
            )
            joint = self._picture_sums(pictures, self._tables(mean[None]), None) + np.log(self.kind_prob_)[:, None]
            joint = np.exp(joint - log_sum_exp(joint[..., 0])[:, None, None]) * weights[:, None, None]
            ink = np.zeros((1, self.layout.pixels))
            split_pixels(pictures, joint, TRACE * weights, mean[None], self.table_, ink, sums.symbols)
            self._set_tables(sums.symbols)
            self.kind_prob_ = np.maximum(joint.sum(axis=(0, 2)), 1e-9)
            self.kind_prob_ /= self.kind_prob_.sum()

    def _first_step(self, groups: Sequence[Rows]) -> None:
        """Components from labelled rows alone: styles as given, otherwise clusters of drawings or pictures of one class."""
        sums, rng = self._no_sums(), np.random.default_rng(self.seed)
        flat = np.full(self.ink_.shape[1:], FLAT)
        tables = self._tables(flat[:1]) if hasattr(self, "table_") else None
        for group in groups:
            found = np.flatnonzero((group.labels >= 0) & (group.weights > 0))
            if not found.size:
                continue
            labelled = group.take(found)
            shares = self._first_shares(labelled, rng)
            for piece, rows in labelled.blocks():
                kinds = None
                if rows.picture is not None and tables is not None:
                    kinds = self._log_kinds(rows, tables)
                    kinds = kinds - log_sum_exp(np.moveaxis(kinds, 1, -1))[:, None]
                self._add(sums, rows, shares[piece], kinds)
        self._maximise(sums)
        self.starting_ = False

    def _first_shares(self, rows: Rows, rng: np.random.Generator) -> FloatArray:
        shares = np.zeros((len(rows.labels), self.n_classes, self.n_styles))
        styled = np.flatnonzero(rows.styles >= 0)
        shares[styled, rows.labels[styled], rows.styles[styled]] = 1.0
        features = next((x for x in (*rows.drawings, rows.picture) if x is not None), None)
        for c in range(self.n_classes):
            met = np.flatnonzero((rows.labels == c) & (rows.styles < 0))
            if met.size and features is not None:
                weights = rows.weights[met] / rows.weights[met].sum()
                found = cluster(features[met].astype(np.float64), weights, self.n_styles, rng)
                shares[met, c] = found / found.sum(axis=1, keepdims=True)
            elif met.size:
                shares[met, c] = 1.0 / self.n_styles
        return shares.reshape(len(shares), -1)

    # ------------------------------------------------------------------ questions

    def _posterior(self, rows: Rows) -> Iterator[tuple[slice, Rows, FloatArray, FloatArray | None]]:
        if not self.defined:
            raise NotFitted("no samples have defined the classes yet")
        tables = self._tables(self.ink_[-1]) if rows.picture is not None and hasattr(self, "table_") else None
        for piece, block in rows.blocks():
            components, kinds = self._log_joint(block, tables)
            yield piece, block, components, kinds

    def predict_proba(self, values: ArrayLike, observed: ArrayLike | None = None) -> FloatArray:
        """p(c | what is observed but the class), shape (n, C)."""
        rows = self._rows(SampleSet(np.asarray(values), None if observed is None else np.asarray(observed)))
        rows = replace(rows, labels=np.full(len(rows.labels), -1))
        result = np.empty((len(rows.labels), self.n_classes))
        for piece, _, components, _ in self._posterior(rows):
            by_class = log_sum_exp(components.reshape(-1, self.n_classes, self.n_styles))
            result[piece] = np.exp(by_class - log_sum_exp(by_class)[:, None])
        return result

    def complete(self, values: ArrayLike, observed: ArrayLike, seed: Seed = 0) -> AnyArray:
        """Draw what is not observed given what is, shape (n, V)."""
        rng = np.random.default_rng(seed)
        result = np.array(values, dtype=np.uint8)
        rows = self._rows(SampleSet(result, np.asarray(observed)))
        for piece, block, components, kinds in self._posterior(rows):
            chosen = draw_index(components, rng)
            kind = rng.choice(self.n_kinds, size=len(chosen), p=getattr(self, "kind_prob_", None))
            if kinds is not None:
                index = chosen if kinds.shape[-1] > 1 else np.zeros_like(chosen)
                kind = draw_index(kinds[np.arange(len(chosen)), :, index], rng)
            result[piece] = self._fill(block, chosen, kind, rng)
        return result

    def sample(self, n: int, seed: Seed = 0, labels: ArrayLike | None = None) -> AnyArray:
        """Draw samples of all variables; no rows while no class has been defined."""
        rng = np.random.default_rng(seed)
        if not self.defined:
            return np.empty((0, self.layout.width), np.uint8)
        classes = (
            rng.choice(self.n_classes, size=n, p=self.component_prob_.sum(axis=1))
            if labels is None
            else np.asarray(labels)
        )
        with np.errstate(divide="ignore"):
            styles = draw_index(np.log(self.component_prob_[classes]), rng)
        kinds = rng.choice(self.n_kinds, size=n, p=getattr(self, "kind_prob_", None))
        nothing = Rows(classes, styles, [None] * self.layout.drawings, None, np.ones(n))
        return self._fill(nothing, classes * self.n_styles + styles, kinds, rng)

    def sample_stratified(self, n: int, seed: Seed = 0) -> SampleSet:
        """The same number of samples of every class, weighted by p(c)."""
        if not self.defined:
            return SampleSet(self.sample(n, seed))
        return stratified(n, self.component_prob_.sum(axis=1), lambda labels: self.sample(n, seed, labels=labels))

    def _fill(self, rows: Rows, components: IntArray, kinds: IntArray, rng: np.random.Generator) -> AnyArray:
        result = np.empty((len(components), self.layout.width), np.uint8)
        result[:, 0], result[:, 1] = components // self.n_styles, components % self.n_styles
        for d, drawing in enumerate(rows.drawings):
            if drawing is None:
                ink = self.ink_[d, components]
                if d == self.layout.drawings - 1 and rows.picture is not None and hasattr(self, "table_"):
                    ink = self._ink_given(rows.picture, kinds, ink)
                drawing = rng.random(ink.shape) < ink
            result[:, self.layout.drawing(d)] = drawing
        if self.layout.picture:
            ink = result[:, self.layout.drawing(self.layout.drawings - 1)]
            result[:, self.layout.over] = self._paint(ink, kinds, rng) if rows.picture is None else rows.picture
        return result

    def _ink_given(self, picture: AnyArray, kinds: IntArray, ink: FloatArray) -> FloatArray:
        """P(ink | symbol, kind) where P(ink) is ``ink``."""
        where = np.arange(self.layout.pixels) if self.per_pixel else np.zeros(self.layout.pixels, dtype=np.int64)
        table = self.table_[kinds[:, None], where[None]]
        fit = np.take_along_axis(table, picture[..., None, None].astype(np.int64), axis=-1)[..., 0]
        return np.asarray(ink * fit[..., 1] / (ink * fit[..., 1] + (1.0 - ink) * fit[..., 0]))

    def _paint(self, ink: AnyArray, kinds: IntArray, rng: np.random.Generator) -> AnyArray:
        """Symbols drawn pixel by pixel."""
        if not hasattr(self, "table_"):
            return np.asarray(rng.integers(0, self.n_symbols, ink.shape).astype(np.uint8))
        where = np.arange(self.layout.pixels) if self.per_pixel else np.zeros(self.layout.pixels, dtype=np.int64)
        cumulative = np.cumsum(self.table_, axis=-1)[kinds[:, None], where[None], ink]
        return np.asarray((rng.random(ink.shape)[..., None] > cumulative[..., :-1]).sum(axis=-1).astype(np.uint8))


# ---------------------------------------------------------------------- kernels


@reduction
def add_pixels(pictures: AnyArray, tables: AnyArray, wanted: BoolArray, out: FloatArray) -> None:
    """out[i, b] = the sum over pixels p of tables[b, p, pictures[i, p]], where wanted; float32 in runs of 56 pixels."""
    n, n_pixels = pictures.shape
    width = tables.shape[3]
    run = np.empty(width, np.float32)
    for i in range(n):
        for b in range(tables.shape[0]):
            if not wanted[i, b]:
                continue
            total = out[i, b]
            for j in range(width):
                total[j] = 0.0
            for start in range(0, n_pixels, 56):
                for j in range(width):
                    run[j] = 0.0
                for p in range(start, min(start + 56, n_pixels)):
                    entry = tables[b, p, pictures[i, p]]
                    for j in range(width):
                        run[j] += entry[j]
                for j in range(width):
                    total[j] += run[j]


@compiled
def split_pixels(
    pictures: AnyArray,
    joint: FloatArray,
    least: FloatArray,
    ink: FloatArray,
    table: FloatArray,
    ink_sums: FloatArray,
    symbol_sums: FloatArray,
) -> None:
    """Add each pixel, split by the posterior of ink, to the sums of its components, kinds and symbols."""
    n, n_pixels = pictures.shape
    for i in range(n):
        for b in range(joint.shape[1]):
            for j in range(joint.shape[2]):
                share = joint[i, b, j]
                if share <= least[i]:
                    continue
                for p in range(n_pixels):
                    place = p if table.shape[1] > 1 else 0
                    x = pictures[i, p]
                    yes = ink[j, p] * table[b, place, 1, x]
                    no = (1.0 - ink[j, p]) * table[b, place, 0, x]
                    part = share * yes / (yes + no)
                    ink_sums[j, p] += part
                    symbol_sums[b, place, 1, x] += part
                    symbol_sums[b, place, 0, x] += share - part


@compiled
def count_symbols(pictures: AnyArray, drawings: AnyArray, joint: FloatArray, symbol_sums: FloatArray) -> None:
    """Add each pixel to the sums of its kind, layer and symbol, where the drawing is observed."""
    n, n_pixels = pictures.shape
    for i in range(n):
        for b in range(joint.shape[1]):
            for p in range(n_pixels):
                place = p if symbol_sums.shape[1] > 1 else 0
                symbol_sums[b, place, drawings[i, p], pictures[i, p]] += joint[i, b]
