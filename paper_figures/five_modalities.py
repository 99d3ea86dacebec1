"""Agents that see different things: five kinds of pictures with one light model of drawings, and a chain of two modalities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import expfam_game as eg
from expfam_game._typing import AnyArray, FloatArray
from expfam_game.bridge import play
from paper_figures.data import BACKGROUNDS, Images, Part, Views, five_modalities, load
from paper_figures.five_modalities_pictures import SHORT, draw_chain, draw_generation, draw_numbers, draw_views
from paper_figures.layered import Layered, Layout
from paper_figures.modalities import (
    PIXELS,
    Judge,
    keep_labels,
    observed,
    palette,
    repaint,
    second_view,
    spread_labels,
    table,
    to_symbols,
)
from paper_figures.report import Finding, Report
from paper_figures.wording import against, middle, when

TITLE = "Five modalities, and agents without labels"
CLAIM = "Agents that share only class, style and drawing teach one another what a picture shows, though no picture and no label of a picture is exchanged."

LIGHT, MAIN = Layout(PIXELS), Layout(PIXELS, picture=True)
CHAIN = (Layout(PIXELS), Layout(PIXELS, drawings=2, picture=True), Layout(PIXELS, picture=True))
KINDS = (24, 8, 8, 8, 8)
COLOURS = 16
SHARES = (1.0, 0.01)
TEST = {"five modalities": 1000, "coherence across modalities": 200, "two modalities": 2000}
_QUICK_TEST = dict.fromkeys(TEST, 60)
SETTINGS: dict[str, Any] = {
    "five modalities": {
        "pictures an agent": 1500,
        "labelled drawings": 5000,
        "styles a class": 20,
        "kinds of backdrop": dict(zip(BACKGROUNDS, KINDS)),
        "colours": COLOURS,
        "rounds": 3,
        "letters": 2000,
        "self-weight": 0.5,
        "margin": 0.02,
    },
    "two modalities": {
        "images an agent": 2000,
        "labels of A": "all, or 1 % drawn by class (two of each digit) and spread to its other images",
        "styles a class": 10,
        "kinds of backdrop": 4,
        "rounds": 3,
        "letters": 2000,
        "self-weight": 0.5,
        "margin": 0.02,
        "EM steps a round": 12,
    },
    "tried on the validation images": "astronaut with 8 and 24 kinds of backdrop (.69, .80); two modalities: 10, 20 and 40 styles, margins .02, .05 and "
    ".1 (the larger ones let a later round lose a kind of stripes), 5, 12 and 15 EM steps, self-weights .5 to .75, 2000 and 5000 images and letters; "
    "spreading labels: 6 and 10 neighbours, blur .7, 1 and 1.5 pixels (judged by the training labels)",
}


def main(out: Path, seed: int, quick: bool) -> Report:
    """Five modalities and the chain of two, over seeds; judges trained on other images."""
    from joblib import Parallel, delayed

    seeds = range(seed, seed + (1 if quick else 3))
    workers = Parallel(n_jobs=1 if quick else -1)
    *judges, pair_judge = workers(train_judges(quick))
    jobs = [delayed(five)(s, judges, quick) for s in seeds]
    jobs += [delayed(chain)(s, share, pair_judge, quick) for share in SHARES for s in seeds]
    results = workers(jobs)
    n = len(seeds)
    views, chains = results[:n], {share: results[(k + 1) * n : (k + 2) * n] for k, share in enumerate(SHARES)}
    figures = {
        "five_modalities_views": draw_views(views[0]),
        "five_modalities_generation": draw_generation(views[0]),
        "five_modalities_numbers": draw_numbers(views),
        "five_modalities_chain": draw_chain(chains),
    }
    series = {
        "five": [
            {key: v[key] for key in ("accuracy", "real", "classifier", "judge", "light", "plain", "painted", "crisp")}
            for v in views
        ],
        "chain": {
            str(share): [{k: v for k, v in c.items() if k != "pictures"} for c in runs]
            for share, runs in chains.items()
        },
    }
    findings = _findings(views, chains)
    if quick:  # too small to be held to what is asked
        findings = [replace(finding, wanted="") for finding in findings]
    settings = {**SETTINGS, "test images": _QUICK_TEST if quick else TEST, "seeds": list(seeds)}
    if quick:
        settings["small version"] = (
            "of everything above less: images, letters, styles, kinds of backdrop, rounds, EM steps"
        )
    return Report(findings, _reading(views, chains), figures, settings, series)


@lru_cache(maxsize=2)
def images_of(threshold: int | None) -> Images:
    """MNIST, read once."""
    return load("mnist", threshold)


# ---------------------------------------------------------------------- judges


def train_judges(quick: bool) -> list[Any]:
    """Jobs that train one judge for each modality on real pictures and one on real second views, of images nobody else has."""
    from joblib import delayed

    everything, binary = images_of(None).train, images_of(127).train
    rows = np.arange(len(everything) * 3 // 5, len(everything))
    views = five_modalities(everything.take(rows[: 400 if quick else 10_000]), seed=77)
    epochs, copies = (5, 1) if quick else (12, 4)
    jobs = [delayed(Judge(128, epochs).fit)(views.images[:, m], views.labels) for m in range(5)]
    part = binary.take(rows[: 800 if quick else 20_000])
    seconds = np.concatenate([second_view(part.images, 100 + k) for k in range(copies)])
    return [*jobs, delayed(Judge(256, epochs // 2).fit)(seconds, np.tile(part.labels, copies))]


# ---------------------------------------------------------------------- five modalities


def five(seed: int, judges: Sequence[Judge], quick: bool) -> dict[str, Any]:
    """One seed: a light agent with labelled drawings and five agents with unlabelled pictures."""
    chosen = SETTINGS["five modalities"]
    images = images_of(None)
    n, n_light, n_test = (
        (80, 400, 60) if quick else (chosen["pictures an agent"], chosen["labelled drawings"], TEST["five modalities"])
    )
    order = np.random.default_rng(seed).permutation(len(images.train) * 3 // 5)
    own = five_modalities(images.train.take(order[:n]), seed)
    chosen_test = np.random.default_rng(seed).permutation(len(images.test))[:n_test]
    test = five_modalities(images.test.take(chosen_test), seed + 1)
    part = images.train.take(order[n : n + n_light])
    drawn = Part((part.images > 128).astype(np.uint8), part.labels)
    colours = [palette(own.images[:, m], COLOURS, seed) for m in range(5)]
    symbols = [to_symbols(own.images[:, m], colours[m]) for m in range(5)]
    asked = [to_symbols(test.images[:, m], colours[m]) for m in range(5)]
    private = [table(LIGHT, n_light, {0: drawn.images}, drawn.labels)]
    private += [table(MAIN, n, {"picture": x}) for x in symbols]
    agents = [_model(LIGHT, 1, seed, quick)] + [_model(MAIN, KINDS[m], seed + m, quick) for m in range(5)]

    def accuracy(model: Layered, index: int) -> float:
        if not model.defined:
            return float("nan")
        question = (
            table(MAIN, n_test, {"picture": asked[index - 1]}) if index else table(LIGHT, n_test, {0: test.masks[:, 0]})
        )
        return correct(model, question, test.labels)

    result = play(
        agents,
        star(6, chosen["self-weight"]),
        private,
        1 if quick else chosen["rounds"],
        n=300 if quick else chosen["letters"],
        stratified=True,
        variables=[np.arange(LIGHT.width)] + [modality_columns(m) for m in range(5)],
        label=0,
        classes=10,
        metrics={"accuracy": accuracy},
        seed=seed,
        progress=False,
    )
    real = []
    for m in range(0 if quick else 5):
        pairs = table(MAIN, n_light, {0: drawn.images}, drawn.labels)
        real.append(accuracy(_model(MAIN, KINDS[m], seed + m, quick).fit([private[m + 1], pairs], [0.5, 0.5]), m + 1))
    mains = list(result.agents[1:])
    known = [
        Judge(epochs=30).fit(own.images[:, m], own.labels).agrees(test.images[:, m], test.labels) for m in range(5)
    ]
    shown = cross(
        mains, own, asked, symbols, colours, test, judges, seed, 60 if quick else TEST["coherence across modalities"]
    )
    table_of = result.metric("accuracy")
    return {
        "accuracy": table_of[:, 1:],
        "light": table_of[:, 0],
        "real": np.array(real),
        "classifier": np.array(known),
        "judge": np.array([judges[m].agrees(test.images[:, m], test.labels) for m in range(5)]),
        "test": test,
        "inferred": [
            m_.complete(q.values[:10], q.observed, 0)[:, MAIN.drawing(0)] for m_, q in _questions(mains, asked)
        ],
        **shown,
    }


def _questions(mains: Sequence[Layered], asked: Sequence[AnyArray]) -> list[tuple[Layered, Any]]:
    return [(model, table(MAIN, len(x), {"picture": x})) for model, x in zip(mains, asked)]


def _model(layout: Layout, kinds: int, seed: int, quick: bool) -> Layered:
    chosen = SETTINGS["five modalities"]
    return Layered(
        layout,
        n_styles=3 if quick else chosen["styles a class"],
        n_kinds=min(kinds, 3) if quick else kinds,
        n_symbols=COLOURS,
        margin=chosen["margin"],
        prune=20.0,
        max_iter=2 if quick else 10,
        tol=0.1,
        seed=seed,
    )


def modality_columns(modality: int) -> AnyArray:
    """Of the shared variables (class, style, drawing, five pictures) those of one modality's agent."""
    return np.concatenate([np.arange(LIGHT.width), LIGHT.width + modality * PIXELS + np.arange(PIXELS)])


def star(n: int, self_weight: float) -> eg.Weights:
    """Agent 0 listens to everybody else, and they to it."""
    alpha = np.diag(np.full(n, self_weight))
    alpha[0, 1:] = (1.0 - self_weight) / (n - 1)
    alpha[1:, 0] = 1.0 - self_weight
    return eg.Weights.from_dense(alpha)


def correct(model: Layered, question: Any, labels: AnyArray) -> float:
    """Share of the rows whose most probable class is right."""
    found = model.predict_proba(question.values, observed(question)).argmax(axis=1)
    return float((found == labels).mean())


def cross(
    mains: Sequence[Layered],
    own: Views,
    asked: Sequence[AnyArray],
    symbols: Sequence[AnyArray],
    colours: Sequence[FloatArray],
    test: Views,
    judges: Sequence[Judge],
    seed: int,
    n: int,
) -> dict[str, Any]:
    """Class and style inferred from a picture of modality a, then a drawing and a picture of modality b, judged."""
    rng = np.random.default_rng(seed + 5)
    plain, painted, crisp = np.zeros((5, 5)), np.zeros((5, 5)), np.zeros((5, 5))
    shown: dict[tuple[int, int], AnyArray] = {}
    layers = []
    for m, (model, x) in enumerate(zip(mains, symbols, strict=True)):
        rows = rng.integers(0, len(x), n)
        q = table(MAIN, n, {"picture": x[rows]})
        layers.append((own.images[rows, m], model.complete(q.values, observed(q), seed)[:, MAIN.drawing(0)]))
    for a in range(5):
        q = table(MAIN, n, {"picture": asked[a][:n]})
        found = mains[a].complete(q.values, observed(q), seed)
        for b in range(5):
            named = table(MAIN, n, {}, found[:, 0], found[:, 1])
            made = mains[b].complete(named.values, observed(named), seed + b)
            drawing = made[:, MAIN.drawing(0)]
            index = found[:, 0].astype(np.int64) * mains[b].n_styles + found[:, 1]
            usual = (mains[b].ink_[-1, index] > 0.5).astype(np.uint8)
            by_model = colours[b][made[:, MAIN.over]].reshape(n, 28, 28, 3).astype(np.uint8)
            by_donor = repaint(drawing, *layers[b])
            by_usual = repaint(usual, *layers[b])
            for square, pictures in ((plain, by_model), (painted, by_donor), (crisp, by_usual)):
                square[a, b] = judges[b].agrees(pictures, test.labels[:n])
            shown[a, b] = by_usual[:8]
    return {"plain": plain, "painted": painted, "crisp": crisp, "shown": shown}


# ---------------------------------------------------------------------- two modalities


def chain(seed: int, share: float, judge: Judge, quick: bool) -> dict[str, Any]:
    """A has drawings and a share of their labels, P unlabelled pairs, B unlabelled second views; A – P – B."""
    chosen = SETTINGS["two modalities"]
    images = images_of(127)
    n, n_test = (100, 60) if quick else (chosen["images an agent"], TEST["two modalities"])
    order = np.random.default_rng(seed + 50).permutation(len(images.train) * 3 // 5)[: 3 * n]
    a, p, b = (images.train.take(order[k * n : (k + 1) * n]) for k in range(3))
    labels = a.labels if share == 1.0 else spread_labels(a.images, keep_labels(a.labels, share, seed))
    rows = np.random.default_rng(seed).permutation(len(images.test))[:n_test]
    test = images.test.take(rows)
    other = second_view(test.images, 900 + seed)
    private = [
        table(CHAIN[0], n, {0: a.images}, labels),
        table(CHAIN[1], n, {0: p.images, "picture": second_view(p.images, 300 + seed)}),
        table(CHAIN[2], n, {"picture": second_view(b.images, 600 + seed)}),
    ]
    agents = [
        Layered(
            layout,
            n_styles=3 if quick else chosen["styles a class"],
            n_kinds=chosen["kinds of backdrop"],
            per_pixel=True,
            margin=chosen["margin"],
            max_iter=2 if quick else chosen["EM steps a round"],
            seed=seed + k,
        )
        for k, layout in enumerate(CHAIN)
    ]

    def first(model: Layered, index: int) -> float:
        seen = index < 2 and model.defined
        return correct(model, table(CHAIN[index], n_test, {0: test.images}), test.labels) if seen else float("nan")

    def second(model: Layered, index: int) -> float:
        seen = index > 0 and model.defined
        return correct(model, table(CHAIN[index], n_test, {"picture": other}), test.labels) if seen else float("nan")

    own = chosen["self-weight"]
    half = (1.0 - own) / 2
    result = play(
        agents,
        eg.Weights.from_dense([[own, 1.0 - own, 0.0], [half, own, half], [0.0, 1.0 - own, own]]),
        private,
        2 if quick else chosen["rounds"],
        n=200 if quick else chosen["letters"],
        stratified=True,
        variables=[np.arange(2 + PIXELS), np.arange(2 + 3 * PIXELS), np.r_[0, 1, 2 + PIXELS : 2 + 3 * PIXELS]],
        label=0,
        classes=10,
        metrics={"first": first, "second": second},
        seed=seed,
        progress=False,
    )
    q = table(CHAIN[1], n_test, {0: test.images})
    made = result.agents[1].complete(q.values, observed(q), seed)[:, CHAIN[1].over]
    hidden = table(CHAIN[0], n_test, {0: test.images})
    named = result.agents[0].complete(hidden.values, observed(hidden), seed)
    composed = result.agents[2].sample(n_test, seed, labels=named[:, 0])[:, CHAIN[2].over]
    return {
        "first": result.metric("first"),
        "second": result.metric("second"),
        "spread": float((labels == a.labels).mean()),
        "coherence": judge.agrees(made, test.labels),
        "composed": judge.agrees(composed, test.labels),
        "judge": judge.agrees(other, test.labels),
        "pictures": [test.images[:12], other[:12], made[:12], composed[:12]],
    }


# ---------------------------------------------------------------------- words


def _findings(views: Sequence[dict[str, Any]], chains: dict[float, list[dict[str, Any]]]) -> list[Finding]:
    full, few = chains[1.0], chains[0.01]
    findings = [
        Finding.of(
            "chain, agent B (x2, no labels), its accuracy; A labelled", [c["second"][-1, 2] for c in full], ">= 0.55"
        ),
        Finding.of(
            "chain, agent B (x2, no labels), its accuracy; A with 1 % labels",
            [c["second"][-1, 2] for c in few],
            ">= 0.40",
        ),
        *_late(full),
        Finding.of("chain, coherence x1 → x2 by P; A labelled", [c["coherence"] for c in full], ">= 0.70"),
        Finding.of("chain, coherence x1 → x2 by P; A with 1 % labels", [c["coherence"] for c in few]),
        Finding.of(
            "chain, coherence x1 → x2 through the class alone (A names it, B draws it); A labelled",
            [c["composed"] for c in full],
        ),
        Finding.of("chain, the judge of x2 on real ones", [c["judge"] for c in full]),
        Finding.of(
            "chain, A with 1 % labels: right ones among its own images after spreading", [c["spread"] for c in few]
        ),
    ]
    for m, name in enumerate(SHORT):
        findings.append(
            Finding.of(f"{name}: class from the picture, no labelled picture", [v["accuracy"][-1, m] for v in views])
        )
    findings += [
        Finding.of("five modalities, mean: synthetic pairs (the game)", [v["accuracy"][-1].mean() for v in views]),
        Finding.of("… after one exchange", [v["accuracy"][1].mean() for v in views]),
        Finding.of("… the end less one exchange", _gains(views).mean(axis=1)),
        *(
            [Finding.of("… the real pairs themselves instead", [v["real"].mean() for v in views])]
            if views[0]["real"].size
            else []
        ),
        Finding.of("… classifier on as many labelled pictures", [v["classifier"].mean() for v in views]),
        Finding.of("light model, class from a drawing", [v["light"][-1] for v in views]),
        Finding.of("… before any exchange", [v["light"][0] for v in views]),
        Finding.of("coherence across modalities: most probable drawing, own colours", [off(v["crisp"]) for v in views]),
        Finding.of("… drawing sampled, own colours", [off(v["painted"]) for v in views]),
        Finding.of("… drawing and colours sampled from the model", [off(v["plain"]) for v in views]),
        Finding.of("… the judges on real pictures", [v["judge"].mean() for v in views]),
    ]
    return findings


def off(square: FloatArray) -> float:
    """Mean of the entries from one modality to another."""
    return float(square[~np.eye(len(square), dtype=bool)].mean())


def _gains(views: Sequence[dict[str, Any]]) -> FloatArray:
    """Accuracy at the end less that after one exchange, shape (seeds, 5)."""
    return np.array([v["accuracy"][-1] - v["accuracy"][1] for v in views])


def _late(chains: Sequence[dict[str, Any]]) -> list[Finding]:
    """What B gains after round 2, which is the first that tells it anything."""
    if len(chains[0]["second"]) < 4:
        return []
    changes = [c["second"][-1, 2] - c["second"][2, 2] for c in chains]
    return [Finding.of("chain, agent B: accuracy at the end less that after round 2; A labelled", changes)]


def _reading(views: Sequence[dict[str, Any]], chains: dict[float, list[dict[str, Any]]]) -> str:
    return (
        _of_five(views)
        + "\n\n"
        + _of_chain(chains)
        + "\n\nA model of layers (ink over a backdrop) is a strong assumption, and these pictures "
        "are made so. Generated pictures show the most probable drawing of the inferred class and style in the colours of one of the agent's own "
        "pictures, pixel by nearest pixel. A drawing that is sampled is salt and pepper, because pixels are independent given the style"
        + when(
            middle([off(v["painted"]) for v in views]) < middle([off(v["crisp"]) for v in views]),
            ", and the judge, trained on real pictures, recognises less of it",
        )
        + ". Pictures are made after the recipe of PolyMNIST from other photographs (tissue is an immunohistochemical stain, hubble the Hubble deep "
        "field), so that no number here can be compared with published ones."
    )


def _of_five(views: Sequence[dict[str, Any]]) -> str:
    game, classifier = (
        middle([v["accuracy"][-1].mean() for v in views]),
        middle([v["classifier"].mean() for v in views]),
    )
    light, alone = (middle([v["light"][t] for v in views]) for t in (-1, 0))
    real = ""
    if views[0]["real"].size:
        real = f"; the real pairs behind its letters give {middle([v['real'].mean() for v in views]):.3f}"
    return (
        "*Five modalities.* Five agents have unlabelled pictures of one kind each; a sixth, the light model, has labelled drawings. No agent with "
        "pictures has a label, or sees a drawing of any of its pictures. It hears (class, style, drawing) from the light model and finds "
        "by EM what ink does to its own pictures; the pictures never leave, and letters hold the shared columns only. "
        + _of_later_rounds(views)
        + f" On drawings the light model, which listens to unlabelled agents, has an accuracy of {against(light, alone)} alone"
        + when(light < alone, "; whether the loss comes from their guesses or from more EM steps was not taken apart")
        + f". Mean accuracy on pictures is {game:.3f}{real}; a classifier on as many labelled pictures has {against(classifier, game)} of the game."
    )


def _of_later_rounds(views: Sequence[dict[str, Any]]) -> str:
    if len(views[0]["accuracy"]) < 3:
        return "Only one exchange was made."
    by_kind = np.median(_gains(views), axis=0)
    total, largest = middle(_gains(views).mean(axis=1)), int(np.abs(by_kind).argmax())
    return (
        when(abs(total) < 0.02, "One exchange gives nearly all there is: later ", "Later ")
        + f"rounds change the mean by {total:+.3f}, most for {SHORT[largest]} ({by_kind[largest]:+.3f})."
    )


def _of_chain(chains: dict[float, list[dict[str, Any]]]) -> str:
    late, spread = _late(chains[1.0]), middle([c["spread"] for c in chains[0.01]])
    return (
        "*The chain A – P – B.* x1 is a drawing of a digit, x2 the same drawing turned by a right angle, inverted, striped and noisy. A has x1 with "
        "labels, P pairs (x1, x2) without labels, B only x2, without labels; P listens to both, A and B to P alone, so B has to wait two rounds for "
        "the first word about classes"
        + when(bool(late), f"; after that its accuracy changes by {late[0].median:+.3f}" if late else "")
        + f". With 1 % labels A spreads the few that it has over its own images along a graph of neighbours before any exchange ({spread:.3f} of "
        "all its labels are right then). Coherence: how often a judge, trained on real x2 of other images, finds the digit of the given x1 in the x2 that is made from it."
    )
