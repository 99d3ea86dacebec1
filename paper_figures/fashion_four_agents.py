"""Four agents of rising capacity and few examples: what exchanging samples is worth on Fashion-MNIST."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import expfam_game as eg
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.plots.style import GREY, PALETTE, clean
from paper_figures.data import Images, Part, load, some_per_class
from paper_figures.measures import side_by_side, together
from paper_figures.report import Finding, Report
from paper_figures.wording import against, middle, when

TITLE = "Four agents of rising capacity, few examples each (Fashion-MNIST)"
CLAIM = "With ten examples a class and agent one exchange of samples wins most of what one model of all examples would; with more examples there is less to win, and more rounds add little."

AGENTS = 4
SIZES = ((1, 2), (1, 8), (2, 8), (4, 8))
"""Factor analysers per class, and factors of each, of the four agents."""
WIDTHS = (8, 16, 32, 64)
"""Hidden units of their classifiers."""
REGIMES = (10, 50, 100, 500)
"""Real examples per class and agent."""

WAYS = {
    "discriminative": "classifier, own examples",
    "distilled": "classifier, peers' hard labels",
    "taught": "classifier, peers' samples",
    "discriminative pooled": "classifier, all examples",
    "isolated": "model, isolated",
    "one-shot": "model, one exchange",
    "game": "model, game",
    "pooled": "model, all examples",
}
CHOICES = (
    "one seed. Noise floor 0.01, 0.02, 0.04, 0.08, isolated models: best 0.02 at 10 and 50 examples a class, 0.04 from 100 on; in the game "
    "at 10 examples 0.04 is no worse, and is used throughout. Game of 4 rounds, mean accuracy after the first and the last: memory 1: 0.748, 0.758 (10 examples), 0.815, 0.806 (100 "
    "examples), 0.828, 0.818 (500); memory 3: 0.748, 0.754, 0.815, 0.814 and 0.828, 0.831, and it is used throughout; 3000 samples and memory 1: 0.817, 0.811 (100). "
    "Isolated and pooled models with five times the EM steps, as many as a game makes, change by 0.003 at most. Classifiers of own examples, smallest and "
    "largest agent, mean of 10, 100 and 500 examples: 300 steps of rate 0.003 with decay 1: 0.770; 600 steps of rate 0.001 with decay 1 or 3: 0.773, 0.772; "
    "of rate 0.002: 0.773, 0.771; decay 0.01 loses 0.01 at 10 examples. The second is used for all classifiers."
)


@dataclass(frozen=True)
class Task:
    """One seed of one regime."""

    per_class: int
    seed: int
    rounds: int = 4
    n: int = 1000
    memory: int = 3
    noise_floor: float = 0.04
    max_iter: int = 5
    steps: int = 600
    decay: float = 1.0
    rate: float = 0.001
    common: int = 1000
    scored: int = 10_000
    on: str = "test"


@dataclass(frozen=True)
class Outcome:
    """Accuracy of the four agents: in every way (4,), and of the game after every round (rounds + 1, 4)."""

    task: Task
    accuracy: Mapping[str, FloatArray]
    by_round: FloatArray


def main(out: Path, seed: int, quick: bool) -> Report:
    """All ways of learning in all regimes, over seeds."""
    seeds = [seed] if quick else [seed, seed + 1, seed + 2]
    if quick:
        tasks = [Task(10, seed, rounds=1, n=100, max_iter=2, steps=15, common=100, scored=300)]
    else:
        tasks = [Task(m, s) for m in reversed(REGIMES) for s in seeds]  # dearest first
    outcomes = side_by_side(run, tasks, "regimes", processes=1 if quick else None)
    results = {
        m: [outcome for outcome in outcomes if outcome.task.per_class == m]
        for m in sorted({t.per_class for t in tasks})
    }
    task = tasks[0]
    settings = {
        "weights": "1/4 on each agent, oneself included",
        "models": f"(analysers per class, factors) {SIZES}; noise floor {task.noise_floor}; at most {task.max_iter} EM steps a fit",
        "classifiers": f"one hidden layer of {WIDTHS}; {task.steps} Adam steps of 200 images, rate {task.rate}, weight decay {task.decay}",
        "game": f"{task.rounds} rounds, {task.n} stratified samples from every agent and round, those of the last {task.memory} rounds kept",
        "distillation": f"{task.common} common unlabelled real images, labelled by every peer's classifier",
        "chosen on the validation split": CHOICES,
        "test images": task.scored,
        "seeds": seeds,
    }
    return _report(results, settings)


def again(saved: Mapping[str, Any]) -> Report:
    """The report of an earlier run, from its file."""
    results = {}
    for m, row in saved["series"].items():
        by_seed = zip(saved["settings"]["seeds"], row["game by round"])
        results[int(m)] = [
            Outcome(Task(int(m), seed), {way: np.array(row["accuracy"][way][k]) for way in WAYS}, np.array(by_round))
            for k, (seed, by_round) in enumerate(by_seed)
        ]
    return _report(results, saved["settings"])


def _report(results: Results, settings: Mapping[str, Any]) -> Report:
    figures = {"fashion_four_agents": _agents_figure(results), "fashion_four_agents_rounds": _rounds_figure(results)}
    series = {
        str(m): {
            "accuracy": {way: [o.accuracy[way] for o in found] for way in WAYS},
            "game by round": [o.by_round for o in found],
        }
        for m, found in results.items()
    }
    return Report(_findings(results), _reading(results), figures, settings, series)


# ---------------------------------------------------------------------- one seed of one regime


@cache
def _images() -> Images:
    return load("fashion", None)


def run(task: Task) -> Outcome:
    """Train all agents in all ways."""
    images = _images()
    held_out = grey(images.test if task.on == "test" else images.validation).take(np.arange(task.scored))
    parts, common = divide(images.train, task)
    everything = together(together(parts[0], parts[1]), together(parts[2], parts[3]))
    accuracy, by_round, heard = _models(task, parts, everything, held_out)
    accuracy |= _classifiers(task, parts, everything, common, heard, held_out)
    return Outcome(task, accuracy, by_round)


def divide(train: Part, task: Task) -> tuple[list[Part], Part]:
    """Each agent's own examples, ``per_class`` of every class, and common images that are no agent's."""
    spare = -(-task.common // 10)
    drawn = some_per_class(train, AGENTS * task.per_class + spare, task.seed)
    rank = np.empty(len(drawn), dtype=np.int64)
    for c in range(10):
        mine = np.flatnonzero(drawn.labels == c)
        rank[mine] = np.arange(mine.size)
    owner = rank // task.per_class  # AGENTS and above: nobody
    parts = [grey(drawn.take(np.flatnonzero(owner == i))) for i in range(AGENTS)]
    return parts, grey(drawn.take(np.flatnonzero(owner >= AGENTS)[: task.common]))


def grey(part: Part) -> Part:
    """Grey values from 0 to 1."""
    return Part(part.images / 255.0, part.labels)


def score(model: Any, part: Part) -> float:
    """Fraction of the labels that the model names."""
    return float(np.mean(model.predict(part.images) == part.labels))


def _models(
    task: Task, parts: Sequence[Part], everything: Part, held_out: Part
) -> tuple[dict[str, FloatArray], FloatArray, list[Part]]:
    """Generative models that classify by Bayes' rule; also what the agents say after the last round."""
    from expfam_game.learners.factor_analysers import MixtureOfFactorAnalysers

    agents = [
        MixtureOfFactorAnalysers(
            k, q, n_classes=10, noise_floor=task.noise_floor, max_iter=task.max_iter, seed=10 * task.seed + i
        )
        for i, (k, q) in enumerate(SIZES)
    ]
    table = held_out.table(np.float64)

    def accuracy(agent: Any, index: int) -> float:
        return float(np.mean(agent.predict(table) == held_out.labels))

    result = eg.bridge.play(
        agents,
        eg.Weights.complete(AGENTS, 1.0 / AGENTS),
        [part.table(np.float64) for part in parts],
        task.rounds,
        n=task.n,
        memory=task.memory,
        stratified=True,
        metrics={"accuracy": accuracy},
        seed=task.seed,
        progress=False,
    )
    by_round = result.metric("accuracy")
    pooled = [accuracy(agent.fit([everything.table(np.float64)]), i) for i, agent in enumerate(agents)]
    # Classes are equally frequent, so the weights of stratified samples are equal up to the noise of rounding.
    said = [agent.sample_stratified(task.n, seed=task.seed).values for agent in result.agents]
    heard = [Part(values[:, :-1], values[:, -1].astype(np.uint8)) for values in said]
    ways = {"isolated": by_round[0], "one-shot": by_round[1], "game": by_round[-1], "pooled": np.array(pooled)}
    return ways, by_round, heard


def _classifiers(
    task: Task, parts: Sequence[Part], everything: Part, common: Part, heard: Sequence[Part], held_out: Part
) -> dict[str, FloatArray]:
    """Networks of p(class | image): on own examples, with the peers' labels of common images, with the peers' samples."""
    own = [network([part], i, task) for i, part in enumerate(parts)]
    labelled = [Part(common.images, model.predict(common.images)) for model in own]
    with_labels = [network([part, *_others(labelled, i)], i, task) for i, part in enumerate(parts)]
    with_samples = [network([part, *_others(heard, i)], i, task) for i, part in enumerate(parts)]
    pooled = [network([everything], i, task) for i in range(AGENTS)]
    ways = {"discriminative": own, "distilled": with_labels, "taught": with_samples, "discriminative pooled": pooled}
    return {way: np.array([score(model, held_out) for model in models]) for way, models in ways.items()}


def _others(items: Sequence[Part], agent: int) -> list[Part]:
    return [item for j, item in enumerate(items) if j != agent]


def equally_many(parts: Sequence[Part]) -> tuple[AnyArray, AnyArray]:
    """Images and labels of all parts, the shorter ones repeated, so that all have the same weight."""
    most = max(len(part) for part in parts)
    rows = [np.resize(np.arange(len(part)), most) for part in parts]
    images = np.concatenate([part.images[mine] for part, mine in zip(parts, rows)])
    return images, np.concatenate([part.labels[mine] for part, mine in zip(parts, rows)])


def network(parts: Sequence[Part], agent: int, task: Task) -> Any:
    """A network of the agent's width, trained for a fixed number of steps whatever the number of images."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    images, labels = equally_many(parts)
    batch = min(200, len(labels))
    passes = max(1, round(task.steps * batch / len(labels)))
    model = MLPClassifier(
        (WIDTHS[agent],),
        alpha=task.decay,
        learning_rate_init=task.rate,
        batch_size=batch,
        max_iter=passes,
        n_iter_no_change=passes,
        random_state=10 * task.seed + agent,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is meant
        return model.fit(images.astype(np.float32), labels)


# ---------------------------------------------------------------------- figures and words

Results = Mapping[int, Sequence[Outcome]]
"""Outcomes, one a seed, by examples per class."""

_STYLES = {
    "discriminative": (PALETTE[1], ":", "s"),
    "distilled": (PALETTE[4], ":", "s"),
    "taught": (PALETTE[3], ":", "s"),
    "discriminative pooled": (PALETTE[7], ":", "s"),
    "isolated": (PALETTE[5], "-", "o"),
    "one-shot": (PALETTE[2], "-", "o"),
    "game": (PALETTE[0], "-", "o"),
    "pooled": (PALETTE[6], "--", "o"),
}


def _agents_figure(results: Results) -> Figure:
    """One panel an agent; bars from the least to the largest of the seeds."""
    figure = Figure(figsize=(13.5, 5.2), layout="constrained")
    panels = figure.subplots(1, AGENTS, sharey=True)
    regimes = list(results)
    for i, ax in enumerate(panels):
        for position, (way, name) in enumerate(WAYS.items()):
            colour, line, marker = _STYLES[way]
            values = np.array([[o.accuracy[way][i] for o in results[m]] for m in regimes])
            middle = np.median(values, axis=1)
            bars = np.stack([middle - values.min(axis=1), values.max(axis=1) - middle])
            shifted = np.array(regimes) * 1.035 ** (position - 3.5)  # side by side, or bars would hide one another
            ax.errorbar(shifted, middle, bars, color=colour, linestyle=line, marker=marker, markersize=4, label=name)
        ax.set_xscale("log")
        ax.set_xticks(regimes, [str(m) for m in regimes])
        ax.minorticks_off()
        k, q = SIZES[i]
        models = "1 analyser" if k == 1 else f"{k} analysers"
        ax.set_title(f"agent {i}: {models} of {q} factors a class;\n{WIDTHS[i]} hidden units", fontsize=10)
        ax.set_xlabel("real examples per class and agent")
        clean(ax)
    panels[0].set_ylabel("test accuracy")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _rounds_figure(results: Results) -> Figure:
    """Mean accuracy of the four agents after every round, beside that of pooled models."""
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    ax = figure.subplots()
    for colour, (m, found) in zip(PALETTE, results.items()):
        values = np.array([o.by_round.mean(axis=1) for o in found])
        rounds = np.arange(values.shape[1])
        ax.plot(rounds, np.median(values, axis=0), "o-", color=colour, label=f"{m} examples per class and agent")
        ax.fill_between(rounds, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        ax.axhline(np.median([o.accuracy["pooled"].mean() for o in found]), color=colour, linestyle="--", linewidth=1.2)
    ax.plot([], [], "--", color=GREY, label="models of all examples")
    ax.set_xticks(rounds)
    ax.set_xlabel("round of exchange (0: isolated)")
    ax.set_ylabel("test accuracy, mean of the four agents")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    clean(ax)
    return figure


def _means(found: Sequence[Outcome], way: str) -> FloatArray:
    """Mean of the four agents, one a seed."""
    return np.array([o.accuracy[way].mean() for o in found])


def _findings(results: Results) -> list[Finding]:
    findings = []
    for m, found in results.items():
        isolated, game, pooled = (_means(found, way) for way in ("isolated", "game", "pooled"))
        findings += [
            Finding.of(f"{m} examples: mean accuracy, game", game),
            Finding.of(f"{m} examples: gain of the game over isolated models", game - isolated),
            Finding.of(f"{m} examples: of that, after one exchange", _means(found, "one-shot") - isolated),
            Finding.of(f"{m} examples: models of all examples over the game", pooled - game),
            Finding.of(f"{m} examples: largest gain of an agent", [np.max(_gain(o)) for o in found]),
            Finding.of(f"{m} examples: least gain of an agent", [np.min(_gain(o)) for o in found]),
        ]
    return findings


def _gain(outcome: Outcome) -> FloatArray:
    return np.asarray(outcome.accuracy["game"] - outcome.accuracy["isolated"])


def _table(results: Results) -> str:
    """Mean accuracy of the four agents in every way: median over seeds, least … largest."""
    lines = ["| mean of four agents | " + " | ".join(f"{m} a class" for m in results) + " |"]
    lines.append("| --- |" + " --- |" * len(results))
    for way, name in WAYS.items():
        cells = []
        for found in results.values():
            values = _means(found, way)
            cells.append(f"{np.median(values):.3f} ({values.min():.3f} … {values.max():.3f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _reading(results: Results) -> str:
    gains = []
    for m, found in results.items():
        isolated, once, game, pooled = (
            middle(_means(found, way)) for way in ("isolated", "one-shot", "game", "pooled")
        )
        gains.append(
            f"{m} a class: {isolated:.3f} isolated, {once:.3f} after one exchange, {game:.3f} after the game, {pooled:.3f} pooled"
        )
    return (
        "Mean accuracy of the four models: "
        + "; ".join(gains)
        + ". Everybody sees all classes here, so exchange has no more to give than all examples hold; the distance between isolated and pooled "
        "is what there is to win. "
        + _of_classifiers(results)
        + " "
        + _of_rounds(results)
        + " Samples carry the sender's bias as well: "
        "a large agent that listens to smaller ones may end below its pooled model. The common real images that distillation uses are an "
        "advantage that the game does not have.\n\n" + _table(results)
    )


def _of_classifiers(results: Results) -> str:
    least = min(results)
    own, taught, labels = (middle(_means(results[least], way)) for way in ("discriminative", "taught", "distilled"))
    return (
        when(taught > own, "Samples serve other learners as well: with", "With")
        + f" {least} examples a class a classifier has {own:.3f} from its own examples, {taught:.3f} with the peers' samples and {labels:.3f} with "
        "their hard labels of common images."
    )


def _of_rounds(results: Results) -> str:
    """The game against its first round, where there is more than one."""
    if len(next(iter(results.values()))[0].by_round) < 3:
        return "This game has one round, so it is the one exchange."
    pairs = {m: [middle(_means(found, way)) for way in ("game", "one-shot")] for m, found in results.items()}
    compared = "; ".join(f"{against(game, once)} with {m} a class" for m, (game, once) in pairs.items())
    return (
        f"The game against its first exchange: {compared}. More rounds bring no new examples, and errors of samples of samples add up; on the "
        "validation images keeping the samples of several rounds held most of that off (see the settings)."
    )
