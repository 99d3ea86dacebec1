"""Real data for examples and experiments: digits, MNIST and Fashion-MNIST, and ways to divide them among agents.

A leaf module: it imports nothing of ours but ``errors`` and ``_typing``. Every file is checked against its published
SHA-256 before it is read, wherever it came from.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from expfam_game._typing import AnyArray, ArrayLike, IntArray, Seed
from expfam_game.errors import DataNotFound, InvalidData, InvalidInput, MissingExtra

ByteArray = NDArray[np.uint8]
Split = Literal["train", "test"]

__all__ = ["digits", "fashion_mnist", "mnist", "split_by_label_skew", "split_by_labels"]

_PARTS = {"train": "train", "test": "t10k"}

_MIRRORS = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}

_SHA256 = {
    "fashion-mnist/t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "fashion-mnist/t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    "fashion-mnist/train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "fashion-mnist/train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "mnist/t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "mnist/t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    "mnist/train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "mnist/train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
}
"""Of the gzip files as first published; images and labels of one split belong together by position."""


# ---------------------------------------------------------------------- the data sets


def digits(threshold: int | None = 8) -> tuple[ByteArray, ByteArray]:
    """The 1797 handwritten digits of 8 × 8 pixels that come with scikit-learn; no files and no network needed.

    Parameters
    ----------
    threshold : int or None
        Pixels above it become 1, the others 0; None returns the grey values 0 … 16.

    Returns
    -------
    images : ndarray of uint8, shape (1797, 64)
    labels : ndarray of uint8, shape (1797,)

    Examples
    --------
    >>> images, labels = digits()
    >>> images.shape, int(images.max()), labels[:5]
    ((1797, 64), 1, array([0, 1, 2, 3, 4], dtype=uint8))
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtra("scikit-learn", "data", "The digits data set") from None
    values, labels = load_digits(return_X_y=True)
    return _binarised(values.astype(np.uint8), threshold, 16), labels.astype(np.uint8)


def mnist(split: Split = "train", threshold: int | None = 127) -> tuple[ByteArray, ByteArray]:
    """MNIST: 60 000 (``"train"``) or 10 000 (``"test"``) handwritten digits of 28 × 28 pixels, in their official order.

    The gzip files are taken from ``$EXPFAM_GAME_DATA/mnist`` if that environment variable is set, and from nowhere else.
    If it is not, they are looked for in ``../shared/data/mnist`` beside the repository and beside the current directory,
    and in the user's cache; if they are in none of these they are downloaded into the cache. Their SHA-256 is checked in
    every case.

    Parameters
    ----------
    split : {"train", "test"}
    threshold : int or None
        Pixels above it become 1, the others 0; None returns the grey values 0 … 255.

    Returns
    -------
    images : ndarray of uint8, shape (n, 784)
    labels : ndarray of uint8, shape (n,)

    Raises
    ------
    DataNotFound
        If the files are nowhere and cannot be downloaded, or are not where ``EXPFAM_GAME_DATA`` points; lists every place
        searched.
    InvalidData
        If a file was found but is corrupted.
    """
    return _idx_pair("mnist", split, threshold)


def fashion_mnist(split: Split = "train", threshold: int | None = 127) -> tuple[ByteArray, ByteArray]:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747): pictures of clothes, in the format of :func:`mnist`.

    Labels: 0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.
    Parameters, return values, errors and the places searched are those of :func:`mnist`.
    """
    return _idx_pair("fashion-mnist", split, threshold)


# ---------------------------------------------------------------------- dividing data among agents


def split_by_label_skew(labels: ArrayLike, n_agents: int, concentration: float, seed: Seed) -> list[IntArray]:
    """Divide samples among agents with Dirichlet label skew: who holds how much of each label is drawn at random.

    For every label the shares of the agents are drawn from a symmetric Dirichlet law (Yurochkin et al. 2019,
    arXiv:1905.12022): small concentrations give every label to few agents, large ones give everybody the same mixture.
    Every sample goes to exactly one agent and every agent gets at least one.

    Parameters
    ----------
    labels : array_like, shape (n,)
    n_agents : int
    concentration : float
        Positive. 0.1 is strong skew, 100 hardly any.
    seed : int, SeedSequence or Generator

    Returns
    -------
    list of ndarray of int
        For each agent the indices of its samples, in increasing order.

    Examples
    --------
    >>> parts = split_by_label_skew([0, 0, 0, 1, 1, 1], n_agents=2, concentration=1.0, seed=0)
    >>> sorted(int(k) for part in parts for k in part)
    [0, 1, 2, 3, 4, 5]
    """
    values = _checked_labels(labels)
    if isinstance(n_agents, bool) or not isinstance(n_agents, (int, np.integer)) or not 1 <= n_agents <= values.size:
        raise InvalidInput(
            f"n_agents is {n_agents!r}; it must be an integer from 1 to the number of samples, {values.size}"
        )
    if not (np.isfinite(concentration) and concentration > 0):
        raise InvalidInput(f"concentration is {concentration!r}; it must be positive and finite")
    rng = np.random.default_rng(seed)
    owner = np.empty(values.size, dtype=np.int64)
    for label in np.unique(values):
        members = rng.permutation(np.flatnonzero(values == label))
        shares = rng.dirichlet(np.full(n_agents, float(concentration)))
        cuts = np.floor(np.cumsum(shares)[:-1] * members.size + 0.5).astype(np.int64)
        for agent, part in enumerate(np.split(members, np.minimum(cuts, members.size))):
            owner[part] = agent
    _give_everyone_a_sample(owner, int(n_agents), rng)
    return [np.flatnonzero(owner == agent) for agent in range(n_agents)]


def split_by_labels(labels: ArrayLike, groups: Sequence[Iterable[int]]) -> list[IntArray]:
    """Give each agent the samples of its own labels.

    Parameters
    ----------
    labels : array_like, shape (n,)
    groups : sequence of collections of labels
        One per agent; an empty one makes an agent without data. The samples of a label that several agents name are
        dealt out to them in turn; labels that nobody names are left out.

    Returns
    -------
    list of ndarray of int
        For each agent the indices of its samples, in increasing order.

    Examples
    --------
    >>> split_by_labels([0, 1, 2, 0, 1, 2], [(0, 1), (2,), ()])
    [array([0, 1, 3, 4]), array([2, 5]), array([], dtype=int64)]
    """
    values = _checked_labels(labels)
    wanted = [set(group) for group in groups]
    if unknown := sorted(set().union(*wanted) - set(values.tolist())):
        raise InvalidInput(f"groups name the label {unknown[0]!r}, which no sample has")
    owner = np.full(values.size, -1, dtype=np.int64)
    for label in np.unique(values):
        takers = [agent for agent, group in enumerate(wanted) if label in group]
        members = np.flatnonzero(values == label)
        for turn, agent in enumerate(takers):
            owner[members[turn :: len(takers)]] = agent
    return [np.flatnonzero(owner == agent) for agent in range(len(wanted))]


def _checked_labels(labels: ArrayLike) -> AnyArray:
    values = np.asarray(labels)
    if values.ndim != 1 or values.size == 0:
        raise InvalidInput(f"labels must be a non-empty vector, one label per sample; got shape {values.shape}")
    return values


def _give_everyone_a_sample(owner: IntArray, n_agents: int, rng: np.random.Generator) -> None:
    """Move one sample from whoever holds most to each agent that holds none, in place."""
    counts = np.bincount(owner, minlength=n_agents)
    for agent in np.flatnonzero(counts == 0):
        richest = int(np.argmax(counts))
        moved = rng.choice(np.flatnonzero(owner == richest))
        owner[moved] = agent
        counts[richest] -= 1
        counts[agent] = 1


# ---------------------------------------------------------------------- files


def _idx_pair(name: str, split: str, threshold: int | None) -> tuple[ByteArray, ByteArray]:
    if split not in _PARTS:
        raise InvalidInput(f"split is {split!r}; it must be 'train' or 'test'")
    images = _idx(_find(f"{name}/{_PARTS[split]}-images-idx3-ubyte.gz"))
    labels = _idx(_find(f"{name}/{_PARTS[split]}-labels-idx1-ubyte.gz"))
    return _binarised(images.reshape(images.shape[0], -1), threshold, 255), labels


def _binarised(values: ByteArray, threshold: int | None, largest: int) -> ByteArray:
    if threshold is None:
        return values
    if not 0 <= threshold < largest:
        raise InvalidInput(f"threshold is {threshold!r}; it must be None or lie in 0 … {largest - 1}")
    return (values > threshold).astype(np.uint8)


def _idx(content: bytes) -> ByteArray:
    """An array in IDX format: two zero bytes, the type (8: unsigned byte), the rank, the sizes (big-endian), the data."""
    rank = content[3]
    shape = np.frombuffer(content, dtype=">u4", count=rank, offset=4).astype(np.int64)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


def _find(file: str) -> bytes:
    """The decompressed content of a data file, from the first place that has it."""
    for folder in _folders():
        if (path := folder / file).is_file():
            return _verified(path, file)
    if asked := os.environ.get("EXPFAM_GAME_DATA"):
        what = "does not hold the file" if Path(asked).is_dir() else "is no folder, so it does not hold"
        raise DataNotFound(
            f"the environment variable EXPFAM_GAME_DATA points to {asked}, which {what} {file}. Point it to a folder that "
            "holds that file, or unset it to have the file looked for elsewhere and downloaded"
        )
    return _verified(_download(file), file)


def _folders() -> list[Path]:
    """Where to look, best first, without repetitions: where the user says, and otherwise in the usual places."""
    if asked := os.environ.get("EXPFAM_GAME_DATA"):
        return [Path(asked)]
    folders = []
    source = Path(__file__).resolve().parents[1]
    if (source / "pyproject.toml").is_file():
        folders.append(source.parent / "shared" / "data")
    folders += [Path.cwd().parent / "shared" / "data", _cache()]
    return list(dict.fromkeys(folders))


def _cache() -> Path:
    """The folder for cached data that the operating system intends for this user."""
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "expfam-game"


def _verified(path: Path, file: str) -> bytes:
    packed = path.read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != _SHA256[file]:
        raise InvalidData(
            f"{path} is corrupted: its SHA-256 is {found}, published is {_SHA256[file]}. Delete it, and it will be "
            "looked for elsewhere or downloaded again"
        )
    return gzip.decompress(packed)


def _download(file: str) -> Path:
    try:
        import pooch
    except ImportError:
        raise MissingExtra("pooch", "data", f"{_not_found(file)}. Downloading it") from None
    name, _, base = file.partition("/")
    url = _MIRRORS[name] + base
    try:
        path = pooch.retrieve(url, known_hash=f"sha256:{_SHA256[file]}", fname=base, path=_cache() / name)
    except (OSError, ValueError) as problem:
        raise DataNotFound(
            f"{_not_found(file)}, and it could not be downloaded from {url} ({_reason(problem)}). Set the environment variable "
            f"EXPFAM_GAME_DATA to a folder that holds {file}"
        ) from problem
    return Path(path)


def _reason(problem: Exception) -> str:
    """What went wrong, without the nested representations that network libraries write."""
    text = str(problem)
    return text if len(text) <= 120 and "object at 0x" not in text else type(problem).__name__


def _not_found(file: str) -> str:
    return f"{file} was not found in any of {', '.join(map(str, _folders()))} (EXPFAM_GAME_DATA is not set)"
