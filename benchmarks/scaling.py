"""Equilibria of many agents: cost against size, beside what SciPy and PyAMG offer for the same linear system.

    python -m benchmarks.scaling

Every solver finds the equilibrium of the same games, N agents × 16 statistics with about ten neighbours each, in the same
process, in turns, to the same relative residual; every repetition has another graph and other means. Every timed answer is
checked by its residual before its time counts. Every kind of game is played once before, so that no time contains
compilation.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from matplotlib.figure import Figure
from numba import njit, prange
from rich.console import Console
from rich.table import Table
from scipy import sparse

import expfam_game as eg
from benchmarks.graphs import GRAPHS, TRUST, make_weights
from benchmarks.linear_peers import PEERS, RESIDUAL, TooSlow, time_limit, worth_trying
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
from expfam_game.game.linear import LinearSystem
from expfam_game.kernels import sparse as kernels
from expfam_game.plots.style import clean

SIZES = (1_000, 10_000, 100_000, 1_000_000)

_LONG = 5.0
"""Seconds beyond which a peer is timed once only."""

_ONCE = 900_000
"""Agents of games that are played once, whatever the repetitions: their graphs take longer to make than to solve."""

_WARM = 80_000
"""Agents of the games that are played once before: enough for the kernels with several threads to be compiled."""

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
  seconds       time from the weights to the equilibrium, everything included (choice, communities, rounds);
                all contestants find memory that has been touched before
  spread        per cent: largest less smallest repetition, over the median (— for a million agents, who play once)
  bicgstab, gmres, splu, pyamg
                time of that peer divided by ours; "> 5" where it was given up after the limit; — where it is not installed
                or its memory would not suffice (all peers but splu solve one statistic after another, as they must; a peer
                that takes longer than 5 seconds is timed once)
  per core      processor time of the fastest peer divided by ours, all threads counted
  solve()       time of eg.solve, which adds the proved bound, natural parameters and regrets of Bernoulli agents, over ours
  proof         time of eg.certify(…, grade="float") over that of the linear solve
  sweep         bytes a sweep must move, per second, as a share of copy bandwidth measured in turn; on random
                graphs latency bounds it, and a share above one says that rows were found in the cache
  memory        growth of the peak memory of a fresh process during the linear solve, and during eg.solve, divided by the
                size of the input (weights and means); from 100,000 agents on with self-weight 0.001, on Linux
"""


class Seconds(NamedTuple):
    """By the clock, and of all threads together."""

    wall: float
    cpu: float


@njit(parallel=True)
def _copied(source: FloatArray, target: FloatArray) -> None:
    for i in prange(source.shape[0]):
        target[i] = source[i]


def keep_memory() -> None:
    """Let what is freed stay with this process, so that memory once touched can be taken again as it is.

    A page that is touched for the first time costs as much as several sweeps over it, on virtual machines up to a hundred:
    large games, played once in fresh memory, would tell more about the system than about any solver.
    """
    with suppress(OSError, AttributeError, TypeError):  # other C libraries than GNU's have no such function
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, -1)


_SPARE = 20
"""Times the profile of a game: memory that is touched before it is timed, for :func:`keep_memory`."""

_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1
"""Names of options in malloc.h."""


def copy_bandwidth(megabytes: int) -> float:
    """Bytes read and written per second when a large array is copied, the best of five."""
    source = np.ones(megabytes * 131_072)
    target = np.empty_like(source)
    _copied(source, target)
    times = [_timed(_copied, source, target)[0].wall for _ in range(5)]
    return float(2 * source.nbytes / min(times))


def _timed(job: Callable[..., Any], *arguments: Any) -> tuple[Seconds, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = job(*arguments)
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu), result


def _medians(times: dict[str, list[Seconds]], clock: int) -> dict[str, float]:
    """Of wall time (0) or processor time (1); NaN where nothing was timed."""
    return {
        name: float(np.median([t[clock] for t in taken])) if taken else float("nan") for name, taken in times.items()
    }


def _spread(taken: list[Seconds]) -> float:
    walls = [seconds.wall for seconds in taken]
    return float(np.ptp(walls) / np.median(walls)) if len(walls) > 1 else float("nan")


# ---------------------------------------------------------------------- measuring


@dataclass
class Case:
    """One game and what every solver took for it; seconds are medians, by the clock."""

    graph: str
    trust: str
    n_agents: int
    edges: int
    chosen: str = ""
    seconds: float = float("nan")
    cpu: float = float("nan")
    """Seconds of all threads together."""
    spread: float = 0.0
    solve: float = float("nan")
    """Of ``eg.solve``, over ``seconds``."""
    proof: float = float("nan")
    """Of ``eg.certify``, over ``seconds``."""
    sweep: float = float("nan")
    memory: tuple[float, float] = (float("nan"), float("nan"))
    peers: dict[str, float] = field(default_factory=dict)
    """Peer: its seconds; NaN where it has none."""
    peers_cpu: dict[str, float] = field(default_factory=dict)
    peers_spread: dict[str, float] = field(default_factory=dict)
    more_than: dict[str, float] = field(default_factory=dict)
    """Peers that were given up: after how many seconds."""


def measure(graph: str, trust: str, n_agents: int, dim: int, repeats: int, limit: float, seed: int) -> Case:
    """Time everything on fresh weights and means each repetition."""
    times: dict[str, list[Seconds]] = {name: [] for name in ("ours", "solve", "proof", *PEERS)}
    case: Case | None = None
    for repeat in range(repeats if n_agents < _ONCE else 1):
        weights, means = _game(graph, trust, n_agents, dim, seed + repeat)
        b, rhs = weights.off_diagonal, weights.self_weights[:, None] * means
        np.ones(_SPARE * weights.n_agents * dim)
        case = case or Case(graph, trust, weights.n_agents, b.nnz)
        seconds, (x, case.chosen) = _timed(_our_solve, b, rhs)
        _require_residual(b, rhs, x, "expfam_game")
        times["ours"].append(seconds)
        if repeat == 0:
            case.sweep = _sweep_share(b, x, rhs)
        _time_the_whole(weights, means, x, times)
        for name in PEERS:
            if worth_trying(name, graph, weights.n_agents) and not (times[name] and times[name][0].wall > _LONG):
                _run_peer(name, b, rhs, limit, times[name], case)
    assert case is not None
    if n_agents >= _MEMORY_FROM and trust == _MEMORY_OF:
        case.memory = _memory(graph, trust, n_agents, dim, seed)
    walls, processor = _medians(times, 0), _medians(times, 1)
    case.seconds, case.spread, case.cpu = walls["ours"], _spread(times["ours"]), processor["ours"]
    case.solve, case.proof = (walls[name] / case.seconds for name in ("solve", "proof"))
    case.peers = {name: walls[name] for name in PEERS}
    case.peers_cpu = {name: processor[name] for name in PEERS}
    case.peers_spread = {name: _spread(times[name]) for name in PEERS}
    return case


def warm_up(graph: str, trust: str, n_agents: int, dim: int, seed: int) -> None:
    """Play such a game by every method that a larger one may need."""
    weights, means = _game(graph, trust, n_agents, dim, seed)
    b, rhs = weights.off_diagonal, weights.self_weights[:, None] * means
    LinearSystem(b).solve(rhs, "multilevel", RESIDUAL)
    x, _ = _our_solve(b, rhs)
    _sweep_share(b, x, rhs, 8)
    _time_the_whole(weights, means, x, {"solve": [], "proof": []})


def _game(graph: str, trust: str, n_agents: int, dim: int, seed: int) -> tuple[eg.Weights, FloatArray]:
    weights = make_weights(graph, trust, n_agents, seed)
    _ = weights.off_diagonal
    return weights, np.random.default_rng(seed).uniform(0.1, 0.9, size=(weights.n_agents, dim))


def _time_the_whole(weights: eg.Weights, means: FloatArray, x: FloatArray, times: dict[str, list[Seconds]]) -> None:
    """``eg.solve`` and ``eg.certify``: the enclosure must hold what the linear solve found, to its tolerance."""
    game = eg.Game(eg.families.Bernoulli(means.shape[1]), weights, means=means)
    seconds, solution = _timed(eg.solve, game, eg.solvers.Direct(tolerance=RESIDUAL))
    times["solve"].append(seconds)
    seconds, certificate = _timed(lambda: eg.certify(game, solution, grade="float"))
    times["proof"].append(seconds)
    slack = 1.01 * RESIDUAL * float(np.max(np.abs(means))) * float(np.max(game.v))
    if not np.all((certificate.mean_lower - slack <= x) & (x <= certificate.mean_upper + slack)):
        raise AssertionError("the certificate's box does not hold the equilibrium")


def _our_solve(b: sparse.csr_array, rhs: FloatArray) -> tuple[FloatArray, str]:
    x, how = LinearSystem(b).solve(rhs, tolerance=RESIDUAL)
    return x, how.partition(",")[0] if how.startswith("LU") else how


def _run_peer(name: str, b: Any, rhs: FloatArray, limit: float, out: list[Seconds], case: Case) -> None:
    if name in case.more_than:
        return
    try:
        with time_limit(limit):
            seconds, x = _timed(PEERS[name], b, rhs, limit)
    except (TooSlow, MemoryError):
        case.more_than[name] = limit
        return
    _require_residual(b, rhs, x, name)
    out.append(seconds)


def _require_residual(b: sparse.csr_array, rhs: FloatArray, x: FloatArray, who: str) -> None:
    residual = np.max(np.abs(rhs + b @ x - x), axis=0)
    if not np.all(residual <= 1.01 * RESIDUAL * np.max(np.abs(rhs), axis=0)):
        raise AssertionError(f"{who}: the residual is {residual.max():.3g}, too large for its time to count")


def _sweep_share(b: sparse.csr_array, x: FloatArray, rhs: FloatArray, megabytes: int = 256) -> float:
    """Bytes that a sweep must move once (weights, profile in and out, constant) per second, over those of a copy.

    Both in turn, as the memory of a shared machine is not always equally fast; the best of five each.
    """
    width = next((w for w in reversed(kernels.WIDTHS) if w <= x.shape[1]), 1)
    x, rhs = np.ascontiguousarray(x[:, :width]), np.ascontiguousarray(rhs[:, :width])
    out, lanes = np.empty_like(x), kernels.lanes(width)
    source = np.ones(megabytes * 131_072)
    target = np.ones_like(source)
    sweeps, copies = [], []
    for _ in range(6):  # the first of each loads the kernels
        sweeps.append(_timed(kernels.affine, b.indptr, b.indices, b.data, x, rhs, out, lanes)[0].wall)
        copies.append(_timed(_copied, source, target)[0].wall)
    moved = b.data.nbytes + b.indices.nbytes + b.indptr.nbytes + 3 * x.nbytes
    return float(moved / min(sweeps[1:]) / (2 * source.nbytes / min(copies[1:])))


# ---------------------------------------------------------------------- memory

_MEMORY_FROM = 100_000
_MEMORY_OF = "0.001"
"""Agents and self-weights: in smaller games Python itself is most of it; and weights do not change it."""


def _memory(*job: Any) -> tuple[float, float]:
    """Growth of the peak during the linear solve and during ``eg.solve``, over the input, each in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        linear, whole = (pool.submit(peak_growth, whole, *job) for whole in (False, True))
        return linear.result(), whole.result()


def peak_growth(whole: bool, graph: str, trust: str, n_agents: int, dim: int, seed: int) -> float:
    """Peak of the process's memory less what it had before, over the size of the input; NaN where the system does not tell."""
    for n in (_WARM, n_agents):  # the first one loads the kernels
        weights, means = _game(graph, trust, n, dim, seed)
        b, rhs = weights.off_diagonal, weights.self_weights[:, None] * means
        size = b.data.nbytes + b.indices.nbytes + b.indptr.nbytes + means.nbytes
        game = eg.Game(eg.families.Bernoulli(dim), weights, means=means)
        try:
            ctypes.CDLL(None).malloc_trim(0)  # else what the first game gave back would be taken again unseen
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak
            before = _resident("VmRSS")
        except (OSError, AttributeError):
            return float("nan")
        if whole:
            eg.solve(game, eg.solvers.Direct(tolerance=RESIDUAL))
        else:
            _our_solve(b, rhs)
    return (_resident("VmHWM") - before) / size


def _resident(line: str) -> float:
    """Bytes of memory that Linux says this process has (``VmRSS``) or had at most (``VmHWM``)."""
    for entry in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if entry.startswith(line):
            return 1024.0 * int(entry.split()[1])
    raise OSError(line)


def exponent(cases: list[Case]) -> float:
    """Slope of log(seconds) against log(edges) from 10⁴ agents on (over all where there are fewer than two such games)."""
    large = [case for case in cases if case.n_agents >= 9_000]
    used = large if len(large) > 1 else cases
    return fitted_exponent([case.edges for case in used], [case.seconds for case in used])


# ---------------------------------------------------------------------- showing


def show(cases: list[Case], screen: Console) -> None:
    """Ratios first: how many times longer every peer takes."""
    for (graph, trust), group in _grouped(cases).items():
        table = Table(
            title=f"{graph}, self-weight {trust}: time ∝ edges^{number(exponent(group), '.2f')}", title_justify="left"
        )
        for name in (
            "agents",
            *PEERS,
            "per core",
            "solve()",
            "proof",
            "seconds",
            "spread",
            "sweep",
            "memory",
            "chosen",
        ):
            table.add_column(name, justify="left" if name == "chosen" else "right")
        for case in group:
            rest = [
                number(_per_core(case), ".2f"),
                number(case.solve, ".2f"),
                number(case.proof, ".2f"),
                number(case.seconds),
                number(100 * case.spread, ".0f"),
                number(case.sweep, ".2f"),
                " / ".join(number(share, ".1f") for share in case.memory),
            ]
            table.add_row(f"{case.n_agents:,}", *(_ratio(case, name) for name in PEERS), *rest, case.chosen)
        screen.print(table)


def _ratio(case: Case, peer: str) -> str:
    if peer in case.more_than:
        return f"> {case.more_than[peer] / case.seconds:.2g}"
    return number(case.peers[peer] / case.seconds, ".2f")


def _per_core(case: Case) -> float:
    return min((seconds for seconds in case.peers_cpu.values() if seconds > 0), default=float("nan")) / case.cpu


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
    return save_figure(figure, path)


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=COLUMNS)
def main(
    out: Out = Path("results/scaling"),
    seed: Seed = 0,
    graph: GraphNames = None,
    trust: Annotated[list[str] | None, typer.Option(help="Only this self-weight; may be repeated.")] = None,
    agents: Sizes = None,
    repeats: Repeats = 3,
    limit: Annotated[float, typer.Option(help="Seconds after which a peer is given up.")] = 60.0,
    quick: Quick = False,
) -> None:
    """Equilibria of many agents: cost against size, beside SciPy and PyAMG."""
    begun = time.perf_counter()
    require_known(graph, GRAPHS)
    require_known(trust, TRUST)
    sizes = tuple(agents or ((400, 1600) if quick else SIZES))
    dim, repeats, limit = (2, 1, min(limit, 0.5)) if quick else (16, repeats, limit)
    copy = copy_bandwidth(8 if quick else 512)
    trusts = trust or (TRUST[1:4:2] if quick else TRUST)
    plan = [(g, t, n) for g in graph or GRAPHS for t in trusts for n in sorted(sizes)]
    for g, t in progress([(g, t) for g in graph or GRAPHS for t in trusts], "warming up"):
        warm_up(g, t, 1600 if quick else _WARM, dim, seed)
    keep_memory()
    cases = [measure(g, t, n, dim, repeats, limit, seed) for g, t, n in progress(plan, "games")]
    screen = console()
    show(cases, screen)
    screen.print(f"copy bandwidth at the start {copy / 1e9:.1f} GB/s (read and written)")
    settings = {
        "dim": dim,
        "repeats": repeats,
        "limit": limit,
        "seed": seed,
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
