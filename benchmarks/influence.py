"""One row of influence: cost against the number of agents, beside NetworkX, SciPy and QuantEcon.

    python -m benchmarks.influence

Where all agents trust their own data alike, whose data makes the model of one agent is personalised PageRank, the solution
of one transposed linear system, and the stationary law of a chain that starts anew at this agent. So each peer answers the
same question, with the same bound on the sum of all errors. Every timed answer is held against a solution of its own before
its time counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from scipy import sparse
from scipy.sparse.linalg import bicgstab, splu

import expfam_game as eg
from benchmarks.graphs import GRAPHS, make_weights
from benchmarks.linear_peers import worth_trying
from benchmarks.report import (
    GraphNames,
    Out,
    Quick,
    Repeats,
    Seed,
    Sizes,
    console,
    environment,
    fitted_exponent,
    number,
    progress,
    require_known,
    save_figure,
    save_json,
)
from expfam_game._typing import FloatArray
from expfam_game.plots.style import clean

SIZES = (1_000, 10_000, 100_000, 1_000_000)
TRUST = ("0.15", "0.05")
"""Self-weights: PageRank's damping factors .85 and .95."""

ERROR = 1e-6
"""Bound on the sum of the absolute errors of a row that everybody must keep."""

_REFERENCE = 1e-12

COLUMNS = f"""
\b
Each block of the table is one graph (as in benchmarks.scaling) with one self-weight; figures are medians over the repetitions,
each with another graph and another agent, in processor seconds. All rows are right to {ERROR:g} in the sum of all errors.

\b
Columns
  agents        N
  networkx      networkx.pagerank(personalization=...), time divided by ours, without the time to build its graph (to 100 000)
  power         the iteration behind it on the sparse matrix alone: x ← α e + x B, until the rest is small enough
  bicgstab      scipy.sparse.linalg.bicgstab on (I − B)ᵀ
  splu          SuperLU's factors of (I − B)ᵀ, where they do not fill up
  gth_solve     quantecon.markov.gth_solve on the chain as a dense matrix (to 2000), where QuantEcon is installed
  seconds       of influence_row, from the weights to the row
  spread        largest less smallest repetition, over the median
  listed        agents whose influence is listed, of all
  error         the largest sum of the true errors of ours; it never was above the bound that influence_row states
"""


# ---------------------------------------------------------------------- peers


@dataclass(frozen=True)
class Question:
    """Whose data makes the model of ``agent``, where everybody listens by ``b`` and trusts itself by ``trust``."""

    b: sparse.csr_array
    trust: float
    agent: int
    network: nx.DiGraph | None = None

    @property
    def start(self) -> FloatArray:
        """All attention at the agent."""
        start = np.zeros(self.b.shape[0])
        start[self.agent] = 1.0
        return start


def _networkx(asked: Question) -> FloatArray:
    """Steps shrink by 1 − trust, so the error is below the last one times (1 − trust)/trust."""
    n = asked.b.shape[0]
    tolerance = ERROR * asked.trust / (1.0 - asked.trust) / n
    ranks = nx.pagerank(
        asked.network, 1.0 - asked.trust, personalization={asked.agent: 1.0}, tol=tolerance, max_iter=100_000
    )
    return np.array([ranks[j] for j in range(n)])


def iterated(asked: Question, error: float = ERROR) -> FloatArray:
    """The Neumann series α e (I + B + B² + …) until what is left of attention is small enough."""
    across = sparse.csr_array(asked.b.T)
    moving, row = asked.start, np.zeros(asked.b.shape[0])
    while moving.sum() > error:
        row += asked.trust * moving
        moving = across @ moving
    return row


def _transposed(b: sparse.csr_array) -> Any:
    return sparse.csr_array(sparse.eye_array(b.shape[0]) - b).T


def _bicgstab(asked: Question) -> FloatArray:
    """Rows of R are probabilities: the sum of the errors is at most the sum of the residuals."""
    system = sparse.csr_array(_transposed(asked.b))
    visits, rest = np.zeros(asked.b.shape[0]), asked.start
    goal = ERROR
    while np.abs(rest).sum() > ERROR:
        visits = visits + bicgstab(system, rest, rtol=0.0, atol=goal, maxiter=5000)[0]
        rest = asked.start - system @ visits
        goal /= 10.0
    return np.asarray(asked.trust * visits)


def _splu(asked: Question) -> FloatArray:
    return np.asarray(asked.trust * splu(sparse.csc_array(_transposed(asked.b))).solve(asked.start))


def _gth(asked: Question) -> FloatArray:
    chain = asked.b.toarray()
    chain[:, asked.agent] += asked.trust
    return np.asarray(import_module("quantecon.markov").gth_solve(chain, overwrite=True))


PEERS: dict[str, Callable[[Question], FloatArray]] = {
    "networkx": _networkx,
    "power": iterated,
    "bicgstab": _bicgstab,
    "splu": _splu,
    "gth_solve": _gth,
}


def _takes_part(peer: str, graph: str, n_agents: int) -> bool:
    if peer == "networkx":
        return n_agents <= 100_000
    if peer == "gth_solve":
        return n_agents <= 2_000 and find_spec("quantecon") is not None
    return worth_trying(peer, graph, n_agents)


# ---------------------------------------------------------------------- measuring


@dataclass
class Case:
    """Rows of one kind of game; seconds are medians."""

    graph: str
    trust: str
    n_agents: int
    seconds: float
    spread: float
    listed: int
    error: float
    peers: dict[str, float] = field(default_factory=dict)


def measure(graph: str, trust: str, n_agents: int, repeats: int, seed: int) -> Case:
    """Everybody answers each question in turn; the first is not counted."""
    times: dict[str, list[float]] = {}
    listed, worst = [], 0.0
    for repeat in range(repeats + 1):
        weights = make_weights(graph, trust, n_agents, seed + repeat)
        n = weights.n_agents
        agent = int(np.random.default_rng([seed, repeat]).integers(n))
        game = eg.Game(eg.families.Bernoulli(1), weights, means=np.full((n, 1), 0.5))
        peers = {name: peer for name, peer in PEERS.items() if _takes_part(name, graph, n)}
        network = nx.from_scipy_sparse_array(weights.off_diagonal, create_using=nx.DiGraph) if n <= 100_000 else None
        asked = Question(weights.off_diagonal, float(trust), agent, network)
        exact = iterated(asked, _REFERENCE)

        seconds, row = _timed(lambda: game.influence_row(agent, ERROR))  # noqa: B023 (called at once)
        worst = max(worst, _require_row(row.dense(n), exact, row.error, "influence_row"))
        if not row.error <= ERROR:
            raise AssertionError(f"influence_row states an error of {row.error:.3g}, more than asked for")
        listed.append(row.others.size)
        found = {"ours": seconds}
        for name, peer in peers.items():
            found[name], theirs = _timed(lambda: peer(asked))  # noqa: B023
            _require_row(theirs, exact, ERROR, name)
        for name, value in found.items() if repeat else ():
            times.setdefault(name, []).append(value)
    ours = times.pop("ours")
    medians = {name: float(np.median(times[name])) if name in times else float("nan") for name in PEERS}
    spread = float(np.ptp(ours) / np.median(ours))
    return Case(graph, trust, n, float(np.median(ours)), spread, int(np.median(listed)), worst, medians)


def _timed(job: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    result = job()
    return time.process_time() - begun, result


def _require_row(row: FloatArray, exact: FloatArray, bound: float, who: str) -> float:
    """The sum of the errors, at most ``bound``."""
    error = float(np.abs(row - exact).sum())
    if not error <= bound + 2.0 * _REFERENCE:
        raise AssertionError(f"{who}: the errors sum to {error:.3g}, more than {bound:.3g}: its time does not count")
    return error


def exponent(cases: list[Case]) -> float:
    """How the seconds of rows grow with the number of agents."""
    return fitted_exponent([case.n_agents for case in cases], [case.seconds for case in cases])


# ---------------------------------------------------------------------- showing


def _groups(cases: list[Case]) -> dict[tuple[str, str], list[Case]]:
    keys = dict.fromkeys((case.graph, case.trust) for case in cases)
    return {key: [case for case in cases if (case.graph, case.trust) == key] for key in keys}


def show(cases: list[Case], screen: Console) -> None:
    """Ratios first: how many times longer every peer takes."""
    for (graph, trust), group in _groups(cases).items():
        title = f"{graph}, self-weight {trust}: time ∝ agents^{number(exponent(group), '.2f')}"
        table = Table(title=title, title_justify="left")
        for heading in ("agents", *PEERS, "seconds", "spread", "listed", "error"):
            table.add_column(heading, justify="right")
        for case in group:
            table.add_row(
                f"{case.n_agents:,}",
                *(number(seconds / case.seconds) for seconds in case.peers.values()),
                number(case.seconds),
                f"{100 * case.spread:.0f} %",
                f"{case.listed:,}",
                number(case.error, ".1e"),
            )
        screen.print(table)


def draw(cases: list[Case], path: Path) -> Path:
    """Seconds against agents on logarithmic axes, one panel per graph; dotted: the fastest peer."""
    graphs = list(dict.fromkeys(case.graph for case in cases))
    figure = Figure(figsize=(3.4 * len(graphs), 3.8), layout="constrained")
    panels = figure.subplots(1, len(graphs), sharey=True, squeeze=False)[0]
    for ax, graph in zip(panels, graphs):
        found = {trust: group for (kind, trust), group in _groups(cases).items() if kind == graph}
        for (trust, group), colour in zip(found.items(), eg.plots.PALETTE):
            sizes = [case.n_agents for case in group]
            label = f"{trust}:  ∝ agents$^{{{number(exponent(group), '.2f')}}}$"
            ax.plot(sizes, [case.seconds for case in group], "o-", color=colour, label=label)
            ax.plot(sizes, [np.nanmin([*case.peers.values()]) for case in group], ":", color=colour, linewidth=1.2)
        ax.set(xscale="log", yscale="log", title=graph, xlabel="agents")
        ax.legend(frameon=False, fontsize=7, title="self-weight")
        clean(ax)
    panels[0].set_ylabel("CPU seconds")
    figure.suptitle("A row of influence: expfam_game (dots) and the fastest of its peers (dotted)", fontsize=11)
    return save_figure(figure, path)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Out = Path("results/influence"),
    seed: Seed = 0,
    graph: GraphNames = None,
    agents: Sizes = None,
    repeats: Repeats = 3,
    quick: Quick = False,
) -> None:
    """Whose data makes one agent's model: a row of influence, beside PageRank and linear solvers."""
    require_known(graph, GRAPHS)
    sizes = sorted(agents or ((200, 1_100) if quick else SIZES))
    repeats = 1 if quick else repeats
    plan = [(kind, trust, n) for kind in graph or GRAPHS for trust in TRUST for n in sizes]
    cases = [measure(kind, trust, n, repeats, seed) for kind, trust, n in progress(plan, "games")]
    screen = console()
    show(cases, screen)
    content = {
        **environment(),
        "settings": {"seed": seed, "repeats": repeats, "quick": quick, "error": ERROR, "clock": "cpu"},
        "exponents": {", ".join(key): exponent(group) for key, group in _groups(cases).items()},
        "cases": [asdict(case) for case in cases],
    }
    saved = [save_json(out / "influence.json", content), draw(cases, out / "influence.png")]
    screen.print("saved " + ", ".join(map(str, saved)), soft_wrap=True)


if __name__ == "__main__":
    app()
