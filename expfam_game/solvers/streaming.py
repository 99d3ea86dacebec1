"""Equilibria of games larger than memory: deflated play over blocks of rows, profiles in files, every round resumable.

The weights are read from their files a block of rows at a time; the profile lies in memory-mapped NPY files, two of them, of
which a round reads one and writes the other. After each round a small state file is replaced atomically, so an interrupted
run (also by SIGKILL) loses the current round and nothing else, and goes on to the same result, bit by bit.

A first solve finds w with (I − B) w ≥ s > 0 (C2); then statistics are played sixteen at a time until the bound
``max_i w_i / s · max_k |r_k|`` on |μ − μ*| (T4) is small. A round is one of play, ``D m + B μ``, after a common shift of
everybody that makes the residuals sum to zero (see ``game.multilevel``); where that does not help, plain play contracts
whatever the graph (T4). At the end the residual is bounded with all rounding errors (C3).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm.auto import tqdm

from expfam_game._typing import AnyArray, FloatArray
from expfam_game.errors import (
    BarelyAnchored,
    InvalidCheckpoint,
    InvalidData,
    InvalidInput,
    NotAnchored,
    ToleranceNotReached,
)
from expfam_game.game import mapped
from expfam_game.game.weights import Weights
from expfam_game.kernels import sparse as kernels
from expfam_game.solvers.solution import Status
from expfam_game.solvers.streaming_inputs import (
    files_of,
    mapped_means,
    opened_weights,
    path_of,
    require_apart,
    require_means,
    writable,
)

_FORMAT = 1
_STATE = "state.json"
_WIDEST = max(kernels.WIDTHS)
_STEPS_TOLERANCE = 0.01
"""w only has to satisfy (I − B) w ≥ s: its residual may be this large beside 1."""

_WINDOW = 16
"""The common shift is given up where over so many rounds the residual falls no faster than in plain play."""

_PATIENCE = 3
"""Rounds without a new smallest residual, at the level of rounding, after which precision is the limit."""

_DURABLE = 60.0
"""Seconds between writes that also survive a loss of power; what a killed process has written survives anyhow."""

_TINY = float(np.nextafter(0.0, 1.0))


@dataclass(frozen=True)
class StreamedEquilibrium:
    """An equilibrium in a file, and how far from it the file can be.

    Attributes
    ----------
    path : Path
        An NPY file of shape (n_agents, dim): the mean parameters μ.
    error_bound : ndarray, shape (dim,)
        Bound on ``max_i |μ − μ*|`` of each statistic (C2, C3).
    grade : {"rigorous", "float"}
        ``"rigorous"``: the bound includes every rounding error. ``"float"``: this process flushes subnormal numbers to
        zero, so that the bound is none on rounding.
    contraction_factor : float
        Best response contracts at least by this factor a round (C2).
    status : Status
        CONVERGED or PRECISION_LIMIT.
    rounds : int
        Sweeps over the weights that play took, in all runs together.

    Examples
    --------
    >>> import numpy as np, expfam_game as eg, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/means.npy", [[0.25], [0.75]])
    ...     found = eg.solvers.stream_equilibrium(
    ...         eg.Weights.complete(2, 0.5), f"{folder}/means.npy", f"{folder}/out.npy"
    ...     )
    ...     found.mean().round(4), bool(found.error_bound.max() < 1e-12)
    (array([[0.4167],
           [0.5833]]), True)
    """

    path: Path
    error_bound: FloatArray
    grade: Literal["rigorous", "float"]
    contraction_factor: float
    status: Status
    rounds: int

    def mean(self) -> FloatArray:
        """The mean parameters as an array in memory; ``numpy.load(path, mmap_mode="r")`` maps them."""
        return np.asarray(np.load(self.path))


def stream_equilibrium(
    weights: Weights | str | PathLike[str],
    means: str | PathLike[str] | AnyArray,
    out: str | PathLike[str],
    *,
    tolerance: float = 1e-12,
    max_rounds: int = 10_000,
    checkpoint: str | PathLike[str] | None = None,
    block_entries: int = mapped.BLOCK,
    progress: bool | None = None,
) -> StreamedEquilibrium:
    """The equilibrium means ``μ* = R m`` (T2) of a game whose weights, means and profile are in files.

    Memory: a block of weights and of rows of the profile, and one byte per agent. Interrupted (KeyboardInterrupt, SIGKILL),
    the same call goes on after the last complete round, to the same bits. On graphs that mix fast a solve takes some 20
    sweeps over the weights for each sixteen statistics whatever the self-weights; on rings and grids with small self-weights
    play needs of the order of 1/self-weight sweeps, and ``solve`` is better as long as the game fits into memory.

    Parameters
    ----------
    weights : Weights, str or Path
        :meth:`Weights.from_files`, or a folder written by :meth:`Weights.save`.
    means : str or Path, or array, shape (n_agents, dim)
        An NPY file or a memory map with the average statistic of each agent's data
        (:func:`~expfam_game.families.mean_statistic`). Rows of agents with self-weight zero are ignored.
    out : str or Path
        The NPY file to write, all at once at the end, replacing what is there; none of the files that are read. Its folder
        must exist.
    tolerance : float
        Play until the bound on |μ − μ*|, relative to the largest data mean of each statistic, is at most this.
    max_rounds : int
        Sweeps over the weights after which this call gives up; another call goes on.
    checkpoint : str or Path, optional
        The folder for profiles and state, by default ``out`` with ``.rounds`` behind its name; removed at the end. It takes
        three times the size of ``means`` at most. One process at a time may use it. Not the folder of weights or means.
    block_entries : int
        Entries of the weights in memory at a time; a longer row is read as a whole.
    progress : bool, optional
        Show a progress bar; by default after two seconds and only on a terminal.

    Returns
    -------
    StreamedEquilibrium

    Raises
    ------
    InvalidInput, InvalidWeights, InvalidData
        Naming the file, the agent and the rule.
    NotAnchored, BarelyAnchored
        If some agents never reach real data (T2), or only through weights lost in rounding.
    ToleranceNotReached
        After ``max_rounds`` sweeps; the state is kept.
    InvalidCheckpoint
        If the checkpoint is damaged or belongs to another game.

    Examples
    --------
    >>> import numpy as np, expfam_game as eg, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     eg.Weights.erdos_renyi(500, 0.02, self_weight=0.001, seed=0).save(f"{folder}/weights")
    ...     np.save(f"{folder}/means.npy", np.random.default_rng(0).uniform(size=(500, 3)))
    ...     found = eg.solvers.stream_equilibrium(
    ...         f"{folder}/weights", f"{folder}/means.npy", f"{folder}/equilibrium.npy", tolerance=1e-9
    ...     )
    ...     found.status.name, found.grade, found.rounds < 60
    ('CONVERGED', 'rigorous', True)
    """
    _require_options(tolerance, max_rounds, block_entries)
    target = writable(out)
    folder = target.with_name(target.name + ".rounds") if checkpoint is None else path_of("checkpoint", checkpoint)
    opened, m = opened_weights(weights), mapped_means(means)
    name = "means" if isinstance(means, np.ndarray) else str(means)
    require_means(opened, m, name)
    inputs = files_of(opened.matrix.indptr, opened.matrix.indices, opened.matrix.data, m)
    # Besides where the arrays lie, where they were said to lie: links may lead from there to elsewhere.
    folders = [file.parent for file in inputs]
    folders += [] if isinstance(weights, Weights) else [Path(weights)]
    folders += [] if isinstance(means, np.ndarray) else [Path(means).parent]
    require_apart(target, folder, inputs, folders)
    disabled = None if progress is None else not progress
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tqdm(desc="play", unit=" agents", unit_scale=True, delay=2.0, disable=disabled, leave=False) as bar:
            play = _Play(opened, m, name, folder, block_entries, bar)
            state = play.resumed()
            _Rounds(play, state, tolerance, max_rounds).run()
        return _finished(play, state, target)
    except KeyboardInterrupt as stopped:
        stopped.add_note(f"stream_equilibrium: the same call goes on after the last complete round, kept in {folder}")
        raise
    except OSError as problem:
        raise InvalidInput(f"{problem.filename or folder}: cannot be written: {problem.strerror or problem}") from None


def _require_options(tolerance: float, max_rounds: int, block_entries: int) -> None:
    if not isinstance(tolerance, Real) or isinstance(tolerance, bool) or not 0 < tolerance < np.inf:
        raise InvalidInput(f"tolerance is {tolerance!r}; it must be positive and finite")
    for name, value in (("max_rounds", max_rounds), ("block_entries", block_entries)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InvalidInput(f"{name} is {value!r}; it must be an integer, at least 1")


# ---------------------------------------------------------------------- state on disk


@dataclass
class _State:
    """Where play stands; replaced atomically after every round."""

    weights: str
    means: str
    block_entries: int
    format: int = _FORMAT
    group: int = 0
    """0: w; k: statistics 16 (k − 1) to 16 k − 1."""
    profile: int = 0
    """Which of the two files holds the profile; its common ``shift`` is not in it yet."""
    shift: list[float] = field(default_factory=list)
    """Empty before the first round of a group."""
    deflated: bool = True
    sizes: list[float] = field(default_factory=list)
    """Relative residuals of the last rounds of this group, and the smallest of all."""
    smallest: float = np.inf
    waited: int = 0
    """Rounds since the smallest."""
    verified: bool = False
    """Whether the play of this group is over, and the residual is to be bounded."""
    rounds: int = 0
    limited: bool = False
    largest_w: float = np.inf
    slack: float = 0.0
    error: list[float] = field(default_factory=list)

    def save(self, folder: Path, durable: bool = False) -> None:
        """Replace the state file; ``durable`` also against a loss of power, which takes time."""
        part = folder / f".{_STATE}.part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, folder / _STATE)


def _loaded(file: Path) -> _State | None:
    if not file.exists():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values.get("format") != _FORMAT or values.keys() != {entry.name for entry in fields(_State)}:
            raise ValueError("it is not one of this version")
        return _State(**values)
    except (ValueError, TypeError, AttributeError) as problem:
        raise InvalidCheckpoint(f"{file}: the state of play cannot be read: {problem}; delete the folder") from None


# ---------------------------------------------------------------------- the game in blocks


class _Play:
    """The game, its blocks, and the files of a run."""

    def __init__(self, weights: Weights, means: AnyArray, name: str, folder: Path, entries: int, bar: Any) -> None:
        self.name = name
        self.matrix, self.means, self.folder, self.entries, self.bar = weights.matrix, means, folder, int(entries), bar
        self.n_agents, self.dim = means.shape
        self.groups = 1 + -(-self.dim // _WIDEST)
        self._require_anchored()
        self.longest = 0
        self.scale = np.zeros(self.dim)
        self.anchoring = 0.0
        self._prepare()

    def blocks(self) -> Iterator[mapped.RowBlock]:
        for block in mapped.row_blocks(self.matrix, self.entries):
            yield block
            self.bar.update(block.last - block.first)

    def array(self, name: str, shape: tuple[int, ...], new: bool = False) -> np.memmap[Any, Any]:
        """An array of floats in a file of the run."""
        file = self.folder / f"{name}.npy"
        try:
            return np.lib.format.open_memmap(file, mode="w+" if new else "r+", dtype=np.float64, shape=shape)
        except (ValueError, FileNotFoundError) as problem:
            raise InvalidCheckpoint(f"{file}: the profile cannot be read: {problem}; delete the folder") from None

    def _require_anchored(self) -> None:
        reached = mapped.reaching_data(self.matrix, self.entries)
        if not reached.all():
            astray = tuple(np.flatnonzero(~reached).tolist())
            shown = ", ".join(map(str, astray[:10])) + (" …" if len(astray) > 10 else "")
            raise NotAnchored(
                f"the weights are not anchored: agents {shown} listen only to one another and none trusts its own data, so "
                "the equilibrium is not unique (T2). Give one of them a positive self-weight and data, or let one "
                "listen to an agent outside the group.",
                astray,
            )

    def _prepare(self) -> None:
        """B 1 and B² 1, which carry a common shift through a round; the scale of each statistic."""
        self.once = self.array("once", (self.n_agents, 1), new=True)
        self.twice = self.array("twice", (self.n_agents, 1), new=True)
        for block in self.blocks():
            rows = slice(block.first, block.last)
            self.once[rows, 0] = block.listening
            self.anchoring += float(np.sum(block.trust))
            self.longest = max(self.longest, int(np.max(np.diff(block.indptr))))
            m = np.asarray(self.means[rows], dtype=np.float64)[block.trust > 0]
            if not np.isfinite(m).all():
                agent = block.first + int(np.flatnonzero(block.trust > 0)[np.argmin(np.isfinite(m).all(axis=1))])
                raise InvalidData(
                    f"{self.name}: agent {agent} trusts its own data, but its row of means is not finite; set its "
                    "self-weight to zero or give it data",
                    agent=agent,
                )
            self.scale = np.maximum(self.scale, np.max(np.abs(m), axis=0, initial=0.0))
        for block in self.blocks():
            rows = slice(block.first, block.last)
            self.twice[rows] = self.heard(block, np.asarray(self.once), np.zeros((block.last - block.first, 1)))
        # The rounding of a residual relative to the scale, which bounds D|m| + B|μ| and |μ|.
        self.unit = 2.0 * _units(self.longest) * 2.0**-53

    def heard(self, block: mapped.RowBlock, profile: FloatArray, constant: FloatArray) -> FloatArray:
        """constant + B profile for the rows of a block, written to ``constant``."""
        lanes = kernels.lanes(profile.shape[1])
        kernels.affine(block.indptr, block.indices, block.data, profile, constant, constant, lanes)
        return constant

    def resumed(self) -> _State:
        """The state to go on from, which must be of this game."""
        digest = mapped.fingerprint(self.matrix, self.entries)
        state = _State(digest, _digest(self.means, self.entries), self.entries)
        found = _loaded(self.folder / _STATE)
        if found is None:
            state.save(self.folder)
            return state
        for name, what in (("weights", "weights"), ("means", "means"), ("block_entries", "block_entries")):
            if getattr(found, name) != getattr(state, name):
                raise InvalidCheckpoint(
                    f"{self.folder}: this checkpoint belongs to another run: its {what} differ; delete the folder, or name "
                    "another as checkpoint"
                )
        return found

    def columns(self, group: int) -> slice:
        """The statistics of a group."""
        return slice(_WIDEST * (group - 1), min(self.dim, _WIDEST * group))

    def width(self, group: int) -> int:
        """Columns of the profile of a group: one for w, else as many as a kernel takes."""
        columns = self.columns(group)
        wanted = 1 if group == 0 else columns.stop - columns.start
        return next(width for width in kernels.WIDTHS if width >= wanted)

    def anchored_data(self, block: mapped.RowBlock, group: int) -> FloatArray:
        """D m of the rows of a block, for the statistics of a group, with zeros in columns to spare; 1 for w."""
        result = np.zeros((block.last - block.first, self.width(group)))
        if group == 0:
            result[:] = 1.0
        else:
            columns, trusting = self.columns(group), block.trust > 0
            m = np.asarray(self.means[block.first : block.last, columns], dtype=np.float64)
            result[trusting, : m.shape[1]] = block.trust[trusting, None] * m[trusting]
        return result


def _digest(means: AnyArray, entries: int) -> str:
    digest = hashlib.sha256()
    mapped.digest_rows(digest, means, entries)
    return digest.hexdigest()


# ---------------------------------------------------------------------- rounds


class _Rounds:
    """Play of one group of statistics after another, from a state on."""

    def __init__(self, play: _Play, state: _State, tolerance: float, max_rounds: int) -> None:
        self.play, self.state, self.tolerance, self.left = play, state, tolerance, max_rounds
        self.durable_until = time.monotonic() + _DURABLE

    def run(self) -> None:
        """Until every group is done."""
        play, state = self.play, self.state
        while state.group < play.groups:
            shape = (play.n_agents, play.width(state.group))
            fresh = not state.shift
            names = [f"profile-{state.group}-{k}" for k in (0, 1)]
            self.files = [play.array(name, shape, new=fresh) for name in names]
            if fresh:
                self._begin()
            while not state.verified:
                self._round()
            self._verify()
            state.save(play.folder, durable=True)
            del self.files
            for name in names:
                (play.folder / f"{name}.npy").unlink()

    def _begin(self) -> None:
        """Best response to zero, shifted."""
        play, state = self.play, self.state
        total = np.zeros(self.files[0].shape[1])
        for block in play.blocks():
            first = play.anchored_data(block, state.group)
            self.files[0][block.first : block.last] = first
            total += np.sum(first, axis=0)
        state.profile, state.sizes, state.smallest, state.waited = 0, [], np.inf, 0
        state.deflated = True
        state.shift = self._shift(total)
        state.save(play.folder)

    def _shift(self, total: FloatArray) -> list[float]:
        values = total / self.play.anchoring if self.state.deflated else np.zeros_like(total)
        return [float(value) for value in values]

    def _round(self) -> None:
        play, state = self.play, self.state
        if self.left == 0:
            raise ToleranceNotReached(
                f"the residual is {state.sizes[-1] if state.sizes else np.inf:.2g} relative to the means after "
                f"{state.rounds} rounds, and max_rounds is reached. The same call goes on from here ({play.folder}); with "
                "larger self-weights or a larger tolerance fewer rounds are needed"
            )
        self.left -= 1
        now, then = np.asarray(self.files[state.profile]), np.asarray(self.files[1 - state.profile])
        shift = np.array(state.shift)
        total, largest, extent = np.zeros((3, now.shape[1]))
        for block in play.blocks():
            rows = slice(block.first, block.last)
            then[rows] = play.anchored_data(block, state.group) + play.twice[rows] * shift
            answer = play.heard(block, now, then[rows])
            residual = answer - (now[rows] + play.once[rows] * shift)
            total += np.sum(residual, axis=0)
            largest = np.maximum(largest, np.max(np.abs(residual), axis=0))
            extent = np.maximum(extent, np.max(np.abs(answer), axis=0))
        state.profile, state.rounds = 1 - state.profile, state.rounds + 1
        self._judge(largest, extent)
        state.shift = self._shift(total)
        durable = time.monotonic() > self.durable_until
        if durable:
            self.files[state.profile].flush()
            self.durable_until = time.monotonic() + _DURABLE
        state.save(play.folder, durable)

    def _judge(self, largest: FloatArray, extent: FloatArray) -> None:
        """Whether play of this group is over, or goes on without the common shift."""
        play, state = self.play, self.state
        if state.group == 0:
            size, unit, enough = float(largest[0]), play.unit * float(extent[0]), _STEPS_TOLERANCE
        else:
            scale = play.scale[play.columns(state.group)]
            ratio = np.divide(largest[: len(scale)], scale, out=np.zeros_like(scale), where=scale > 0)
            size, unit = float(np.max(ratio)), play.unit
            enough = self.tolerance * state.slack / state.largest_w - unit
        state.waited = 0 if size < state.smallest else state.waited + 1
        state.smallest = min(size, state.smallest)
        state.sizes = [*state.sizes[-_WINDOW:], size]
        limited = state.waited >= _PATIENCE and size <= unit
        if size <= enough or limited:
            state.verified, state.limited = True, state.limited or (state.group > 0 and size > enough)
        elif len(state.sizes) > _WINDOW and not size < state.sizes[0] * self._plain_pace(extent) ** _WINDOW:
            state.deflated = False
        self.play.bar.set_postfix_str(f"round {state.rounds}, residual {size:.1e}", refresh=False)

    def _plain_pace(self, extent: FloatArray) -> float:
        """The factor q = 1 − 1/max v by which plain play contracts a round (T4); of w only the latest answer is known."""
        longest = self.state.largest_w / self.state.slack if self.state.group else float(np.max(extent))
        return max(0.0, 1.0 - 1.0 / longest)

    # ------------------------------------------------------------------ bounds

    def _verify(self) -> None:
        """Bound the residual of the profile that play ended with, and note what follows."""
        play, state = self.play, self.state
        profile, spare = (np.asarray(self.files[k]) for k in (state.profile, 1 - state.profile))
        if state.group == 0:
            state.slack, state.largest_w = self._slack(profile)
            if not state.slack > 0:
                raise BarelyAnchored(
                    "the weights are anchored, but so little trust reaches real data that float64 cannot tell the "
                    f"equilibrium: some agent would take {state.largest_w:.2g} steps to data. Give more agents data, or "
                    "use larger self-weights."
                )
        else:
            columns = play.columns(state.group)
            residual = self._residual_bound(profile, spare)[: columns.stop - columns.start]
            bound = np.nextafter(np.nextafter(state.largest_w * residual, np.inf) / state.slack, np.inf)
            state.error = state.error[: columns.start] + [float(value) for value in bound]
            whole = play.array("mean", (play.n_agents, play.dim), new=state.group == 1)
            for first, last in mapped.spans(play.matrix.indptr, play.entries):
                whole[first:last, columns] = profile[first:last, : len(bound)]
            whole.flush()
        state.group, state.shift, state.verified, state.profile = state.group + 1, [], False, 0

    def _slack(self, w: FloatArray) -> tuple[float, float]:
        """The largest s that float64 can prove with B w ≤ w − s (zero if w is not positive), and the largest w."""
        slack, largest = np.inf, 0.0
        for block in self.play.blocks():
            mine = w[block.first : block.last]
            if not np.min(mine) > 0:
                return 0.0, float(np.max(mine))
            value = self.play.heard(block, w, -mine)
            above = np.nextafter(value + _rounding(block, value + 2.0 * mine), np.inf)
            slack, largest = min(slack, -float(np.max(above))), max(largest, float(np.max(mine)))
        return slack, largest

    def _residual_bound(self, profile: FloatArray, spare: FloatArray) -> FloatArray:
        """For each statistic a bound on |D m + B μ − μ|, rounding included."""
        for first, last in mapped.spans(self.play.matrix.indptr, self.play.entries):
            spare[first:last] = np.abs(profile[first:last])
        largest = np.zeros(profile.shape[1])
        for block in self.play.blocks():
            rows = slice(block.first, block.last)
            constant = self.play.anchored_data(block, self.state.group)
            size = self.play.heard(block, spare, np.abs(constant) + spare[rows])
            value = self.play.heard(block, profile, constant - profile[rows])
            above = np.nextafter(np.abs(value) + _rounding(block, size), np.inf)
            largest = np.maximum(largest, np.max(above, axis=0))
        return largest


def _units(entries: Any) -> Any:
    """How many units of 2^-53 times the sum of the absolute values the rounding of a row of a residual is at most.

    A row is a sum of n products and two more terms, in some order, possibly with fused operations: its error is at most
    γ_{n+3} M, where M is the sum of their absolute values (Higham, Accuracy and Stability of Numerical Algorithms, §3.1).
    M is computed with the same relative error; n/16 + 17 units more than n + 3 leave room for that, and for the roundings
    of the bound itself, as long as n < 2^40.
    """
    return 1.0625 * entries + 20.0


def _rounding(block: mapped.RowBlock, size: FloatArray) -> FloatArray:
    """A bound on the rounding of residuals whose terms have absolute values that sum to ``size``, underflow included."""
    units = _units(np.diff(block.indptr)[:, None])
    return np.asarray((units * 2.0**-53) * size + units * _TINY)


def _finished(play: _Play, state: _State, target: Path) -> StreamedEquilibrium:
    """The profile moved to where it is wanted, and the folder of the run removed."""
    del play.once, play.twice
    found = play.folder / "mean.npy"
    if found.exists():
        _moved(found, target)
    elif not target.exists():
        raise InvalidCheckpoint(f"{play.folder}: the profile mean.npy is missing; delete the folder")
    for file in (
        *play.folder.glob("profile-*.npy"),
        *(play.folder / name for name in ("once.npy", "twice.npy", _STATE)),
    ):
        file.unlink(missing_ok=True)
    if not any(play.folder.iterdir()):
        play.folder.rmdir()
    gradual = bool(np.all(np.ldexp(np.ones(8), -1030) * np.full(8, 0.5) > 0))
    return StreamedEquilibrium(
        path=target,
        error_bound=np.array(state.error),
        grade="rigorous" if gradual else "float",
        contraction_factor=float(min(1.0, np.nextafter(1.0 - np.nextafter(state.slack / state.largest_w, 0.0), 1.0))),
        status=Status.PRECISION_LIMIT if state.limited else Status.CONVERGED,
        rounds=state.rounds,
    )


def _moved(found: Path, target: Path) -> None:
    """Replace ``target`` all at once, also from another file system."""
    try:
        os.replace(found, target)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        shutil.copyfile(found, part)
        os.replace(part, target)
        found.unlink()
