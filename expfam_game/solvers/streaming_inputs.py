"""What ``stream_equilibrium`` is given, checked before hours of play: what it reads and what it writes."""

from __future__ import annotations

import contextlib
import os
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from expfam_game._typing import AnyArray
from expfam_game.errors import InvalidInput
from expfam_game.game import mapped
from expfam_game.game.weights import Weights


def path_of(name: str, value: Any) -> Path:
    """An argument that must be a path."""
    if not isinstance(value, (str, PathLike)):
        raise InvalidInput(f"{name} is of type {type(value).__name__}; it must be a path, a str or a pathlib.Path")
    return Path(value)


def writable(out: Any) -> Path:
    """The path of the result, where a file can be written: better to know before hours of play than after."""
    target = path_of("out", out)
    if target.is_dir():
        raise InvalidInput(
            f"{out}: cannot be written: out is a folder; name an NPY file in it, such as equilibrium.npy"
        )
    if not target.parent.is_dir():
        raise InvalidInput(f"{out}: cannot be written: there is no folder {target.parent}; make it first")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise InvalidInput(
            f"{out}: cannot be written: the folder {target.parent} is not writable; change its permissions, or name "
            "another file as out"
        )
    return target


def opened_weights(weights: Any) -> Weights:
    """Weights as given, or those of a folder, mapped into memory."""
    if isinstance(weights, Weights):
        return weights
    wanted = "a folder with indptr.npy, indices.npy and data.npy, as Weights.save writes it"
    if not isinstance(weights, (str, PathLike)):
        raise InvalidInput(f"weights is of type {type(weights).__name__}; it must be Weights, or the path of {wanted}")
    if Path(weights).is_file():
        raise InvalidInput(f"{weights}: the weights must be {wanted}, but this is a file")
    return Weights.from_files(*(Path(weights) / f"{name}.npy" for name in mapped.PARTS))


def mapped_means(means: Any) -> AnyArray:
    """Means as given, or those of a file, mapped into memory."""
    if isinstance(means, np.ndarray):
        return means
    wanted = "an NPY file of shape (n_agents, dim), as numpy.save writes it"
    if not isinstance(means, (str, PathLike)):
        raise InvalidInput(
            f"means is of type {type(means).__name__}; it must be a NumPy array, or the path of {wanted}"
        )
    with contextlib.suppress(OSError), open(means, "rb") as file:  # whatever fails here is reported below
        if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise InvalidInput(f"{means}: this is not an NPY file; the means must be {wanted}")
    return mapped.mapped_array(Path(means), "the means of all agents")


def files_of(*arrays: Any) -> list[Path]:
    """The files that back those arrays that are memory maps, or views of memory maps."""
    files = set()
    for array in arrays:
        while isinstance(array, np.ndarray):
            if isinstance(array, np.memmap) and array.filename is not None:
                files.add(Path(os.fsdecode(array.filename)))
            array = array.base
    return sorted(files)


def _same(one: Path, other: Path) -> bool:
    """Whether both exist and are the same, however they are spelled and linked."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def require_apart(target: Path, folder: Path, inputs: list[Path], folders: list[Path]) -> None:
    """What is read must not be what is written."""
    for file in inputs:
        if _same(target, file):
            raise InvalidInput(
                f"{target}: out is {file}, from which the weights or means are read, and would replace it; name another file"
            )
    for place in folders:
        if _same(folder, place):
            raise InvalidInput(
                f"{folder}: checkpoint is the folder of the weights or means; name another, which need not exist"
            )
    if target.resolve() == folder.resolve():
        raise InvalidInput(f"{folder}: checkpoint and out are the same; name another folder as checkpoint")


def require_means(weights: Weights, means: AnyArray, name: str) -> None:
    """One row of numbers for each agent."""
    if means.dtype.kind not in "biuf" or means.ndim != 2 or len(means) != weights.n_agents or means.shape[1] == 0:
        raise InvalidInput(
            f"{name}: means must be real numbers of shape (n_agents, dim) with {weights.n_agents} agents, but it is an "
            f"array of {means.dtype} with shape {means.shape}"
        )
