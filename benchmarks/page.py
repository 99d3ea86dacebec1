"""The page of all numbers, written from the JSON files of the benchmarks.

    python -m benchmarks.moments --out docs/performance     # and so on, for each benchmark
    python -m benchmarks.page docs/performance

The benchmarks write into ``results/`` unless told otherwise, so that trying one out changes no published number; the page is
written from ``docs/performance``, which is kept with it: from ``moments.json``, ``inversion.json``, ``scaling.json``,
``influence.json``, ``data_moments.json``, ``sampled_play.json`` and ``import_time.json``, as far as they are there. It becomes
``docs/performance.md``, beside that folder. What was to be reached stands in the heads of the tables; numbers that fall short
of it are bold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.report import complain, number

_NUMPY = {"Bernoulli": 20, "Categorical": 20, "Poisson": 20, "von Mises": 20, "Ising": 20, "DiagonalGaussian": 10} | dict.fromkeys(
    ("Gamma", "Beta", "Dirichlet", "Gaussian full"), 5
)  # fmt: skip
_FLOOR = {"DiagonalGaussian": 1.3, "Bernoulli": 2, "Categorical": 2, "Gamma": 2.5, "Gaussian full": 2.5}
_OTHER_FLOOR = 4.0
_EFAX = 4.0
_INVERSION = 8.0
_ROUNDS = 25

NOTES = {
    "moments": """The limit counts only the bits that a sample needs, 4.4 for a draw of Categorical (.01 ns), 6 for Poisson, 32 for the Ising
chain: at S = 10⁶ these rows cost some 70 to 400 µs in all, most of it argument checks, log-probabilities and tables before the first sample; the
number after the stroke, at large S, is without these. von Mises is arithmetic, about two vector operations a cycle. efax has no von Mises on the circle
here, no inverse Gaussian and no Ising chain.""",
    "inversion": """efax inverts the von Mises laws by bisection that stops at residuals near 4e-9; ours evaluates the map once or twice, to rounding.""",
    "scaling": """Peers solve one statistic after another, as they must, and on one core; ours takes all statistics at once and both cores. On random and
power-law graphs a sweep is bound by the latency of memory, not by its bandwidth. Memory is
touched before anything is timed (`scaling.keep_memory`): the first touch of a fresh page can cost more than most solvers do with it. Sparse LU on grids of 10⁵ agents trades memory for time;
up to 200,000 agents it makes grids grow faster than their edges, then play takes over. Where peers were given up, what is asked per core is not shown. The
certificate is held against `eg.solve` here, in the table that the benchmark prints against the linear solve. 10⁴ agents of a power-law graph where one in a
hundred has data mix too slowly for plain play and are too few for communities to pay: bicgstab is faster there.""",
    "influence": """Where attention spreads over all agents (random and power-law graphs, small games) a row is a linear solve: bicgstab alone, without
bound and order, is then about as fast or faster. Where it stays near, the cost does not grow with the game.""",
    "sampled_play": """Times of all threads together. A round of one or two statistics is a few vector operations and one sparse product: NumPy's loop, without checks
of the data or reproducible streams, is then as fast or faster. With separate exchange every link has samples of its own, ten times as many draws.""",
    "data_moments": """`mean_statistic` checks every value, compensates its sums and gives standard errors; bare NumPy does none of it.""",
}
"""What the numbers do not say themselves."""


def plain(value: float | None, form: str = ".3g") -> str:
    return "—" if value is None else number(value, form)


def judged(value: float | None, reached: bool, form: str = ".3g") -> str:
    """A number, bold where it falls short."""
    text = plain(value, form)
    return text if reached or text == "—" else f"**{text}**"


def at_least(value: float | None, asked: float | None, form: str = ".3g") -> str:
    return judged(value, asked is None or value is None or value >= asked, form)


def at_most(value: float | None, asked: float | None, form: str = ".3g") -> str:
    return judged(value, asked is None or value is None or value <= asked, form)


def ratio(peer: float | None, ours: float) -> float | None:
    return None if peer is None else peer / ours


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))


def _of(known: dict[str, Any], name: str) -> Any:
    """The entry whose key begins the name of the row."""
    return next((value for key, value in known.items() if name.startswith(key)), None)


# ---------------------------------------------------------------------- sections


def moments(found: dict[str, Any]) -> str:
    """Sampling kernels."""
    rows = []
    for r in found["results"]:
        floor = _of(_FLOOR, r["name"]) or _OTHER_FLOOR
        floors = (at_most(value, floor) for value in (ratio(r["ours"], r["floor"]), r["floor_ratio_at_large_s"]))
        efax = at_least(ratio(r["efax"], r["ours"]), _EFAX)
        numpy = at_least(ratio(r["numpy"], r["ours"]), _of(_NUMPY, r["name"]))
        limits = f"{plain(_of(_NUMPY, r['name']))}, {plain(floor)}"
        rows.append([r["name"], numpy, plain(ratio(r["scipy"], r["ours"])), efax, " / ".join(floors), limits])
        rows[-1] += [plain(1e3 * r["ours"]), plain(r["exponent"], ".2f"), f"{100 * r['spread']:.0f} %"]
    head = [
        "family",
        "NumPy / ours",
        "SciPy / ours",
        f"efax / ours (≥ {_EFAX:g})",
        "ours / random numbers, S = 10⁶ / large S",
    ]
    head += ["asked: NumPy ≥, numbers ≤", "ours, ms", "∝ S^", "spread"]
    return table(head, rows)


def inversion(found: dict[str, Any]) -> str:
    """Mean to natural parameters."""

    def against(r: dict[str, Any], peer: str) -> str:
        text = at_least(ratio(r[peer], r["ours"]), _INVERSION)
        wrong = r["wrong"].get(peer)
        return f"{text} ({100 * wrong:.0f} % wrong)" if wrong is not None and wrong > 0.01 else text

    rows = []
    for r in found["results"]:
        rows.append([r["name"], r["range"], against(r, "scipy"), against(r, "efax"), plain(1e6 * r["ours"])])
        rows[-1] += [
            plain(ratio(r["ours"], r["to_mean"])),
            at_most(r["residual"], 1e-13, ".1e"),
            plain(r["exponent"], ".2f"),
        ]
        rows[-1] += [f"{100 * r['spread']['ours']:.0f} %", plain(r["conditioning_largest"], ".1e")]
    head = [
        "family",
        "parameters",
        f"SciPy / ours (≥ {_INVERSION:g})",
        f"efax / ours (≥ {_INVERSION:g})",
        "ours, µs",
        "ours / one pass",
    ]
    return table([*head, "residual (≤ 1e-13)", "∝ n^", "spread", "conditioning, largest"], rows)


def scaling(found: dict[str, Any]) -> str:
    """Equilibria of many agents."""
    rows = []
    for c in found["cases"]:
        demanding = c["n_agents"] >= 900_000 and c["graph"] in ("random", "power law")
        finished = [(s, c["peers_cpu"][name]) for name, s in c["peers"].items() if s is not None]
        wall = ratio(min((w for w, _ in finished), default=None), c["seconds"])
        core = ratio(min((cpu for _, cpu in finished), default=None), c["cpu"])
        given_up = [f"{name} > {limit / c['seconds']:.2g}" for name, limit in c["more_than"].items()]
        exact = [f"{name} {plain(ratio(s, c['seconds']), '.2g')}" for name, s in c["peers"].items() if s is not None]
        rounds = _rounds(c["chosen"])
        asked = 4.0 if demanding else 1.0
        least = min((limit / c["seconds"] for limit in c["more_than"].values()), default=None)
        fastest = at_least(wall, asked) if wall is not None else f"> {judged(least, (least or 0.0) >= asked, '.2g')}"
        rows.append([c["graph"], c["trust"], f"{c['n_agents']:,}", fastest])
        rows[-1] += [at_least(core, 2.0 if demanding else None), "; ".join([*exact, *given_up]), plain(c["seconds"])]
        rows[-1] += [
            plain(ratio(c["spread"], 0.01), ".0f"),
            plain(c["solve"], ".2f"),
            at_most(c["proof"] / c["solve"], 2.0, ".2f"),
        ]
        structured = c["n_agents"] >= 90_000 and c["graph"] in ("ring", "grid", "communities")
        rows[-1] += [at_least(c["sweep"], 0.7 if structured else None, ".2f")]
        rows[-1] += [" / ".join(at_most(m, 3.0 if c["n_agents"] >= 900_000 else None, ".2f") for m in c["memory"])]
        rows[-1] += [judged(rounds, rounds is None or rounds <= _ROUNDS, ".0f"), c["chosen"]]
    head = [
        "graph",
        "self-weight",
        "agents",
        "fastest peer / ours (≥ 1; 10⁶ random, power law ≥ 4)",
        "per core (≥ 2 there)",
        "peers",
        "seconds",
    ]
    head += [
        "spread, %",
        "solve()",
        "certificate / solve() (≤ 2)",
        "sweep / copy (≥ .7 structured, from 10⁵)",
        "memory: linear / solve() (< 3 at 10⁶)",
    ]
    growth = ", ".join(
        f"{name}: {at_most(value, 1.1, '.2f')}" for name, value in found["exponents"].items() if value is not None
    )
    return table([*head, f"rounds (≤ {_ROUNDS})", "chosen"], rows) + f"\n\nTime ∝ edges^ (≤ 1.1): {growth}."


def _rounds(chosen: str) -> float | None:
    """How many rounds the sentence on the method names; LU has none."""
    words = chosen.split()
    return float(words[words.index("rounds") - 1]) if "rounds" in words else None


def influence(found: dict[str, Any]) -> str:
    """One agent's row of influence."""
    names = list(found["cases"][0]["peers"])
    rows = []
    for c in found["cases"]:
        rows.append([c["graph"], c["trust"], f"{c['n_agents']:,}"])
        rows[-1] += [plain(ratio(c["peers"][name], c["seconds"])) for name in names]
        rows[-1] += [plain(1e3 * c["seconds"]), f"{100 * c['spread']:.0f} %", plain(c["error"], ".0e")]
    return table(
        ["graph", "self-weight", "agents", *(f"{name} / ours" for name in names), "ours, ms", "spread", "error"], rows
    )


def data_moments(found: dict[str, Any]) -> str:
    """One pass over data."""
    names = list(dict.fromkeys(name for c in found["cases"] for name in c["peers"]))
    rows = []
    for c in found["cases"]:
        rows.append([c["family"], f"{c['values']:,}"])
        rows[-1] += [plain(ratio(c["peers"].get(name), c["seconds"])) for name in names]
        rows[-1] += [plain(1e3 * c["seconds"]), f"{100 * c['spread']:.0f} %"]
    return table(["family", "values", *(f"{name} / ours" for name in names), "ours, ms", "spread"], rows)


def sampled_play(found: dict[str, Any]) -> str:
    """Rounds of play with samples."""
    rows = []
    for c in found["cases"]:
        rows.append([c["family"], c["exchange"], f"{c['n_agents']:,}", str(c["dim"])])
        rows[-1] += [
            plain(ratio(c["peer"], c["ours"])),
            plain(c["n_agents"] / c["ours"] / 1e6),
            f"{100 * c['spread']:.0f} %",
        ]
    return table(
        [
            "family",
            "exchange",
            "agents",
            "statistics",
            "NumPy loop / ours",
            "million agent-rounds per CPU-second",
            "spread",
        ],
        rows,
    )


def import_time(found: dict[str, Any]) -> str:
    """A new process."""
    rows = [
        [r["name"], at_most(r["median"], r["asked"], ".2f"), plain(r["asked"]), plain(r["spread"], ".2f")]
        for r in found["results"]
    ]
    return table(["what", "seconds", "asked", "spread"], rows)


SECTIONS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "moments": ("Mean statistic of 10⁶ samples, CPU time", moments),
    "inversion": ("Mean to natural parameters, CPU time", inversion),
    "scaling": ("Equilibria of many agents with 16 statistics", scaling),
    "influence": ("Whose data makes one agent's model, CPU time", influence),
    "data_moments": ("Mean statistic of data, CPU time", data_moments),
    "sampled_play": ("Play with samples, through the exact laws of their sums", sampled_play),
    "import_time": ("A new process", import_time),
}


def section(folder: Path, name: str) -> str:
    """Title, command, machine, table, remarks and picture of one benchmark."""
    found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    title, tabulate = SECTIONS[name]
    machine = found["machine"]
    facts = [f"`python -m benchmarks.{name}`", f"cores used: {machine['cores']} ({machine['processor']})"]
    facts += [
        f"{package} {version}"
        for package, version in found["versions"].items()
        if package in ("numpy", "scipy", "numba")
    ]
    facts += ["**a quick run, whose times mean nothing**"] if found["settings"]["quick"] else []
    parts = [f"## {title}", "; ".join(facts) + ".", tabulate(found)]
    parts += [" ".join(NOTES[name].split())] if name in NOTES else []
    parts += [f"![{title}]({folder.name}/{name}.png)"] if (folder / f"{name}.png").exists() else []
    return "\n\n".join(parts)


def page(folder: Path) -> str:
    """The whole page, of the benchmarks whose results are in the folder."""
    names = [name for name in SECTIONS if (folder / f"{name}.json").exists()]
    if not names:
        raise FileNotFoundError(f"{folder} has no results; run the benchmarks with --out {folder} first")
    intro = (
        "# Performance\n\nWritten by `python -m benchmarks.page` from the JSON files in "
        f"[{folder.name}/]({folder.name}/), one command each, ratios first; `--help` of each command explains its columns. What was asked stands in the heads; "
        "**bold** numbers fall short of it. Ratios are of one run; the machine was shared, spreads say how quiet it was."
    )
    return "\n\n".join([intro, *(section(folder, name) for name in names)]) + "\n"


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Where the JSON files of the benchmarks are, all in one folder. The default holds the published results: a "
            "benchmark writes there with --out docs/performance, otherwise into a folder of its own in results/."
        ),
    ] = Path("docs/performance"),
) -> None:
    """Write FOLDER.md from the results of the benchmarks in FOLDER."""
    try:
        text = page(folder)
    except FileNotFoundError as problem:
        complain(problem)
        raise typer.Exit(1) from None
    target = folder.with_suffix(".md")
    target.write_text(text, encoding="utf-8")
    typer.echo(f"written {target}")


if __name__ == "__main__":
    app()
