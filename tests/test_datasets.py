"""Data sets: contents against published facts, splits against their definitions, and every failure."""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pytest

from expfam_game import datasets
from expfam_game.errors import DataNotFound, InvalidData, InvalidInput, MissingExtra

ALL_FILES = list(datasets._SHA256)


def _available(name: str) -> bool:
    return any(
        all((folder / file).is_file() for file in ALL_FILES if file.startswith(f"{name}/"))
        for folder in datasets._folders()
    )


needs_mnist = pytest.mark.skipif(not _available("mnist"), reason="the MNIST files are not on this machine")
needs_fashion = pytest.mark.skipif(not _available("fashion-mnist"), reason="the Fashion-MNIST files are not here")


def test_digits_is_scikit_learns_data_thresholded():
    from sklearn.datasets import load_digits

    raw = load_digits()
    images, labels = datasets.digits()
    assert images.dtype == np.uint8
    assert np.array_equal(images, raw.data > 8)
    assert np.array_equal(labels, raw.target)
    grey, _ = datasets.digits(threshold=None)
    assert np.array_equal(grey, raw.data)
    assert np.array_equal(datasets.digits(threshold=0)[0], raw.data > 0)


@needs_mnist
def test_mnist_has_the_published_counts_and_pixel_statistics():
    grey, labels = datasets.mnist("train", threshold=None)
    assert grey.shape == (60000, 784)
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(labels).tolist() == published
    assert grey.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert grey.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    images, labels = datasets.mnist("test")
    assert images.shape == (10000, 784)
    assert set(np.unique(images)) == {0, 1}
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs_fashion
def test_fashion_mnist_has_the_published_counts():
    grey, labels = datasets.fashion_mnist("test", threshold=None)
    assert grey.shape == (10000, 784)
    assert np.bincount(labels).tolist() == [1000] * 10
    images, _ = datasets.fashion_mnist("test", threshold=100)
    assert np.array_equal(images, grey > 100)


@pytest.fixture
def small_idx(tmp_path, monkeypatch):
    """Three images of 2 × 2 pixels published as a data set of their own, and nothing else in reach."""
    images = bytes([0, 0, 8, 3]) + b"".join(k.to_bytes(4, "big") for k in (3, 2, 2)) + bytes(range(0, 240, 20))
    labels = bytes([0, 0, 8, 1]) + (3).to_bytes(4, "big") + bytes([7, 8, 9])
    folder = tmp_path / "given" / "mnist"
    folder.mkdir(parents=True)
    sums = {}
    for base, content in (("train-images-idx3-ubyte.gz", images), ("train-labels-idx1-ubyte.gz", labels)):
        packed = gzip.compress(content, mtime=0)
        (folder / base).write_bytes(packed)
        sums[f"mnist/{base}"] = datasets.hashlib.sha256(packed).hexdigest()
    monkeypatch.setattr(datasets, "_SHA256", sums)
    monkeypatch.setattr(datasets, "_cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "site-packages" / "expfam_game" / "datasets.py"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("EXPFAM_GAME_DATA", raising=False)
    return tmp_path


def test_environment_variable_names_the_folder(small_idx, monkeypatch):
    monkeypatch.setenv("EXPFAM_GAME_DATA", str(small_idx / "given"))
    images, labels = datasets.mnist("train", threshold=None)
    assert images.tolist() == [[0, 20, 40, 60], [80, 100, 120, 140], [160, 180, 200, 220]]
    assert labels.tolist() == [7, 8, 9]
    binary, _ = datasets.mnist("train", threshold=100)
    assert binary.tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize("place", ["beside the repository", "beside the current directory", "cache"])
def test_every_place_is_searched(small_idx, monkeypatch, place):
    target = {
        "beside the repository": small_idx / "elsewhere" / "shared" / "data",
        "beside the current directory": small_idx / "shared" / "data",
        "cache": small_idx / "cache",
    }[place]
    target.parent.mkdir(parents=True, exist_ok=True)
    (small_idx / "given").rename(target)
    if place == "beside the repository":
        source = small_idx / "elsewhere" / "main"
        (source / "expfam_game").mkdir(parents=True)
        (source / "pyproject.toml").touch()
        monkeypatch.setattr(datasets, "__file__", str(source / "expfam_game" / "datasets.py"))
    assert datasets.mnist("train")[1].tolist() == [7, 8, 9]


def test_corrupted_file_is_an_error(small_idx, monkeypatch):
    monkeypatch.setenv("EXPFAM_GAME_DATA", str(small_idx / "given"))
    path = small_idx / "given" / "mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidData, match=r"train-labels.*is corrupted: its SHA-256 is"):
        datasets.mnist("train")


def test_not_found_lists_every_place(small_idx, monkeypatch):
    import pooch

    def no_network(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", no_network)
    with pytest.raises(DataNotFound) as caught:
        datasets.mnist("train")
    message = str(caught.value)
    for place in (small_idx / "shared" / "data", small_idx / "cache"):
        assert str(place) in message
    assert "https://ossci-datasets" in message
    assert "no network" in message
    assert "EXPFAM_GAME_DATA is not set" in message


def test_long_reasons_of_the_network_are_named_only(small_idx, monkeypatch):
    import pooch

    def no_network(*args, **kwargs):
        raise ConnectionError("HTTPSConnectionPool(<object at 0x7f>) " * 5)

    monkeypatch.setattr(pooch, "retrieve", no_network)
    with pytest.raises(
        DataNotFound, match=r"could not be downloaded from \S+ \(ConnectionError\)\. Set the environment"
    ):
        datasets.mnist("train")


def test_a_variable_that_points_elsewhere_downloads_nothing(small_idx, monkeypatch):
    import pooch

    monkeypatch.setattr(pooch, "retrieve", lambda *args, **kwargs: pytest.fail("a silent download"))
    (small_idx / "given").rename(small_idx / "cache")
    (small_idx / "empty").mkdir()
    for folder, what in (("nothing", "is no folder"), ("empty", "does not hold the file mnist/train-images")):
        monkeypatch.setenv("EXPFAM_GAME_DATA", str(small_idx / folder))
        with pytest.raises(DataNotFound, match=f"EXPFAM_GAME_DATA points to {small_idx / folder}, which {what}"):
            datasets.mnist("train")


def test_download_goes_to_the_cache_with_its_checksum(small_idx, monkeypatch):
    import pooch

    asked = []

    def retrieve(url, known_hash, fname, path):
        asked.append((url, known_hash, path))
        return str(small_idx / "given" / "mnist" / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert datasets.mnist("train")[1].tolist() == [7, 8, 9]
    assert all(path == small_idx / "cache" / "mnist" for _, _, path in asked)
    assert {known for _, known, _ in asked} == {f"sha256:{value}" for value in datasets._SHA256.values()}


def test_missing_extras_are_named(small_idx, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtra, match=r"expfam-game\[data\]"):
        datasets.mnist("train")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"scikit-learn.*expfam-game\[data\]"):
        datasets.digits()


def test_user_cache_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    for platform, folder in (("linux", tmp_path / "xdg"), ("win32", tmp_path / "local")):
        monkeypatch.setattr(datasets.sys, "platform", platform)
        assert datasets._cache() == folder / "expfam-game"
    monkeypatch.setattr(datasets.sys, "platform", "darwin")
    assert datasets._cache().parent.name == "Caches"


@pytest.mark.parametrize("threshold", [-1, 16, 99])
def test_threshold_out_of_range(threshold):
    with pytest.raises(InvalidInput, match="it must be None or lie in 0 … 15"):
        datasets.digits(threshold=threshold)


def test_unknown_split():
    with pytest.raises(InvalidInput, match="'train' or 'test'"):
        datasets.mnist("validation")


@pytest.mark.parametrize("concentration", [1e-3, 0.1, 1.0, 1e3])
def test_label_skew_is_a_partition_that_leaves_nobody_empty(concentration):
    labels = np.random.default_rng(1).integers(0, 10, size=997)
    parts = datasets.split_by_label_skew(labels, 40, concentration, seed=3)
    assert len(parts) == 40
    assert min(map(len, parts)) >= 1
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(997))
    assert all(np.all(np.diff(part) > 0) for part in parts)


def test_label_skew_grows_as_the_concentration_falls():
    labels = np.repeat(np.arange(10), 500)

    def entropy(concentration):
        parts = datasets.split_by_label_skew(labels, 10, concentration, seed=0)
        shares = np.array([np.bincount(labels[part], minlength=10) / len(part) for part in parts])
        return float(-np.sum(np.where(shares > 0, shares * np.log(np.maximum(shares, 1e-300)), 0.0)) / 10)

    strong, middle, none = entropy(0.05), entropy(1.0), entropy(1e5)
    assert strong < middle < none
    assert none == pytest.approx(np.log(10), abs=0.01)


def test_label_skew_shares_follow_the_dirichlet_law():
    """The share of one agent in one label is Beta(c, (n − 1) c): mean 1/n, variance (n − 1)/(n² (n c + 1))."""
    c, n, draws = 2.0, 4, 800
    labels = np.zeros(1000, dtype=int)
    shares = np.array([[len(p) / 1000 for p in datasets.split_by_label_skew(labels, n, c, s)] for s in range(draws)])
    variance = (n - 1) / (n**2 * (n * c + 1))
    assert np.all(np.abs(shares.mean(axis=0) - 1 / n) < 7 * np.sqrt(variance / draws))
    # The squared deviation is at most 9/16, so its variance is at most 9/16 of its mean.
    assert np.all(np.abs(shares.var(axis=0) - variance) < 7 * np.sqrt(9 / 16 * variance / draws))


def test_label_skew_is_reproducible():
    labels = np.arange(50) % 5
    one = datasets.split_by_label_skew(labels, 3, 0.5, seed=11)
    two = datasets.split_by_label_skew(labels, 3, 0.5, seed=np.random.SeedSequence(11))
    other = datasets.split_by_label_skew(labels, 3, 0.5, seed=12)
    assert all(np.array_equal(a, b) for a, b in zip(one, two))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other))


def test_as_many_agents_as_samples():
    parts = datasets.split_by_label_skew(np.zeros(7, dtype=int), 7, 0.01, seed=0)
    assert sorted(len(part) for part in parts) == [1] * 7


@pytest.mark.parametrize(
    ("labels", "n_agents", "concentration", "message"),
    [
        ([0, 1], 3, 1.0, "from 1 to the number of samples, 2"),
        ([0, 1], 0, 1.0, "n_agents is 0"),
        ([0, 1], True, 1.0, "n_agents is True"),
        ([0, 1], 2, 0.0, "concentration is 0.0; it must be positive"),
        ([0, 1], 2, np.inf, "positive and finite"),
        ([], 1, 1.0, "non-empty vector"),
        ([[0, 1]], 1, 1.0, "non-empty vector"),
    ],
)
def test_label_skew_refuses(labels, n_agents, concentration, message):
    with pytest.raises(InvalidInput, match=message):
        datasets.split_by_label_skew(labels, n_agents, concentration, seed=0)


def test_split_by_labels_deals_shared_labels_out():
    labels = np.array([0, 0, 0, 1, 1, 2, 3])
    parts = datasets.split_by_labels(labels, [(0, 1), (0,), (2,), ()])
    assert [part.tolist() for part in parts] == [[0, 2, 3, 4], [1], [5], []]


def test_split_by_labels_refuses_unknown_labels():
    with pytest.raises(InvalidInput, match="the label 7, which no sample has"):
        datasets.split_by_labels([0, 1], [(0,), (1, 7)])
