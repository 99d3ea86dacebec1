"""Equilibria of many agents: cost against size, beside what SciPy and PyAMG offer for the same linear system.

    python -m benchmarks.scaling

Every solver finds the equilibrium of the same games, N agents × 16 statistics with about ten neighbours each, in the same
process, to the same relative residual. Every timed answer is checked by its residual before its time counts.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure
from numba import njit, prange
from rich.console import Console
from rich.table import Table
from scipy import sparse
from scipy.sparse.linalg import bicgstab, gmres, splu

import expfam_game as eg
from benchmarks.report import console, environment, number, progress, save_json
from expfam_game._typing import FloatArray
from expfam_game.certificates import c2_contraction, c3_mean
from expfam_game.game.linear import LinearSystem
from expfam_game.kernels import sparse as kernels
from expfam_game.plots.style import clean

GRAPHS = ("random", "power law", "ring", "grid", "communities")
TRUST = ("0.5", "0.05", "0.001", "0.0001", "99% without data")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
NEIGHBOURS = 10
RESIDUAL = 1e-8
"""Of every answer, relative to the largest entry of D m of each statistic."""

_LU_AGENTS = {"ring": 1_000_000, "grid": 200_000}
_LU_ELSEWHERE = 3_000
"""SuperLU's factors fill up on the other graphs: above this many agents it is not tried."""

_AMG_AGENTS = {"random": 10_000, "power law": 10_000, "communities": 10_000}

COLUMNS = """
\b
Each block of the table is one graph with one self-weight; figures are medians over the repetitions
  graph         random: ten random others; power law: ten, popular ones more often; ring: five to either side; grid: the
                four around; communities: ten in one's own community of 1000 (fewer agents: a hundredth, at least 50), 1 in 100 elsewhere
  self-weight   α_ii, the trust in one's own data; "99% without data": one agent in a hundred trusts its data by half

\b
Columns
  agents        N
  chosen        what expfam_game chose for this graph, and how many rounds it took
  seconds       time from the weights to the equilibrium, everything included (choice, communities, rounds)
  bicgstab, gmres, splu, pyamg
                time of that peer divided by ours; — where it is not installed, not tried (fill), failed, or took
                longer than the limit (all peers but splu solve one statistic after another, as they must)
  proof         time of the certificate (C2 and C3: v, its check, and the enclosure) divided by the time of the solve
  sweep         bytes a sweep must move, per second, as a share of copy bandwidth measured in the same run; on random
                graphs latency bounds it, and a share above one says that rows were found in the cache
  memory        growth of the peak memory of the process during our solve, divided by the size of the input (weights
                and means); — where an earlier, larger peak hides it
"""


_clock: Callable[[], float] = time.perf_counter
"""What all times are measured with; ``--clock cpu`` counts processor seconds of all threads instead."""


class Clock(StrEnum):
    """Which seconds are counted."""

    WALL = "wall"
    CPU = "cpu"


@njit(parallel=True)
def _copied(source: FloatArray, target: FloatArray) -> None:
    for i in prange(source.shape[0]):
        target[i] = source[i]


def copy_bandwidth(megabytes: int) -> float:
    """Bytes read and written per second when a large array is copied, the best of five."""
    source = np.ones(megabytes * 131_072)
    target = np.empty_like(source)
    _copied(source, target)
    times = [_timed(_copied, source, target)[0] for _ in range(5)]
    return float(2 * source.nbytes / min(times))


def _timed(job: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    begun = _clock()
    result = job(*arguments)
    return _clock() - begun, result


# ---------------------------------------------------------------------- games


def make_weights(graph: str, trust: str, n_agents: int, seed: int) -> eg.Weights:
    """Relative weights between 0.5 and 1.5, rows scaled to one minus the self-weight."""
    rng = np.random.default_rng(seed)
    rows, columns = _listening(graph, n_agents, rng)
    apart = rows != columns
    rows, columns = rows[apart], columns[apart]
    n = int(max(rows.max(), columns.max())) + 1
    matrix = sparse.csr_array((rng.uniform(0.5, 1.5, rows.size), (rows, columns)), shape=(n, n))
    own = _self_weights(trust, n, rng)
    matrix = sparse.diags_array((1.0 - own) / matrix.sum(axis=1)) @ matrix
    return eg.Weights(matrix + sparse.diags_array(own))


def _self_weights(trust: str, n: int, rng: np.random.Generator) -> FloatArray:
    if not trust.startswith("99"):
        return np.full(n, float(trust))
    own = np.where(rng.random(n) < 0.01, 0.5, 0.0)
    own[0] = 0.5
    return own


def _listening(graph: str, n: int, rng: np.random.Generator) -> tuple[Any, Any]:
    everybody = np.repeat(np.arange(n), NEIGHBOURS)
    if graph == "grid":
        side = round(n**0.5)
        coo = eg.Weights.grid(side, side, 0.5).off_diagonal.tocoo()
        return coo.row, coo.col
    if graph == "ring":
        offsets = np.array([k for k in range(-NEIGHBOURS // 2, NEIGHBOURS // 2 + 1) if k])
        return everybody, ((np.arange(n)[:, None] + offsets) % n).ravel()
    if graph == "random":
        return everybody, rng.integers(0, n, everybody.size)
    if graph == "power law":
        return everybody, rng.permutation(n)[(n * rng.random(everybody.size) ** 3).astype(np.int64)]
    size = min(1000, max(50, n // 100))
    at_home = np.minimum(everybody // size * size + rng.integers(0, size, everybody.size), n - 1)
    return everybody, np.where(rng.random(everybody.size) < 0.01, rng.integers(0, n, everybody.size), at_home)


# ---------------------------------------------------------------------- peers


class TooSlow(Exception):
    """The peer would take longer than the limit."""


def _by_column(solve: Callable[[FloatArray], FloatArray], rhs: FloatArray, limit: float) -> FloatArray:
    result, begun = np.empty_like(rhs), _clock()
    for k in range(rhs.shape[1]):
        result[:, k] = solve(np.ascontiguousarray(rhs[:, k]))
        if (_clock() - begun) / (k + 1) * rhs.shape[1] > limit:
            raise TooSlow
    return result


def _krylov(method: Callable[..., Any], most: int) -> Callable[..., FloatArray]:
    def solve(b: sparse.csr_array, rhs: FloatArray, limit: float) -> FloatArray:
        system = sparse.csr_array(sparse.eye_array(b.shape[0]) - b)

        def column(y: FloatArray) -> FloatArray:
            # The 2-norm that bounds the largest entry of the residual may be met with room to spare: aim at the size asked for.
            goal = 0.5 * RESIDUAL * float(np.max(np.abs(y))) * y.size**0.5 / 3.0
            x, begun = np.zeros_like(y), _clock()
            while np.max(np.abs(rest := y - system @ x)) > RESIDUAL * np.max(np.abs(y)):
                if _clock() - begun > limit:
                    raise TooSlow
                x = x + method(system, rest, rtol=0.0, atol=goal, maxiter=most)[0]
                goal /= 3.0
            return np.asarray(x)

        return _by_column(column, rhs, limit)

    return solve


def _splu(b: sparse.csr_array, rhs: FloatArray, limit: float) -> FloatArray:
    return np.asarray(splu(sparse.csc_array(sparse.eye_array(b.shape[0]) - b)).solve(rhs))


def _pyamg(b: sparse.csr_array, rhs: FloatArray, limit: float) -> FloatArray:
    import pyamg

    system = sparse.csr_matrix(sparse.eye_array(b.shape[0]) - b)
    system.indptr, system.indices = system.indptr.astype(np.int32), system.indices.astype(np.int32)
    hierarchy = pyamg.smoothed_aggregation_solver(system, symmetry="nonsymmetric")

    def column(y: FloatArray) -> FloatArray:
        tolerance = RESIDUAL
        while True:
            x = hierarchy.solve(y, tol=tolerance, accel="gmres", maxiter=200)
            if np.max(np.abs(y - system @ x)) <= RESIDUAL * np.max(np.abs(y)):
                return np.asarray(x)
            tolerance /= 10.0
            if tolerance < 1e-14:
                raise TooSlow

    return _by_column(column, rhs, limit)


PEERS: dict[str, Callable[..., FloatArray]] = {
    "bicgstab": _krylov(bicgstab, 5000),
    "gmres": _krylov(gmres, 100),
    "splu": _splu,
    "pyamg": _pyamg,
}


def _worth_trying(peer: str, graph: str, n_agents: int) -> bool:
    if peer == "splu":
        return n_agents <= _LU_AGENTS.get(graph, _LU_ELSEWHERE)
    if peer == "pyamg":
        try:
            import pyamg  # noqa: F401
        except ImportError:
            return False
        return n_agents <= _AMG_AGENTS.get(graph, 1_000_000)
    return True


# ---------------------------------------------------------------------- measuring


@dataclass
class Case:
    """One game and what every solver took for it; seconds are medians."""

    graph: str
    trust: str
    n_agents: int
    edges: int
    chosen: str = ""
    seconds: float = float("nan")
    spread: float = 0.0
    proof: float = float("nan")
    sweep: float = float("nan")
    memory: float = float("nan")
    peers: dict[str, float] = field(default_factory=dict)
    """Peer: its seconds; NaN where it has none."""


def measure(
    graph: str, trust: str, n_agents: int, dim: int, repeats: int, limit: float, copy: float, seed: int
) -> Case:
    """Time everything on fresh means each repetition."""
    weights = make_weights(graph, trust, n_agents, seed)
    b = weights.off_diagonal
    case = Case(graph, trust, weights.n_agents, b.nnz)
    rng = np.random.default_rng(seed)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in PEERS}
    for repeat in range(repeats):
        means = rng.uniform(0.1, 0.9, size=(weights.n_agents, dim))
        rhs = weights.self_weights[:, None] * means
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds, (system, x, case.chosen) = _timed(_our_solve, b, rhs)
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        _require_residual(b, rhs, x, "expfam_game")
        ours.append(seconds)
        if repeat == 0:
            size = b.data.nbytes + b.indices.nbytes + b.indptr.nbytes + means.nbytes
            case.memory = grown / size if grown else float("nan")
            case.proof = _timed(_prove, weights, system, means, x)[0]
            case.sweep = _sweep_bandwidth(b, x, rhs) / copy
        for name, solve in PEERS.items():
            if _worth_trying(name, graph, weights.n_agents) and len(theirs[name]) == repeat:
                _run_peer(name, solve, b, rhs, limit, theirs[name])
    case.seconds, case.spread = float(np.median(ours)), float(max(ours) - min(ours))
    case.proof /= case.seconds
    case.peers = {name: float(np.median(t)) if t else float("nan") for name, t in theirs.items()}
    return case


def _our_solve(b: sparse.csr_array, rhs: FloatArray) -> tuple[LinearSystem, FloatArray, str]:
    system = LinearSystem(b)
    x, how = system.solve(rhs, tolerance=RESIDUAL)
    return system, x, how.partition(",")[0] if how.startswith("LU") else how


def _run_peer(
    name: str, solve: Callable[..., FloatArray], b: Any, rhs: FloatArray, limit: float, out: list[float]
) -> None:
    try:
        seconds, x = _timed(solve, b, rhs, limit)
    except (TooSlow, MemoryError):
        return
    _require_residual(b, rhs, x, name)
    out.append(seconds)


def _require_residual(b: sparse.csr_array, rhs: FloatArray, x: FloatArray, who: str) -> None:
    residual = np.max(np.abs(rhs + b @ x - x), axis=0)
    if not np.all(residual <= 1.01 * RESIDUAL * np.max(np.abs(rhs), axis=0)):
        raise AssertionError(f"{who}: the residual is {residual.max():.3g}, too large for its time to count")


def _prove(weights: eg.Weights, system: LinearSystem, means: FloatArray, x: FloatArray) -> None:
    """C2 and C3 as ``certify`` makes them for a large game: v, its check, the enclosure."""
    v = system.solve(np.ones(weights.n_agents), tolerance=RESIDUAL)[0]
    s = c2_contraction.slack(weights.matrix, v, "float64", 53)
    if not s > 0:
        raise AssertionError("C2 could not be proved")
    c3_mean.residual_box(weights.matrix, means, x, v, s, "float64", 53)


def _sweep_bandwidth(b: sparse.csr_array, x: FloatArray, rhs: FloatArray) -> float:
    """Bytes that a sweep must move once (weights, profile in and out, constant) per second; the best of three."""
    width = next((w for w in reversed(kernels.WIDTHS) if w <= x.shape[1]), 1)
    x, rhs = np.ascontiguousarray(x[:, :width]), np.ascontiguousarray(rhs[:, :width])
    out, lanes = np.empty_like(x), kernels.lanes(width)
    kernels.affine(b.indptr, b.indices, b.data, x, rhs, out, lanes)
    best = min(_timed(lambda: kernels.affine(b.indptr, b.indices, b.data, x, rhs, out, lanes))[0] for _ in range(3))
    return float((b.data.nbytes + b.indices.nbytes + b.indptr.nbytes + 3 * x.nbytes) / best)


def exponent(cases: list[Case]) -> float:
    """Slope of log(seconds) against log(edges) from 10⁴ agents on (from the second size where there are fewer)."""
    ordered = sorted(cases, key=lambda case: case.edges)
    large = [case for case in ordered if case.n_agents >= 9_000] or ordered[1:]
    if len(large) < 2:
        large = ordered
    if len(large) < 2:
        return float("nan")
    return float(np.polyfit(np.log([c.edges for c in large]), np.log([c.seconds for c in large]), 1)[0])


# ---------------------------------------------------------------------- showing


def show(cases: list[Case], screen: Console) -> None:
    """Ratios first: how many times longer every peer takes."""
    for (graph, trust), group in _grouped(cases).items():
        table = Table(
            title=f"{graph}, self-weight {trust}: time ∝ edges^{number(exponent(group), '.2f')}", title_justify="left"
        )
        for name in ("agents", *PEERS, "proof", "seconds", "sweep", "memory", "chosen"):
            table.add_column(name, justify="left" if name == "chosen" else "right")
        for case in group:
            ratios = [number(seconds / case.seconds, ".2f") for seconds in case.peers.values()]
            rest = [
                number(case.proof, ".2f"),
                number(case.seconds),
                number(case.sweep, ".2f"),
                number(case.memory, ".1f"),
            ]
            table.add_row(f"{case.n_agents:,}", *ratios, *rest, case.chosen)
        screen.print(table)


def _grouped(cases: list[Case]) -> dict[tuple[str, str], list[Case]]:
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.graph, case.trust), []).append(case)
    return groups


def draw(cases: list[Case], path: Path) -> Path:
    """Seconds against edges on logarithmic axes, one panel per graph; thin lines: the fastest peer."""
    graphs = list(dict.fromkeys(case.graph for case in cases))
    figure = Figure(figsize=(3.6 * len(graphs), 3.8), layout="constrained")
    panels = figure.subplots(1, len(graphs), sharey=True, squeeze=False)[0]
    for ax, graph in zip(panels, graphs):
        for (_, trust), colour in zip((key for key in _grouped(cases) if key[0] == graph), eg.plots.PALETTE):
            group = _grouped(cases)[graph, trust]
            edges = [case.edges for case in group]
            best = [np.nanmin([np.inf, *case.peers.values()]) for case in group]
            label = f"{trust}:  ∝ edges$^{{{number(exponent(group), '.2f')}}}$"
            ax.plot(edges, [case.seconds for case in group], "o-", color=colour, label=label)
            ax.plot(edges, np.where(np.isfinite(best), best, np.nan), ":", color=colour, linewidth=1.2)
        ax.set(xscale="log", yscale="log", title=graph, xlabel="edges")
        ax.legend(frameon=False, fontsize=7, title="self-weight")
        clean(ax)
    panels[0].set_ylabel("seconds")
    figure.suptitle("Equilibrium of many agents: expfam_game (dots) and the fastest of its peers (dotted)", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON file and the figure.")] = Path("results/scaling"),
    seed: Annotated[int, typer.Option(help="Seed of graphs and means.")] = 0,
    graph: Annotated[list[str] | None, typer.Option(help="Only this graph; may be repeated.")] = None,
    trust: Annotated[list[str] | None, typer.Option(help="Only this self-weight; may be repeated.")] = None,
    agents: Annotated[list[int] | None, typer.Option(min=100, help="Only this size; may be repeated.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions, each with fresh means.")] = 3,
    limit: Annotated[float, typer.Option(help="Seconds after which a peer is given up.")] = 60.0,
    clock: Annotated[
        Clock, typer.Option(help="Wall time, or processor time of all threads (on a busy machine).")
    ] = Clock.WALL,
    quick: Annotated[bool, typer.Option("--quick", help="Small games, two statistics; to see that it runs.")] = False,
) -> None:
    """Equilibria of many agents: cost against size, beside SciPy and PyAMG."""
    global _clock
    _clock = time.process_time if clock is Clock.CPU else time.perf_counter
    begun = time.perf_counter()
    for given, known in ((graph, GRAPHS), (trust, TRUST)):
        if unknown := set(given or ()) - set(known):
            raise typer.BadParameter(f"{unknown.pop()!r} is not one of {', '.join(known)}")
    sizes = tuple(agents or ((400, 1600) if quick else SIZES))
    dim, repeats, limit = (2, 1, min(limit, 0.5)) if quick else (16, repeats, limit)
    copy = copy_bandwidth(8 if quick else 512)
    plan = [
        (g, t, n) for g in graph or GRAPHS for t in trust or (TRUST[1:4:2] if quick else TRUST) for n in sorted(sizes)
    ]
    for g in graph or GRAPHS:
        measure(g, "0.001", 1600 if quick else 20_000, dim, 1, limit, copy, seed)  # compiles; not kept
    cases = [measure(g, t, n, dim, repeats, limit, copy, seed) for g, t, n in progress(plan, "games")]
    screen = console()
    show(cases, screen)
    screen.print(f"copy bandwidth {copy / 1e9:.1f} GB/s (read and written)")
    settings = {
        "dim": dim,
        "repeats": repeats,
        "limit": limit,
        "seed": seed,
        "clock": clock.value,
        "quick": quick,
        "residual": RESIDUAL,
        "copy_bytes_per_second": copy,
        "seconds": time.perf_counter() - begun,
    }
    exponents = {f"{g}, {t}": exponent(group) for (g, t), group in _grouped(cases).items()}
    content = {**environment(), "settings": settings, "exponents": exponents, "cases": [asdict(case) for case in cases]}
    saved = [save_json(out / "scaling.json", content), draw(cases, out / "scaling.png")]
    screen.print(f"saved in {time.perf_counter() - begun:.0f} s: " + ", ".join(map(str, saved)), soft_wrap=True)


if __name__ == "__main__":
    app()
