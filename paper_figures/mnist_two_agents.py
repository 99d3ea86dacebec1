"""Two agents, digits 0–4 and 5–9: what each says as it listens more to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import expfam_game as eg
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.plots.style import GREY, PALETTE, clean
from paper_figures.data import Images, Part, load, some_per_class
from paper_figures.measures import (
    FeatureMap,
    Moments,
    classifier,
    frechet_distance,
    hidden_layer,
    principal_components,
    side_by_side,
)
from paper_figures.report import Finding, Report
from paper_figures.wording import against, decimal_ticks, middle, when

TITLE = "Two agents, digits 0–4 and 5–9"
CLAIM = "As soon as an agent listens (α_ii < 1) it draws the other's digits too, and its samples come nearer to the law of all digits; down to a self-weight of about one third this costs little on its own digits, below it costs much."

TRUSTS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
LABEL = 784
AGENTS = ("agent A (0–4)", "agent B (5–9)")
TARGETS = ("all", "own", "other")
SPACES = ("hidden layer", "principal components")
STRATIFIED = "stratified draws (no sampling noise by construction)"
LEFT_OVER = 0.03
"""Rounds are played until the proved contraction leaves this much of the first disagreement."""


@dataclass(frozen=True)
class Task:
    """One game: a seed and a self-weight. Self-weight 1 is isolated learning."""

    seed: int
    self_weight: float
    per_class: int = 500
    components: int = 50
    n: int = 8000
    memory: int = 1
    drawn: int = 10_000
    shown: int = 20
    most_rounds: int = 20


@dataclass(frozen=True)
class Outcome:
    """What the agents of one game draw, and how many rounds it took.

    Attributes
    ----------
    final, once : sequence of ndarray, shape (drawn, 785)
        Samples of each agent after the last round, and after one simultaneous exchange.
    variation : float
        Largest total variation between an agent's class marginals and R m.
    """

    task: Task
    rounds: int
    final: Sequence[AnyArray]
    once: Sequence[AnyArray]
    variation: float


def main(out: Path, seed: int, quick: bool) -> Report:
    """Games over self-weights and seeds, measured in two feature spaces."""
    seeds = [seed] if quick else [seed, seed + 1, seed + 2]
    tasks = plan(seeds, quick)
    processes = 1 if quick else None
    outcomes = side_by_side(play, tasks, "games", processes)
    pooled = side_by_side(pool, [task for task in tasks if task.self_weight == 1.0], "pooled models", processes)
    images = _images()
    some = images.train.take(np.arange(10_000 if quick else len(images.train)))
    judge = Judge.of(some, images, epochs=2 if quick else 8)
    scores = Scores.of(outcomes, pooled, images.train, judge)
    figures = {
        "mnist_two_agents": _curves(scores),
        "mnist_two_agents_samples": _pictures(outcomes, pooled, images.test),
    }
    task = tasks[0]
    settings = {
        "private data": f"{task.per_class} training images of each of an agent's five digits, thresholded at 127",
        "model": f"{task.components} Bernoulli components a class, at most 20 EM steps a fit",
        "game": f"sequential; {task.n} stratified samples a round, memory {task.memory}; rounds until (1 − α)^(2 rounds) ≤ {LEFT_OVER}",
        "rounds": {outcome.task.self_weight: outcome.rounds for outcome in outcomes},
        "spaces": "64 rectified units of a classifier of the 50,000 training images (accuracy "
        f"{judge.accuracy:.3f} on the validation split); the first 50 principal components of the same images",
        "drawn": f"{task.drawn} samples of every agent, against the official test images",
        "chosen on the validation split": CHOICES,
        "test images": len(images.test),
        "seeds": seeds,
    }
    return Report(_findings(scores, outcomes), _reading(scores), figures, settings, scores.series())


CHOICES = (
    "one seed, distances in the principal components. Samples a round at α = 0.5, 50 components: 2500 gives 1.95, 8000 gives 1.74. "
    "At α = 0.1, 2500 samples: memory 1 gives 4.5 and marginals near R m, memory 5 gives 2.4 and marginals 0.2 away from it. Mixtures of "
    "three trees, 2500 samples, α = 0.5: 1.81, at more than five times the cost."
)


def plan(seeds: Sequence[int], quick: bool) -> list[Task]:
    """All games, dearest first."""
    if quick:
        small = Task(seeds[0], 1.0, per_class=60, components=4, n=300, drawn=1000, most_rounds=3)
        return [replace(small, self_weight=trust) for trust in (0.2, 0.5, 1.0)]
    return [Task(seed, trust) for trust in TRUSTS for seed in seeds]


# ---------------------------------------------------------------------- one game


@cache
def _images() -> Images:
    return load("mnist")


def rounds_for(self_weight: float, most: int) -> int:
    """Rounds of sequential play until (1 − α)^(2 rounds), the part of the first disagreement that is left, is small (T5)."""
    if self_weight == 1.0:
        return 0
    return min(most, max(4, int(np.ceil(np.log(LEFT_OVER) / (2.0 * np.log1p(-self_weight))))))


def private_data(train: Part, task: Task) -> list[Part]:
    """Digits 0–4 for agent A, 5–9 for agent B."""
    part = some_per_class(train, task.per_class, task.seed)
    return [part.take(rows) for rows in eg.datasets.split_by_labels(part.labels, [range(5), range(5, 10)])]


def learner(task: Task, agent: int) -> Any:
    """A mixture of Bernoulli products for every digit."""
    from expfam_game.learners import BernoulliMixture

    seed = 10 * task.seed + agent
    return BernoulliMixture(task.components, n_classes=10, max_iter=20, tol=0.05, seed=seed)


def play(task: Task) -> Outcome:
    """Play until the proved rate says that play has settled, and apart from that a single exchange."""
    parts = private_data(_images().train, task)
    rounds = rounds_for(task.self_weight, task.most_rounds)

    def game(order: Any, count: int) -> Any:
        return eg.bridge.play(
            [learner(task, 0), learner(task, 1)],
            eg.Weights.complete(2, task.self_weight),
            [part.table() for part in parts],
            count,
            n=task.n,
            memory=task.memory,
            order=order,
            stratified=True,
            label=LABEL,
            classes=10,
            seed=task.seed,
            progress=False,
        )

    result = game("sequential", rounds)
    once = result if rounds == 0 else game("simultaneous", 1)
    variation = float(result.theory.total_variation()[-1].max())
    return Outcome(task, rounds, _drawn(result.agents, task), _drawn(once.agents, task), variation)


def pool(task: Task) -> AnyArray:
    """Samples of one model of the data of both."""
    one, other = private_data(_images().train, task)
    return _drawn([learner(task, 0).fit([np.concatenate([one.table(), other.table()])])], task)[0]


def _drawn(agents: Sequence[Any], task: Task) -> list[AnyArray]:
    return [agent.sample(task.drawn, seed=1000 + 10 * task.seed + i) for i, agent in enumerate(agents)]


# ---------------------------------------------------------------------- distances


def digits_of(agent: int, target: str) -> AnyArray:
    """The digits that a target means to an agent."""
    halves = np.arange(5), np.arange(5, 10)
    return {"all": np.arange(10), "own": halves[agent], "other": halves[1 - agent]}[target]


@dataclass(frozen=True)
class Judge:
    """Two feature spaces, and the moments of the test images in them, by space, agent and target."""

    spaces: Mapping[str, FeatureMap]
    wanted: Mapping[tuple[str, int, str], Moments]
    accuracy: float

    @classmethod
    def of(cls, train: Part, images: Images, epochs: int) -> Judge:
        network = classifier(train, 64, epochs, seed=0)
        check = images.validation
        accuracy = float(np.mean(network.predict(check.images.astype(np.float32)) == check.labels))
        maps = (hidden_layer(network), principal_components(train.images, 50))
        spaces = dict(zip(SPACES, maps))
        wanted = {}
        for name, features in spaces.items():
            table = features(images.test.images)
            for agent in range(2):
                for target in TARGETS:
                    rows = np.isin(images.test.labels, digits_of(agent, target))
                    wanted[name, agent, target] = Moments.of(table[rows])
        return cls(spaces, wanted, accuracy)

    def __call__(self, table: AnyArray, agent: int) -> dict[tuple[str, str, bool], float]:
        """Distances by space, target, and whether of all samples or of those alone that are labelled as the target's."""
        result = {}
        for space, features in self.spaces.items():
            values = features(table[:, :LABEL])
            for target in TARGETS:
                wanted = self.wanted[space, agent, target]
                labelled = np.isin(table[:, LABEL], digits_of(agent, target))
                result[space, target, False] = frechet_distance(Moments.of(values), wanted)
                enough = labelled.sum() >= 200  # fewer say nothing about a covariance
                alone = frechet_distance(Moments.of(values[labelled]), wanted) if enough else np.nan
                result[space, target, True] = alone
        return result


Distances = dict[tuple[str, str, bool], float]


@dataclass(frozen=True)
class Scores:
    """Distances of everything drawn; agents by self-weight, one list entry a seed."""

    final: Mapping[float, Sequence[Sequence[Distances]]]
    once: Mapping[float, Sequence[Sequence[Distances]]]
    pooled: Sequence[Sequence[Distances]]
    real: Sequence[Distances]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], pooled: Sequence[AnyArray], train: Part, judge: Judge) -> Scores:
        trusts = sorted({outcome.task.self_weight for outcome in outcomes})

        def by_trust(name: str) -> dict[float, list[list[Distances]]]:
            return {
                a: [
                    [judge(table, i) for i, table in enumerate(getattr(outcome, name))]
                    for outcome in outcomes
                    if outcome.task.self_weight == a
                ]
                for a in trusts
            }

        rows = np.random.default_rng(0).choice(len(train), outcomes[0].task.drawn, replace=False)
        real = train.take(rows).table()
        return cls(
            by_trust("final"),
            by_trust("once"),
            [[judge(table, i) for i in range(2)] for table in pooled],
            [judge(real, i) for i in range(2)],
        )

    @property
    def trusts(self) -> list[float]:
        return list(self.final)

    def curve(self, key: tuple[str, str, bool], agent: int, when: str = "final") -> FloatArray:
        """Shape (self-weights, seeds)."""
        table = self.final if when == "final" else self.once
        return np.array([[agents[agent][key] for agents in table[a]] for a in self.trusts])

    def at(self, trust: float, key: tuple[str, str, bool]) -> FloatArray:
        """Mean of the two agents, shape (seeds,)."""
        return np.array([np.mean([agent[key] for agent in agents]) for agents in self.final[trust]])

    def at_once(self, trust: float, key: tuple[str, str, bool]) -> FloatArray:
        return np.array([np.mean([agent[key] for agent in agents]) for agents in self.once[trust]])

    def of_pooled(self, key: tuple[str, str, bool]) -> FloatArray:
        return np.array([np.mean([agent[key] for agent in agents]) for agents in self.pooled])

    def series(self) -> dict[str, Any]:
        """For the JSON file."""
        found: dict[str, Any] = {"self_weight": self.trusts}
        for space in SPACES:
            for target in TARGETS:
                for alone in (False, True):
                    key = (space, target, alone)
                    name = f"{space}, to {target}, {'labelled so' if alone else 'all samples'}"
                    found[name] = {
                        **{AGENTS[i]: self.curve(key, i) for i in range(2)},
                        **{f"{AGENTS[i]}, one exchange": self.curve(key, i, "once") for i in range(2)},
                        "pooled model": [[agents[i][key] for agents in self.pooled] for i in range(2)],
                        "training images": [self.real[i][key] for i in range(2)],
                    }
        return found


# ---------------------------------------------------------------------- figures and words


def _curves(scores: Scores) -> Figure:
    figure = Figure(figsize=(13.0, 7.8), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    for row, space in zip(panels, SPACES):
        for ax, target in zip(row, TARGETS):
            _panel(ax, scores, space, target)
            ax.set_title(f"to the test images of {target} digits", fontsize=10)
            clean(ax)
        row[0].set_ylabel(f"squared Fréchet distance\n({space})")
    for ax in panels[1]:
        ax.set_xlabel(r"self-weight $\alpha_{ii}$")
    handles, labels = [], []
    for ax in panels[0][:2]:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def _panel(ax: Any, scores: Scores, space: str, target: str) -> None:
    """Both agents: all samples (solid), those labelled as the target's (dashed), one exchange (dotted)."""
    trusts = scores.trusts
    for i, name in enumerate(AGENTS):
        styles = [("o-", False, "final", name)]
        if target == "all":
            styles.append(("x:", False, "once", f"{name}: after one exchange"))
        else:
            styles.append(("s--", True, "final", f"{name}: its samples labelled as such"))
        for form, alone, stage, label in styles:
            values = scores.curve((space, target, alone), i, stage)
            ax.plot(trusts, np.median(values, axis=1), form, color=PALETTE[i], markersize=4, label=label)
            low, high = values.min(axis=1), values.max(axis=1)
            ax.fill_between(trusts, low, high, color=PALETTE[i], alpha=0.2, linewidth=0)
    alone = target != "all"
    pooled = float(np.median(scores.of_pooled((space, target, alone))))
    real = float(np.mean([distances[space, target, alone] for distances in scores.real]))
    ax.axhline(
        pooled, color="black", linestyle="-.", linewidth=1.1, label="pooled model (its samples labelled as such)"
    )
    ax.axhline(real, color=GREY, linestyle="-", linewidth=0.9, label="training images: the floor")
    ax.set_yscale("log")
    decimal_ticks(ax.yaxis)


def _pictures(outcomes: Sequence[Outcome], pooled: Sequence[AnyArray], test: Part) -> Figure:
    """Samples as they were drawn, put in the order of their labels."""
    first = outcomes[0].task.seed
    shown = outcomes[0].task.shown
    chosen = [o for o in outcomes if o.task.seed == first and o.task.self_weight in (0.1, 0.2, 0.5, 0.9, 1.0)]
    chosen.sort(key=lambda outcome: -outcome.task.self_weight)
    rows, titles = [], []
    for i, name in enumerate(AGENTS):
        for outcome in chosen:
            rows.append(in_order(outcome.final[i][:shown]))
            titles.append(f"{name.removeprefix('agent ')}, α = {outcome.task.self_weight:g}")
    rows += [in_order(pooled[0][:shown]), in_order(test.table()[:shown])]
    titles += ["pooled model", "test images"]
    figure = Figure(figsize=(12.5, 0.56 * len(rows)))
    # The layout engines leave too little room for titles beside axes of a fixed aspect.
    ax = figure.add_axes((0.12, 0.01, 0.87, 0.98))
    eg.plots.images(ax, rows, shape=(28, 28), row_titles=titles)
    return figure


def in_order(table: AnyArray) -> AnyArray:
    """Images by rising label, unchosen otherwise."""
    return table[np.argsort(table[:, LABEL], kind="stable"), :LABEL]


def _findings(scores: Scores, outcomes: Sequence[Outcome]) -> list[Finding]:
    best = min(scores.trusts, key=lambda a: float(np.median(scores.at(a, (SPACES[0], "all", False)))))
    findings = []
    for space in SPACES:
        whole, own, other = (space, "all", False), (space, "own", True), (space, "other", True)
        findings.append(Finding.of(f"{space}: to all digits, isolated", scores.at(1.0, whole)))
        for trust in (a for a in scores.trusts if a < 1.0):
            findings.append(Finding.of(f"{space}: to all digits, α = {trust:g}", scores.at(trust, whole)))
        findings += [
            *(
                Finding.of(f"{space}: to all digits, α = {trust:g}, one exchange", scores.at_once(trust, whole))
                for trust in sorted({best, 0.5, min(scores.trusts)} - {1.0})
            ),
            Finding.of(f"{space}: to all digits, pooled model", scores.of_pooled(whole)),
            Finding.of(f"{space}: to all digits, training images", np.mean([d[whole] for d in scores.real])),
            Finding.of(f"{space}: own digits to own, isolated", scores.at(1.0, own)),
            *(
                Finding.of(f"{space}: own digits to own, α = {trust:g}", scores.at(trust, own))
                for trust in scores.trusts
                if trust < 1.0
            ),
            Finding.of(f"{space}: other digits to other, α = 0.5", scores.at(0.5, other)),
            Finding.of(f"{space}: other digits to other, pooled model", scores.of_pooled(other)),
        ]
    settled = [o for o in outcomes if o.task.self_weight == 0.5]
    findings.append(
        Finding.of(
            f"class marginals against R m at α = 0.5, total variation, {STRATIFIED}", [o.variation for o in settled]
        )
    )
    return findings


def _reading(scores: Scores) -> str:
    space = SPACES[0]
    whole, own, low = (space, "all", False), (space, "own", True), min(scores.trusts)
    alone, half, least = (middle(scores.at(trust, own)) for trust in (1.0, 0.5, low))
    once, once_low = middle(scores.at_once(0.5, whole)), middle(scores.at_once(low, whole))
    late, late_low = middle(scores.at(0.5, whole)), middle(scores.at(low, whole))
    real = float(np.mean([d[whole] for d in scores.real]))
    models = [middle(scores.of_pooled(whole)), *(middle(scores.at(trust, whole)) for trust in scores.trusts)]
    return (
        f"Distance to all digits (hidden layer, mean of both agents): {middle(scores.at(1.0, whole)):.2f} alone, {late:.2f} at α = 0.5, "
        f"{late_low:.2f} at α = {low:g}; the pooled model {models[0]:.2f}. By linear theory (T2) a share (1 − α)/(2 − α) of an "
        "agent's samples are the other's digits. Draws are stratified: the digits are dealt out in the model's proportions and carry no sampling "
        "noise, so the last row checks that play came to rest where theory says, not that noise is small. The distance of all its samples to its "
        "own digits grows with that share by itself; of the samples that it labels as its own, it is "
        f"{alone:.2f} alone, {half:.2f} at α = 0.5 and {least:.2f} at α = {low:g}"
        + when(alone < half < least, ": the price of listening, which grows as real data weigh less (T8)")
        + f". One exchange with the same weights gives α and 1 − α of the digits: at α = 0.5 that is half and half, and the distance is "
        f"{against(once, late, '.2f')} at the end; at α = {low:g} a share of {1.0 - low:g} of an agent's samples are then the other's digits "
        f"({once_low:.2f})"
        + when(late_low < once_low, f", and rounds mend it ({late_low:.2f})")
        + when(min(models) > 2.0 * real, f". All models stay well above real images ({real:.2f})")
        + ". Mixtures of Bernoulli products draw grainy strokes, alone as together."
    )
