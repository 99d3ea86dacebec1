"""Games of five agents on MNIST, described by numbers and words and played in any process, and their rivals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

import expfam_game as eg
from expfam_game._typing import AnyArray, FloatArray
from paper_figures.data import Part, load
from paper_figures.measures import federated_softmax, together, with_constant

AGENTS = 5
LABEL = 784
SETTLED = 10
"""From this round on the marginals of the long games fluctuate around the equilibrium."""


@dataclass(frozen=True)
class Game:
    """One game, described by numbers and words so that it can be sent to a worker process."""

    name: str
    seed: int
    graph: str = "complete"
    skew: float | None = None
    images: int = 10_000
    kinds: tuple[str, ...] = ("mixture",) * AGENTS
    components: int = 20
    self_weight: float = 0.5
    n: int = 4000
    memory: int = 2
    rounds: int = 8
    stratified: bool = True
    scored: tuple[int, ...] = ()
    max_iter: int = 10


@dataclass(frozen=True)
class Outcome:
    """What a game left behind.

    Attributes
    ----------
    rounds : list of int
        Those in which the models were scored.
    accuracy, nats : ndarray, shape (len(rounds), 5)
        On the test images; nats are the mean of −log p(image, digit), infinite while an agent lacks a digit.
    variation : ndarray, shape (rounds + 1, 5)
        Total variation between class marginals and R m.
    noise : float, float
        Observed root mean square of the class marginals less what linear theory predicts for the round, once play has
        settled; and the one predicted by T8: the noise of the model and that of the samples by which it is looked at.
    model_noise : float
        The first of these two alone, for plain draws.
    megabytes : float
        Exchanged in all.
    """

    game: Game
    rounds: Sequence[int]
    accuracy: FloatArray
    nats: FloatArray
    variation: FloatArray
    noise: tuple[float, float]
    model_noise: float
    megabytes: float

    def series(self) -> dict[str, Any]:
        """For the JSON file."""
        own = {key: value for key, value in vars(self).items() if key not in ("game", "variation")}
        return {"game": vars(self.game), "total_variation": self.variation, **own}

    @classmethod
    def of_series(cls, saved: Mapping[str, Any]) -> Outcome:
        """From what :meth:`series` gave and a file kept; infinities have become NaN there."""
        tuples: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in saved["game"].items()
        }
        accuracy, nats, variation = (
            np.array(saved[key], dtype=float) for key in ("accuracy", "nats", "total_variation")
        )
        observed, predicted = saved["noise"]
        return cls(
            Game(**tuples), saved["rounds"], accuracy, nats, variation, (observed, predicted), saved["model_noise"],
            saved["megabytes"],
        )  # fmt: skip

    def lost(self) -> FloatArray:
        """Mean accuracy lost between round 2 and the rounds scored."""
        mean = self.accuracy.mean(axis=1)
        return np.asarray(mean[list(self.rounds).index(2)] - mean)


def settled(noise: FloatArray) -> float:
    """Root mean square over the settled rounds, agents and classes, of shape (rounds + 1, 5, 10)."""
    late = noise[min(SETTLED, len(noise) - 1) :]
    return float(np.sqrt((late**2).mean()))


# ---------------------------------------------------------------------- one game


def run(game: Game) -> Outcome:
    """Play, scoring the models on the test images on the way."""
    train, test = _images(game)
    parts = divide(train, game)
    weights = graph(game.graph, game.self_weight, game.seed)
    rounds: list[int] = []
    scores: list[list[tuple[float, float]]] = []

    def look(number: int, agents: Sequence[Any], records: object) -> None:
        if not game.scored or number in game.scored:
            rounds.append(number)
            scores.append([score(agent, test) for agent in agents])

    result = eg.bridge.play(
        [make(kind, game, i) for i, kind in enumerate(game.kinds)],
        weights,
        [part.table() for part in parts],
        game.rounds,
        n=game.n,
        stratified=game.stratified,
        memory=game.memory,
        label=LABEL,
        callback=look,
        seed=game.seed,
        progress=False,
    )
    theory = result.theory
    assert theory is not None  # all agents model the label
    table = np.array(scores)
    sampling = theory.predicted * (1.0 - theory.predicted) / game.n
    return Outcome(
        game,
        rounds,
        table[:, :, 0],
        table[:, :, 1],
        theory.total_variation(),
        (settled(theory.observed - theory.predicted), settled(theory.standard_error)),
        settled(np.sqrt(np.maximum(theory.standard_error**2 - sampling, 0.0))),
        float(result.bytes_sent.sum() / 1e6),
    )


@cache
def _everything() -> tuple[Part, Part]:
    images = load("mnist")
    return together(images.train, images.validation), images.test


def _images(game: Game) -> tuple[Part, AnyArray]:
    """Training images of a game, drawn by its seed, and the table of test images."""
    train, test = _everything()
    rows = np.random.default_rng([game.seed, 5]).permutation(len(train))[: game.images]
    # Small games make do with fewer test images; all others see the official test set.
    return train.take(np.sort(rows)), test.table()[: 400 if game.images < 1000 else None]


def divide(train: Part, game: Game) -> list[Part]:
    """Digits 2i and 2i + 1 for agent i; or shares of each digit drawn from a Dirichlet law."""
    if game.skew is None:
        rows = eg.datasets.split_by_labels(train.labels, [(2 * i, 2 * i + 1) for i in range(AGENTS)])
    else:
        rows = eg.datasets.split_by_label_skew(train.labels, AGENTS, game.skew, seed=game.seed)
    return [train.take(mine) for mine in rows]


def graph(name: str, self_weight: float, seed: int) -> eg.Weights:
    """Who listens to whom; a random graph joins each pair with probability one half and is drawn until it is connected."""
    if name == "ring":
        return eg.Weights.ring(AGENTS, self_weight, both_ways=True)
    if name == "random":
        rng = np.random.default_rng([seed, 7])
        while True:
            weights = eg.Weights.erdos_renyi(AGENTS, 0.5, self_weight, seed=rng)
            if np.all(np.linalg.matrix_power(weights.to_dense(), AGENTS) > 0):
                return weights
    return {"complete": eg.Weights.complete, "star": eg.Weights.star}[name](AGENTS, self_weight)


def make(kind: str, game: Game, agent: int = 0) -> Any:
    """An agent of the given kind."""
    from expfam_game.learners.autoencoder import ConditionalVAE
    from expfam_game.learners.bernoulli_mixture import BernoulliMixture
    from expfam_game.learners.factor_analysers import MixtureOfFactorAnalysers
    from expfam_game.learners.trees import MixtureOfTrees

    seed = 100 * game.seed + agent
    if kind == "mixture":
        return BernoulliMixture(game.components, n_classes=10, max_iter=game.max_iter, seed=seed)
    if kind == "trees":
        return MixtureOfTrees(2, n_classes=10, margin=0.003, max_iter=min(game.max_iter, 3), seed=seed)
    if kind == "autoencoder":
        return ConditionalVAE(8, 128, n_classes=10, epochs=game.max_iter, n_draws=8, seed=seed)
    analysers = MixtureOfFactorAnalysers(
        3, 8, n_classes=10, noise_floor=0.02, max_iter=min(game.max_iter, 5), seed=seed
    )
    return Thresholded(analysers)


class Thresholded:
    """A model of real values that speaks in zeros and ones: what it draws is one where it exceeds one half.

    So its samples are binary as those of all others; that this is not quite the law it was fitted to is its own bias.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, samples: Sequence[Any], weights: Sequence[float]) -> Thresholded:
        self.model.fit(samples, weights)
        return self

    def sample(self, n: int, seed: int) -> AnyArray:
        return self._binary(self.model.sample(n, seed))

    def sample_stratified(self, n: int, seed: int) -> Any:
        drawn = self.model.sample_stratified(n, seed)
        return replace(drawn, values=self._binary(drawn.values))

    def predict(self, values: AnyArray) -> AnyArray:
        return np.asarray(self.model.predict(values))

    @staticmethod
    def _binary(values: AnyArray) -> AnyArray:
        """Pixels compared with one half, labels as they are."""
        return np.column_stack([values[:, :LABEL] > 0.5, values[:, LABEL:]]).astype(np.uint8)


def score(model: Any, table: AnyArray) -> tuple[float, float]:
    """Accuracy, and the mean of −log p(image, digit) where the model knows it."""
    accuracy = np.mean(model.predict(table) == table[:, LABEL])
    nats = -np.mean(model.log_prob(table)) if hasattr(model, "log_prob") else np.nan
    return float(accuracy), float(nats)


# ---------------------------------------------------------------------- rivals


@dataclass(frozen=True)
class Rival:
    """A way without a game: ``pooled`` (one model of all data) or ``federated`` averaging of softmax regression."""

    kind: str
    game: Game
    rounds: int = 0


def rival(task: Rival) -> tuple[Rival, FloatArray]:
    """Accuracy and nats of the pooled model, shape (2,); accuracy of federated averaging after every round."""
    train, test = _images(task.game)
    if task.kind == "pooled":
        game = replace(task.game, max_iter=10 * task.game.max_iter)  # as many steps as a game has rounds to make them
        return task, np.array(score(make("mixture", game).fit([train.table()]), test))
    images, labels = with_constant(test[:, :LABEL]), test[:, LABEL]
    path = federated_softmax(divide(train, task.game), task.rounds, seed=task.game.seed)
    return task, np.array([np.mean((images @ w).argmax(axis=1) == labels) for w in path])
