"""Agents for the tests: small, with a fault where one is wanted. In a module of its own, so that worker processes find them."""

from __future__ import annotations

import os
import time

import numpy as np

from expfam_game.samples import SampleSet, pool


class Labels:
    """Models a class label alone, by its frequencies; V = 1."""

    def __init__(self, classes=3):
        self.classes = classes

    def fit(self, samples, weights):
        mixture = pool(samples, weights)
        labels = mixture.labels(-1, self.classes)
        self.p = np.bincount(labels[labels >= 0], mixture.normalized_weights()[labels >= 0], self.classes)
        self.p /= self.p.sum()

    def sample(self, n, seed):
        return np.random.default_rng(seed).choice(self.classes, size=(n, 1), p=self.p)

    def sample_stratified(self, n, seed):
        seen = np.flatnonzero(self.p > 0)
        each = n // seen.size
        return SampleSet(np.repeat(seen, each)[:, None], row_weights=np.repeat(self.p[seen] / each, each))


class Faulty(Labels):
    """Labels, with one fault: in sampling after ``at`` fits, or (``fit …``) once in a fit, which a marker file remembers
    because the agent itself is put back as it was."""

    def __init__(self, fault, at=2, marker=None, classes=3):
        super().__init__(classes)
        self.fault = fault
        self.at = at
        self.marker = marker
        self.fits = 0

    def fit(self, samples, weights):
        fails = self.fault.startswith("fit") and self.fits == self.at
        if fails and not (self.marker and self.marker.exists()):
            if self.marker:
                self.marker.touch()
            self.p = np.eye(self.classes)[0]  # half-changed: the copy must save the agent from this
            misbehave(self.fault)
        super().fit(samples, weights)
        self.fits += 1

    def sample(self, n, seed):
        drawn = super().sample(n, seed)
        if self.fits != self.at:
            return drawn
        match self.fault:
            case "columns":
                return np.hstack([drawn, drawn])
            case "rows":
                return drawn[1:]
            case "one axis":
                return drawn[:, 0]
            case "no columns":
                return drawn[:, :0]
            case "masked":
                return np.ma.masked_array(drawn, mask=np.arange(n)[:, None] == 3)
            case "nothing":
                return None
            case "text":
                return np.full((n, 1), "a")
            case "nan":
                return np.where(np.arange(n)[:, None] == 3, np.nan, drawn)
            case "label":
                return drawn + 1
            case "half label":
                return drawn + 0.5
            case "exception" | "hang" | "crash":
                misbehave(self.fault)
        return drawn


def misbehave(fault):
    if fault.endswith("exception"):
        raise RuntimeError("the disk is full")
    if fault.endswith("hang"):
        time.sleep(600)
    if fault.endswith("crash"):
        os._exit(3)


class Silent(Labels):
    """Says nothing until it has been fitted ``patience`` times."""

    def __init__(self, patience, classes=3):
        super().__init__(classes)
        self.patience = patience
        self.fits = 0

    def fit(self, samples, weights):
        super().fit(samples, weights)
        self.fits += 1

    def sample(self, n, seed):
        return super().sample(n, seed) if self.fits >= self.patience else np.empty((0, 1))


class Fading(Labels):
    """Says nothing any more once it has been fitted ``patience`` times."""

    def __init__(self, patience, classes=3):
        super().__init__(classes)
        self.patience = patience
        self.fits = 0

    def fit(self, samples, weights):
        super().fit(samples, weights)
        self.fits += 1

    def sample(self, n, seed):
        return super().sample(n, seed) if self.fits < self.patience else np.empty((0, 1))


class Diary(Labels):
    """Writes down what it was given."""

    def fit(self, samples, weights):
        super().fit(samples, weights)
        self.entries = [*getattr(self, "entries", []), [(s, float(w)) for s, w in zip(samples, weights)]]


class SeedTeller:
    """Its samples are the seed they were drawn with."""

    def fit(self, samples, weights):
        self.entries = [*getattr(self, "entries", []), [int(s.values[0, 0]) for s in samples]]

    def sample(self, n, seed):
        return np.full((n, 1), seed)


class Coins:
    """Independent coins, each counted over the rows that show it."""

    def __init__(self, size):
        self.p = np.full(size, 0.5)

    def fit(self, samples, weights):
        mixture = pool(samples, weights)
        known = np.broadcast_to(mixture.mask(), mixture.values.shape)
        weights = mixture.normalized_weights()
        heads, seen = weights @ np.where(known, mixture.values, 0.0), weights @ known
        self.p = np.where(seen > 0, heads / np.where(seen > 0, seen, 1.0), self.p)
        self.masks = [np.broadcast_to(s.mask(), s.values.shape)[0].tolist() for s in samples]

    def sample(self, n, seed):
        return (np.random.default_rng(seed).random((n, self.p.size)) < self.p).astype(np.uint8)
