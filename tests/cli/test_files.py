"""Game files, data files and saved solutions: every format, every complaint."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import expfam_game as eg
from expfam_game import errors
from expfam_game.files import (
    load_array,
    load_game,
    load_solution,
    load_weights,
    save_solution,
)
from expfam_game.files.games import FAMILY_NAMES

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROWS = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])

GAME = """
[family]
name = "Bernoulli"
dim = 3

[weights]
topology = "complete"
n_agents = 2
self_weight = 0.4

[data]
files = ["a.csv", "b.npy"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a game of two agents."""
    np.savetxt(tmp_path / "a.csv", ROWS, delimiter=",", fmt="%d")
    np.save(tmp_path / "b.npy", 1.0 - ROWS)
    (tmp_path / "game.toml").write_text(GAME)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "game.toml"
    file.write_text(text, encoding="utf-8")
    return file


# ---------------------------------------------------------------------- arrays


def save_parquet(path: Path, rows: np.ndarray) -> None:
    parquet.write_table(pyarrow.table({f"c{k}": column for k, column in enumerate(rows.T)}), path)


WRITERS = {
    "plain.csv": lambda path: np.savetxt(path, ROWS, delimiter=","),
    "header.csv": lambda path: np.savetxt(path, ROWS, delimiter=",", header="u,v,w", comments=""),
    "quoted.csv": lambda path: path.write_text(
        '"u","v","w"\n' + "\n".join(",".join(f'"{x}"' for x in r) for r in ROWS)
    ),
    "semicolon.csv": lambda path: np.savetxt(path, ROWS, delimiter=";"),
    "bom.csv": lambda path: path.write_bytes(b"\xef\xbb\xbf1,0,1\r\n0,0,1\r\n\r\n1,1,0\r\n1,0,0\r\n"),
    "sharp.csv": lambda path: path.write_text('"u #1","v #2",w\n1,0,1\n0,0,1 # c\n1,1,0\n1,0,0\n'),
    "upper.CSV": lambda path: np.savetxt(path, ROWS, delimiter=","),
    "tabs.tsv": lambda path: np.savetxt(path, ROWS, delimiter="\t"),
    "blanks.txt": lambda path: path.write_text("# a comment\n1  0 1\n0 0 1 # another\n\n1 1 0\n1 0 0\n"),
    "array.npy": lambda path: np.save(path, ROWS),
    "small.npy": lambda path: np.save(path, ROWS.astype(np.uint8)),
    "one.npz": lambda path: np.savez(path, x=ROWS),
    "columns.parquet": lambda path: save_parquet(path, ROWS),
    "bools.parquet": lambda path: save_parquet(path, ROWS.astype(bool)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_array(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    np.testing.assert_array_equal(load_array(tmp_path / name), ROWS)


def test_an_ending_in_capitals(tmp_path: Path) -> None:
    save_parquet(tmp_path / "a.PARQUET", ROWS)
    np.testing.assert_array_equal(load_array(tmp_path / "a.PARQUET"), ROWS)


def test_a_table_with_a_header_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("u,v\n")
    assert load_array(tmp_path / "a.csv").shape == (0, 2)


def test_npy_is_memory_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    assert isinstance(load_array(tmp_path / "a.npy"), np.memmap)


def test_a_named_array_of_an_npz_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", x=ROWS, y=ROWS + 1)
    np.testing.assert_array_equal(load_array(f"{tmp_path}/two.npz:y"), ROWS + 1)


def test_lists_of_fixed_size_in_parquet(tmp_path: Path) -> None:
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(ROWS.ravel()), 3)
    parquet.write_table(pyarrow.table({"image": column}), tmp_path / "lists.parquet")
    np.testing.assert_array_equal(load_array(tmp_path / "lists.parquet"), ROWS)


def test_files_longer_than_a_batch(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 9, (150_000, 1)).astype(float)
    np.savetxt(tmp_path / "long.csv", rows, fmt="%d")
    save_parquet(tmp_path / "long.parquet", rows)
    np.testing.assert_array_equal(load_array(tmp_path / "long.csv"), rows)
    np.testing.assert_array_equal(load_array(tmp_path / "long.parquet"), rows)


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


BAD_ARRAYS = {
    "missing.csv": (None, "there is no such file"),
    "a.xlsx": (lambda p: p.write_text("1"), "ending '.xlsx' is unknown; it must be one of .csv"),
    "empty.csv": (lambda p: p.write_text("# only a comment\n"), "the file is empty"),
    "word.csv": (lambda p: p.write_text("1,2\n\n3,four\n"), "line 3, column 2: 'four' is not a number"),
    "cell.csv": (lambda p: p.write_text("1,2\n3,\n"), "line 2, column 2: the cell is empty"),
    "gap.csv": (
        lambda p: p.write_text("1,,2\n3,4,5\n"),
        "line 1, column 2: the cell is empty; in a header, no name may",
    ),
    "NA.csv": (lambda p: p.write_text("1,NA\n3,4\n"), "line 1, column 2: 'NA' is not a number; in a header"),
    "end.csv": (lambda p: p.write_text("a,b,\n3,4,5\n"), "line 1, column 1: 'a' is not a number; in a header"),
    "zero.csv": (lambda p: p.write_text("1,2\n3,4\0\n"), "line 2, column 2"),
    "ragged.csv": (lambda p: p.write_text("1,2\n3,4,5\n"), "line 2 has 3 columns, but the first line has 2"),
    "narrow.csv": (lambda p: p.write_text("a,b\n3\n4\n"), "line 2 has 1 columns, but the first line has 2"),
    "pandas.csv": (lambda p: p.write_text(",a,b\n0,1,2\n"), "row numbers that pandas writes"),
    "latin.csv": (lambda p: p.write_bytes(b"gr\xfc\xdfe\n1\n"), "not a text file in UTF-8"),
    "torn.npy": (lambda p: p.write_bytes(b"\x93NUMPY"), "cannot be read as NPY"),
    "torn.npz": (lambda p: p.write_bytes(b"PK"), "cannot be read as NPZ"),
    "torn.parquet": (lambda p: p.write_bytes(b"PAR1"), "cannot be read as PARQUET"),
    "words.npy": (lambda p: np.save(p, np.array(["a", "b"])), "must hold numbers, but its dtype is <U1"),
    "objects.npy": (
        lambda p: np.save(p, np.array([{}, 1], dtype=object)),
        "cannot be read as NPY: it is no NPY file, or it holds Python objects; write an array of numbers with numpy.save",
    ),
    "text.npy": (lambda p: p.write_text("1,2\n"), "it is no NPY file, or it holds Python objects"),
    "text.npz": (lambda p: p.write_text("1,2\n"), "let the name end in what the file is, say .csv"),
    "half.npz": (lambda p: np.savez(p, x=ROWS) or p.write_bytes(p.read_bytes()[:-80]), "cannot be read as NPZ"),
    "array.npz": (lambda p: p.write_bytes(npy_bytes(ROWS)), "it is a single array; let its name end in .npy"),
    "two.npz": (lambda p: np.savez(p, x=ROWS, y=ROWS), "it holds the arrays x, y; choose one as two.npz:NAME"),
    "words.parquet": (
        lambda p: parquet.write_table(pyarrow.table({"who": ["a", "b"]}), p),
        "column 'who' has type string; it must hold numbers",
    ),
    "nulls.parquet": (
        lambda p: parquet.write_table(pyarrow.table({"x": [1.0, None]}), p),
        "column 'x' has empty cells",
    ),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_complaints_about_arrays(tmp_path: Path, name: str) -> None:
    write, message = BAD_ARRAYS[name]
    if write is not None:
        write(tmp_path / name)
    with pytest.raises(errors.InvalidInput, match=re.escape(message)) as caught:
        load_array(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "pickle" not in str(caught.value)


def test_an_npz_name_that_is_not_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", x=ROWS)
    with pytest.raises(errors.InvalidInput, match="holds no array 'z', only x"):
        load_array(f"{tmp_path}/one.npz:z")


def test_a_misspelt_file_gets_a_suggestion(tmp_path: Path) -> None:
    np.save(tmp_path / "samples.npy", ROWS)
    with pytest.raises(errors.InvalidInput, match=re.escape("(did you mean 'samples.npy'?)")):
        load_array(tmp_path / "sample.npy")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_parquet(tmp_path / "a.parquet", ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(errors.MissingExtra, match=re.escape("expfam-game[parquet]")):
        load_array(tmp_path / "a.parquet")


# ---------------------------------------------------------------------- weights

ALPHA = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.25, 0.75, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
EDGES = "i,j,weight\n0,0,0.5\n0,1,0.5\n1,1,0.25\n1,2,0.75\n2,3,1\n3,3,1\n"

WEIGHT_WRITERS = {
    "matrix.csv": lambda p: np.savetxt(p, ALPHA, delimiter=","),
    "named.csv": lambda p: np.savetxt(p, ALPHA, delimiter=",", header="a,b,c,d", comments=""),
    "edges.csv": lambda p: p.write_text(EDGES),
    "arrows.csv": lambda p: p.write_text(EDGES.replace("i,j,weight", "from,to,trust")),
    "sparse.npz": lambda p: sparse.save_npz(p, sparse.csr_array(ALPHA)),
    "dense.npz": lambda p: np.savez(p, alpha=ALPHA),
    "dense.npy": lambda p: np.save(p, ALPHA),
}


@pytest.mark.parametrize("name", WEIGHT_WRITERS)
def test_every_format_gives_the_same_weights(tmp_path: Path, name: str) -> None:
    WEIGHT_WRITERS[name](tmp_path / name)
    np.testing.assert_array_equal(load_weights(tmp_path / name).to_dense(), ALPHA)


def test_relative_edges_are_scaled(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("I,J,Weight\n0,1,2\n1,0,6\n1,2,2\n")
    weights = load_weights(tmp_path / "e.csv", n_agents=3, self_weight=0.5)
    np.testing.assert_array_equal(weights.to_dense(), [[0.5, 0.5, 0], [0.375, 0.5, 0.125], [0, 0, 1]])


BAD_WEIGHTS = {
    "sum.csv": ("0.5,0.4\n0,1\n", {}, errors.InvalidWeights, "row 0 of the weights sums to 0.9"),
    "wide.csv": ("0.5,0.5\n", {}, errors.InvalidWeights, "square matrix"),
    "unclear.csv": ("a,b,c\n1,0,0\n0,1,0\n0,0,1\n", {}, errors.InvalidInput, "may be a matrix or a list of edges"),
    "none.csv": ("i,j,weight\n", {}, errors.InvalidWeights, "the list of edges is empty"),
    "nan.csv": ("i,j,weight\n0,0,nan\n", {}, errors.InvalidWeights, "edge 0 has an entry that is not finite"),
    "half.csv": ("i,j,weight\n0,0.5,1\n", {}, errors.InvalidWeights, "agents are the integers"),
    "far.csv": (
        "i,j,weight\n0,7,1\n",
        {"n_agents": 2},
        errors.InvalidWeights,
        "edge 0, from 0 to 7: agents are the integers 0 to 1",
    ),
    "matrix.csv": ("1,0\n0,1\n", {"self_weight": 0.5}, errors.InvalidInput, "are for edge lists"),
    "headless.csv": (
        "0,0,0.5\n0,1,0.5\n1,1,0.25\n1,0,0.75\n",
        {},
        errors.InvalidWeights,
        "if this is a list of edges, its first line must be i,j,weight",
    ),
    "headless3.csv": ("0,0,1\n1,1,1\n2,2,1\n", {}, errors.InvalidWeights, "its first line must be i,j,weight"),
    "seven.csv": (
        "i,j,weight\n0,0,1\n1,1,1\n2,7,1\n",
        {},
        errors.InvalidWeights,
        "edge 2 names agent 7, so there are 8 agents, but agent 3 gives no weight to anybody",
    ),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_complaints_about_weights(tmp_path: Path, name: str) -> None:
    text, options, kind, message = BAD_WEIGHTS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(kind, match=re.escape(message)) as caught:
        load_weights(tmp_path / name, **options)
    assert name in str(caught.value)


# ---------------------------------------------------------------------- game files


def test_a_game_equals_the_one_built_in_python(folder: Path) -> None:
    game = load_game(folder / "game.toml")
    built = eg.Game(eg.families.Bernoulli(3), eg.Weights.complete(2, 0.4), [ROWS, 1 - ROWS])
    assert game.fingerprint() == built.fingerprint()
    np.testing.assert_array_equal(game.counts, [4, 4])
    np.testing.assert_array_equal(game.means[0], ROWS.mean(axis=0))


def test_pseudo_count_in_the_file_and_in_place_of_it(folder: Path) -> None:
    file = written(folder, GAME + "pseudo_count = 1.0\nprior_mean = [0.5, 0.25, 0.5]\n")
    expected = (4 * ROWS.mean(axis=0) + np.array([0.5, 0.25, 0.5])) / 5
    np.testing.assert_allclose(load_game(file).means[0], expected, rtol=1e-15)
    np.testing.assert_array_equal(load_game(file, pseudo_count=0.0).means[0], ROWS.mean(axis=0))


def test_all_data_formats_in_one_game_and_an_agent_without_data(folder: Path) -> None:
    np.savez(folder / "c.npz", ROWS)
    save_parquet(folder / "d.parquet", ROWS)
    (folder / "w.csv").write_text("i,j,weight\n0,0,1\n1,1,1\n2,2,1\n3,3,1\n4,0,1\n")
    text = GAME.replace('topology = "complete"\nn_agents = 2\nself_weight = 0.4', 'file = "w.csv"')
    file = written(folder, text.replace('"b.npy"]', '"b.npy", "c.npz", "d.parquet", ""]'))
    game = load_game(file)
    np.testing.assert_array_equal(game.counts, [4, 4, 4, 4, 0])
    np.testing.assert_array_equal(game.means[3], ROWS.mean(axis=0))


def test_a_pattern_sorts_numbers_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    for k in range(11):
        (tmp_path / "agents" / f"a{k}.csv").write_text(f"{k}\n")
    file = written(
        tmp_path,
        '[family]\nname = "Poisson"\n[weights]\ntopology = "ring"\nn_agents = 11\n[data]\nfiles = "agents/*.csv"\n',
    )
    np.testing.assert_array_equal(load_game(file).means.ravel(), np.arange(11))


def test_means_and_counts_from_files_and_in_place(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("x\n0.25\nnan\n")
    (tmp_path / "n.csv").write_text("3\n0\n")
    head = '[family]\nname = "Bernoulli"\n[weights]\nmatrix = [[0.5, 0.5], [1, 0]]\n[data]\n'
    in_files = load_game(written(tmp_path, head + 'means = "m.csv"\ncounts = "n.csv"\npseudo_count = 1\n'))
    in_place = load_game(written(tmp_path, head + "means = [[0.25], [nan]]\ncounts = [3, 0]\npseudo_count = 1\n"))
    assert in_files.fingerprint() == in_place.fingerprint()
    np.testing.assert_array_equal(in_files.means[0], [(3 * 0.25 + 0.5) / 4])


def test_rows_become_samples_of_the_family_s_shape(tmp_path: Path) -> None:
    """One column is a vector of numbers; a picture saved as a picture is flattened."""
    np.save(tmp_path / "pictures.npy", ROWS.reshape(4, 3, 1))
    (tmp_path / "column.csv").write_text("1\n2\n6\n")
    head = '[weights]\nmatrix = [[1]]\n[family]\nname = "{}"\n[data]\nfiles = ["{}"]\n'
    pictures = load_game(written(tmp_path, head.format('Bernoulli"\ndim = 3\n#', "pictures.npy")))
    np.testing.assert_array_equal(pictures.means[0], ROWS.mean(axis=0))
    column = load_game(written(tmp_path, head.format("Poisson", "column.csv")))
    np.testing.assert_array_equal(column.means, [[3.0]])


def test_weights_in_every_other_way(tmp_path: Path) -> None:
    tail = '[family]\nname = "Bernoulli"\n[data]\nmeans = [[0.2], [0.4], [0.6], [0.8]]\n'
    cases = {
        'topology = "star"\nn_agents = 4\nself_weight = [0.1, 0.2, 0.3, 0.4]': eg.Weights.star(4, [0.1, 0.2, 0.3, 0.4]),
        'topology = "ring"\nn_agents = 4\nboth_ways = true': eg.Weights.ring(4, both_ways=True),
        'topology = "grid"\nrows = 2\ncolumns = 2': eg.Weights.grid(2, 2),
        'topology = "erdos_renyi"\nn_agents = 4\nprobability = 0.5\nseed = 3': eg.Weights.erdos_renyi(4, 0.5, seed=3),
        'topology = "barabasi_albert"\nn_agents = 4\nattachments = 2\nseed = 3': eg.Weights.barabasi_albert(
            4, 2, seed=3
        ),
        "edges = [[0, 1, 1], [1, 0, 1], [2, 0, 1], [3, 0, 2]]\nself_weight = 0.5": eg.Weights.from_edges(
            [(0, 1, 1), (1, 0, 1), (2, 0, 1), (3, 0, 2)], 4, 0.5
        ),
    }
    for text, expected in cases.items():
        game = load_game(written(tmp_path, f"[weights]\n{text}\n{tail}"))
        np.testing.assert_array_equal(game.weights.to_dense(), expected.to_dense())


FAMILIES = {
    "Bernoulli": ("dim = 2", {"dim": 2}),
    "Binomial": ("trials = 7", {"trials": 7}),
    "Categorical": ("k = 3", {"k": 3}),
    "DiagonalGaussian": ("n_variables = 2", {"n_variables": 2}),
    "Dirichlet": ("k = 3", {"k": 3}),
    "Finite": ('phi = "phi.csv"', {"phi": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 3.0]]}),
    "Gaussian": ("n_variables = 2", {"n_variables": 2}),
    "Ising": ("edges = [[0, 1], [1, 2]]", {"edges": [(0, 1), (1, 2)]}),
    "KnownVarianceGaussian": ("variance = 2", {"variance": 2}),
    "Laplace": ("location = 1.5", {"location": 1.5}),
    "MarkovChain": ("k = 2\nlength = 4", {"k": 2, "length": 4}),
    "NegativeBinomial": ("r = 2.5", {"r": 2.5}),
    "Product": (
        '[[family.factors]]\nname = "Poisson"\ncopies = 2\n[[family.factors]]\nname = "Binomial"\ntrials = 3',
        {"factors": [eg.families.Poisson(), eg.families.Poisson(), eg.families.Binomial(3)]},
    ),
    "VonMisesFisher": ("n_variables = 3", {"n_variables": 3}),
    "Weibull": ("shape = 1.5", {"shape": 1.5}),
}


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_every_family_can_be_named(tmp_path: Path, name: str) -> None:
    text, arguments = FAMILIES.get(name, ("", {}))
    (tmp_path / "phi.csv").write_text("0,0\n1,0\n0,1\n2,3\n")
    expected = getattr(eg.families, name)(**arguments)
    means = [expected.reference_mean().tolist()] * 2
    head = f"[weights]\nmatrix = [[0.5, 0.5], [0.5, 0.5]]\n[data]\nmeans = {means}\n[family]\nname = '{name}'\n"
    assert load_game(written(tmp_path, head + text)).family == expected


def test_families_in_other_words(tmp_path: Path) -> None:
    head = "[weights]\nmatrix = [[1]]\n[data]\nmeans = [{}]\n[family]\n"
    (tmp_path / "e.csv").write_text("0,1\n1,2\n")
    for text, expected in {
        'name = "Ising"\ntopology = "chain"\nn = 3': eg.families.Ising.chain(3),
        'name = "Ising"\ntopology = "grid"\nrows = 2\ncolumns = 2': eg.families.Ising.grid(2, 2),
        'name = "Ising"\nedges = "e.csv"': eg.families.Ising.chain(3),
        'name = "Finite"\nphi = [0, 1, 4]\nlog_base = [0, 0, 1]': eg.families.Finite([0, 1, 4], [0, 0, 1]),
        'name = "Poisson"\ncopies = 3': eg.families.Poisson() ** 3,
        "factors = [{name = 'Poisson'}, {name = 'Beta'}]": eg.families.Product(
            [eg.families.Poisson(), eg.families.Beta()]
        ),
    }.items():
        file = written(tmp_path, head.format(expected.reference_mean().tolist()) + text)
        assert load_game(file).family == expected


def test_a_whole_number_is_the_same_parameter(tmp_path: Path) -> None:
    """Certificates are bound to a fingerprint, which must not depend on how a number is written."""
    head = '[weights]\nmatrix = [[1]]\n[data]\nmeans = [[1.0]]\n[family]\nname = "Weibull"\nshape = '
    for text, value in (("2", 2.0), ("2.0", 2), ("2", np.float64(2.0))):
        assert load_game(written(tmp_path, head + text)).family == eg.families.Weibull(value)
    assert load_game(written(tmp_path, head + "2")).family != eg.families.Weibull(2.5)


def test_the_catalogue(folder: Path) -> None:
    assert load_game("catalog:ring").fingerprint() == eg.catalog.ring().fingerprint()
    smoothed = load_game("catalog:boundary", pseudo_count=1.0)
    np.testing.assert_allclose(smoothed.means, [[(10 * 0.3 + 0.5) / 11, 0.5 / 11], [(20 * 0.6 + 0.5) / 21, 0.5 / 21]])
    with pytest.raises(errors.InvalidInput, match="pseudo_count needs the sample sizes"):
        load_game("catalog:star_one_owner", pseudo_count=1.0)


# ---------------------------------------------------------------------- complaints about game files

FAMILY = '[family]\nname = "Bernoulli"\n'
WEIGHTS = '[weights]\ntopology = "complete"\nn_agents = 2\n'
DATA = "[data]\nmeans = [[0.5], [0.5]]\n"
BERNOULLI = '[family]\nname = "Bernoulli"\ndim = 3\n'

BAD_GAMES = [
    ("[family\n", "not a valid TOML file"),
    (FAMILY + WEIGHTS, "the table [data] is missing"),
    ("family = 3\n" + WEIGHTS + DATA, "family must be a table, not 3"),
    (
        FAMILY + WEIGHTS + DATA + "[datas]\n",
        "datas: unknown key (did you mean 'data'?); the keys here are: family, weights",
    ),
    # family
    ("[family]\n" + WEIGHTS + DATA, "[family] name: the key is missing; it must be one of Bernoulli"),
    ('[family]\nname = "bernouli"\n' + WEIGHTS + DATA, "'bernouli' is unknown (did you mean 'Bernoulli'?)"),
    ('[family]\nname = "FromStatistic"\n' + WEIGHTS + DATA, "FromStatistic needs a Python function"),
    (FAMILY + "dims = 2\n" + WEIGHTS + DATA, "[family] dims: unknown key (did you mean 'dim'?)"),
    (FAMILY + "dim = 0\n" + WEIGHTS + DATA, "[family]: Bernoulli: dim is 0; it must be an integer, at least 1"),
    (FAMILY + 'dim = "3"\n' + WEIGHTS + DATA, "[family] dim: '3' is not allowed; it must be an integer"),
    (FAMILY + "dim = 1.5\n" + WEIGHTS + DATA, "[family] dim: 1.5 is not allowed; it must be an integer"),
    (FAMILY + "dim = true\n" + WEIGHTS + DATA, "[family] dim: True is not allowed"),
    (FAMILY + "copies = 0\n" + WEIGHTS + DATA, "[family] copies: 0 is not allowed; it must be at least 1"),
    (FAMILY + "copies = true\n" + WEIGHTS + DATA, "[family] copies: True is not allowed; it must be an integer"),
    ('[family]\nname = "Binomial"\n' + WEIGHTS + DATA, "[family] trials: the key is missing; Binomial needs it"),
    ('[family]\nname = "Finite"\nphi = "no.csv"\n' + WEIGHTS + DATA, "there is no such file"),
    ('[family]\nname = "Finite"\nphi = [[1, 2], [3]]\n' + WEIGHTS + DATA, "[family] phi: "),
    ('[family]\nname = "Finite"\nphi = 3\n' + WEIGHTS + DATA, "3 is not allowed; it must be an array or the name"),
    ('[family]\nname = "Ising"\nedges = [[0, 0]]\n' + WEIGHTS + DATA, "[family]: Ising: edge"),
    ('[family]\nname = "Ising"\n' + WEIGHTS + DATA, "[family] edges: the key is missing"),
    ('[family]\nname = "Ising"\ntopology = "ring"\n' + WEIGHTS + DATA, "must be one of chain, complete, grid"),
    ('[family]\nname = "Product"\n' + WEIGHTS + DATA, "a Product needs at least one table [[family.factors]]"),
    ('[family]\nname = "Product"\nfactors = [1]\n' + WEIGHTS + DATA, "family.factors[0] must be a table"),
    (
        '[family]\nname = "Product"\n[[family.factors]]\nname = "Poisson"\n[[family.factors]]\nname = "Poison"\n'
        + WEIGHTS
        + DATA,
        "[family.factors[1]] name: 'Poison' is unknown (did you mean 'Poisson'?)",
    ),
    # weights
    (
        FAMILY + "[weights]\n" + DATA,
        "[weights] give exactly one of topology, file, matrix, edges; none of them is there",
    ),
    (FAMILY + WEIGHTS + 'file = "w.csv"\n' + DATA, "both topology and file are there"),
    (FAMILY + WEIGHTS.replace("complete", "comlete") + DATA, "(did you mean 'complete'?); it must be one of barabasi"),
    (
        FAMILY + '[weights]\ntopology = "erdos_renyi"\nn_agents = 2\np = 0.5\nseed = 0\n' + DATA,
        "p: unknown key (did you mean 'probability'?); the keys here are: topology, n_agents, probability, self_weight",
    ),
    (FAMILY + WEIGHTS + "self_wieght = 0.5\n" + DATA, "self_wieght: unknown key (did you mean 'self_weight'?)"),
    (FAMILY + WEIGHTS + "self_weight = 2\n" + DATA, "[weights]: the self-weight of agent 0 is 2.0"),
    (FAMILY + WEIGHTS + 'self_weight = ["a", "b"]\n' + DATA, "[weights]: "),
    (FAMILY + WEIGHTS.replace("= 2", "= -2") + DATA, "n_agents: -2 is not allowed; it must be at least 1"),
    (FAMILY + WEIGHTS.replace("= 2", "= 10_000_000") + DATA, "larger than the memory"),
    (FAMILY + '[weights]\ntopology = "ring"\n' + DATA, "[weights] n_agents: the key is missing; ring needs it"),
    (
        FAMILY + '[weights]\ntopology = "erdos_renyi"\nn_agents = 2\nprobability = 2\nseed = 0\n' + DATA,
        "probability: 2 is not allowed; a probability is at most 1",
    ),
    (
        FAMILY + '[weights]\ntopology = "erdos_renyi"\nn_agents = 2\nprobability = 0.5\nseed = -1\n' + DATA,
        "seed: -1 is not allowed; it must be at least 0",
    ),
    (
        FAMILY + '[weights]\ntopology = "barabasi_albert"\nn_agents = 2\nattachments = 2\nseed = 0\n' + DATA,
        "attachments: 2 must be less than n_agents",
    ),
    (FAMILY + '[weights]\nfile = "gone.csv"\n' + DATA, "[weights] file: "),
    (FAMILY + "[weights]\nfile = 3\n" + DATA, "[weights] file: 3 must be the name of a file"),
    (FAMILY + '[weights]\nfile = "gone.csv"\nn_agents = 0\n' + DATA, "n_agents: 0 is not allowed"),
    (FAMILY + '[weights]\nfile = "gone.csv"\nseed = 0\n' + DATA, "seed: unknown key"),
    (
        FAMILY + "[weights]\nmatrix = [[0.5, 0.4], [0, 1]]\n" + DATA,
        "[weights] matrix: row 0 of the weights sums to 0.9",
    ),
    (FAMILY + "[weights]\nmatrix = [[1, 0], [1]]\n" + DATA, "[weights] matrix: "),
    (FAMILY + "[weights]\nmatrix = true\n" + DATA, "[weights] matrix: True is not allowed; it must be a list of"),
    (FAMILY + "[weights]\nedges = [[0, 1]]\n" + DATA, "[weights] edges: it must be a list of [i, j, weight]"),
    # data
    (FAMILY + WEIGHTS + "[data]\n", "[data] give exactly one of files, means; none of them is there"),
    (FAMILY + WEIGHTS + DATA + 'files = "*.csv"\n', "both files and means are there"),
    (FAMILY + WEIGHTS + DATA + "pseudocount = 1\n", "pseudocount: unknown key (did you mean 'pseudo_count'?)"),
    (FAMILY + WEIGHTS + DATA + "pseudo_count = 1\n", "[data]: pseudo_count needs the sample sizes"),
    (FAMILY + WEIGHTS + DATA + 'pseudo_count = "1"\n', "pseudo_count: '1' is not allowed; it must be a number"),
    (FAMILY + WEIGHTS + DATA + "counts = [1, 1]\npseudo_count = -1\n", "[data]: pseudo_count is -1"),
    (FAMILY + WEIGHTS + DATA + "counts = [1]\n", "[data]: counts must be 2 non-negative integers"),
    (FAMILY + WEIGHTS + "[data]\nmeans = [[0.5]]\n", "[data]: means must have shape (n_agents, dim) = (2, 1)"),
    (FAMILY + WEIGHTS + "[data]\nmeans = [[0.5], [1.5]]\n", "[data]: means: the row of agent 1"),
    (FAMILY + WEIGHTS + "[data]\nmeans = [[0.5], ['a']]\n", "[data] means: "),
    (FAMILY + WEIGHTS + "[data]\nmeans = [[0.5], [nan]]\n", "[data]: agent 1 has no mean"),
    (FAMILY + WEIGHTS + "[data]\nfiles = 3\n", "[data] files: it must be a list of file names or a pattern"),
    (FAMILY + WEIGHTS + '[data]\nfiles = "x*.csv"\n', "[data] files: no file matches 'x*.csv'"),
    (FAMILY + WEIGHTS + '[data]\nfiles = ""\n', "[data] files: no file matches ''"),
    (
        FAMILY + WEIGHTS + '[data]\nfiles = ["a.csv"]\n',
        "[data] files: 1 files for 2 agents: the weights name agents 0 to 1",
    ),
    (FAMILY + WEIGHTS + '[data]\nfiles = ["a.csv", 1]\n', "[data] files[1]: 1 must be the name of a file"),
    (FAMILY + WEIGHTS + '[data]\nfiles = ["a.csv", "b.csv"]\n', "b.csv: there is no such file"),
    (FAMILY + WEIGHTS + '[data]\nfiles = ["a.csv", "baad.csv"]\n', "there is no such file (did you mean 'bad.csv'?)"),
    (
        FAMILY + WEIGHTS + '[data]\nfiles = ["a.csv", "b.npy"]\ncounts = [1, 1]\n',
        "[data] counts: sample sizes are read",
    ),
    (
        BERNOULLI + WEIGHTS + '[data]\nfiles = ["a.csv", ""]\n',
        "[data]: agent 1 has no data, but its self-weight is 0.5",
    ),
    (
        BERNOULLI + WEIGHTS + '[data]\nfiles = ["a.csv", "bad.csv"]\n',
        "[data] files[1], bad.csv: agent 1: value of sample 1",
    ),
    (BERNOULLI + WEIGHTS + '[data]\nfiles = ["a.csv", "wide.csv"]\n', "[data] files[1], wide.csv: agent 1: samples of"),
    (BERNOULLI + WEIGHTS + '[data]\nfiles = ["a.csv", "word.csv"]\n', "line 2, column 1: 'x' is not a number"),
    (
        BERNOULLI + WEIGHTS + '[data]\nfiles = ["a.csv", "b.npy"]\nprior_mean = [0, 0, 0]\npseudo_count = 1\n',
        "[data]: ",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD_GAMES)
def test_complaints_about_game_files(folder: Path, text: str, message: str) -> None:
    (folder / "bad.csv").write_text("0,1,0\n0,2,0\n")
    (folder / "wide.csv").write_text("0,1\n0,1\n")
    (folder / "word.csv").write_text("0,1,0\nx,1,0\n")
    file = written(folder, text)
    with pytest.raises(errors.InvalidInput, match=re.escape(message)) as caught:
        load_game(file)
    assert str(file) in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_game_file_that_is_not_there(folder: Path) -> None:
    with pytest.raises(errors.InvalidInput, match=re.escape("no such game file (did you mean 'game.toml'?)")):
        load_game(folder / "gme.toml")
    (folder / "bad.toml").touch()
    for name, message in (
        ("fine.toml", "fine.toml: there is no such game file"),
        (".", "this is a folder, not a game file"),
        ("nowhere/game.toml", "nowhere does not exist"),
        ("/dev/null", "this is not a regular file"),
    ):
        with pytest.raises(errors.InvalidInput, match=re.escape(message)) as caught:
            load_game(folder / name)
        assert "did you mean" not in str(caught.value)
    with pytest.raises(errors.InvalidInput, match="the game of the catalogue is catalog:ring"):
        load_game("ring")
    with pytest.raises(errors.InvalidInput, match=re.escape("'rings' in the catalogue (did you mean 'ring'?)")):
        load_game("catalog:rings")


def test_an_encoding_other_than_utf8(tmp_path: Path) -> None:
    (tmp_path / "game.toml").write_bytes(b"# gr\xfc\xdfe\n")
    with pytest.raises(errors.InvalidInput, match="not a valid TOML file"):
        load_game(tmp_path / "game.toml")


# ---------------------------------------------------------------------- solutions


@pytest.mark.parametrize(
    "solver", [None, eg.solvers.Contraction(), eg.solvers.SampledPlay(n_samples=50, rounds=20, seed=1)]
)
def test_a_solution_survives_the_disk(tmp_path: Path, solver: eg.solvers.Solver | None) -> None:
    game = eg.catalog.ring(4)
    solution = eg.solve(game, solver, history=True, observe=lambda step, mean: float(mean.sum()))
    archive, summary = save_solution(tmp_path / "out", game, solution)
    assert (archive.name, summary.name) == ("out.npz", "out.json")
    loaded = load_solution(archive, game)
    for name in ("mean", "natural", "regret", "error_bound"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(solution, name))
    for name in ("status", "steps", "solver", "message"):
        assert getattr(loaded, name) == getattr(solution, name)
    assert loaded.history is not None
    assert solution.history is not None
    np.testing.assert_array_equal(loaded.history.error_bound, solution.history.error_bound)
    assert loaded.history.observed == solution.history.observed
    assert (loaded.noise is None) == (solution.noise is None)
    if loaded.noise is not None and solution.noise is not None:
        assert loaded.noise.ratio == solution.noise.ratio
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.json", "out.npz"]


def test_a_solution_without_history(tmp_path: Path) -> None:
    game = eg.catalog.two_agents()
    archive, _ = save_solution(tmp_path / "out.npz", game, eg.solve(game))
    assert load_solution(archive).history is None


def test_the_summary_for_people(tmp_path: Path) -> None:
    game = eg.catalog.two_agents(0.5)
    _, summary = save_solution(tmp_path / "run.1", game, eg.solve(game))
    assert summary.name == "run.1.json"
    content = json.loads(summary.read_text(encoding="utf-8"))
    assert content["status"] == "CONVERGED"
    assert content["game_fingerprint"] == game.fingerprint()
    assert content["versions"]["expfam_game"] == eg.__version__
    np.testing.assert_allclose(content["agents"][0]["mean"]["x[0]"], 5 / 12, rtol=1e-14)


def test_a_failed_solution_is_saved_with_null_for_nan(tmp_path: Path) -> None:
    game = eg.catalog.boundary()
    archive, summary = save_solution(tmp_path / "out", game, eg.solve(game, throw=False))
    assert json.loads(summary.read_text())["max_regret_nats"] is None
    assert load_solution(archive).status is eg.Status.BOUNDARY


def damaged(folder: Path, **changes: np.ndarray | None) -> Path:
    """A saved solution with some of its arrays replaced or left out."""
    game = eg.catalog.two_agents()
    archive, _ = save_solution(folder / "good", game, eg.solve(game))
    with np.load(archive) as arrays:
        content = {name: arrays[name] for name in arrays.files} | changes
    np.savez(folder / "bad.npz", **{name: array for name, array in content.items() if array is not None})
    return folder / "bad.npz"


def metadata(**changes: object) -> np.ndarray:
    content = {"format": 1, "status": "CONVERGED", "steps": 1, "solver": "", "message": ""} | changes
    return np.array(json.dumps({key: value for key, value in content.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"natural": None}, "saved by expfam-game solve (save_solution in Python): natural is missing"),
        ({"metadata": None}, "saved by expfam-game solve (save_solution in Python): metadata is missing"),
        ({"metadata": np.array("{")}, "the metadata of the saved solution cannot be read"),
        ({"metadata": metadata(format=9)}, "saved in layout 9, but this version reads layout 1"),
        ({"metadata": metadata(status="FINE")}, "the saved solution is damaged: KeyError('FINE')"),
        ({"metadata": metadata(steps=None)}, "the saved solution is damaged: KeyError('steps')"),
        ({"natural": np.zeros((3, 1))}, "the shapes of its arrays do not agree"),
        ({"mean": np.zeros(2)}, "the shapes of its arrays do not agree"),
        ({"noise_observed": np.zeros((2, 1))}, "damaged: KeyError('noise_rounds')"),
        ({"history_steps": np.zeros(1)}, "damaged: KeyError('history_error_bound')"),
    ],
)
def test_complaints_about_damaged_solutions(tmp_path: Path, changes: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(errors.InvalidInput, match=re.escape(message)):
        load_solution(damaged(tmp_path, **changes))


def test_other_complaints_about_solutions(tmp_path: Path) -> None:
    game = eg.catalog.two_agents(0.5)
    archive, _ = save_solution(tmp_path / "good", game, eg.solve(game))
    with pytest.raises(errors.InvalidInput, match="is of another game"):
        load_solution(archive, eg.catalog.two_agents(0.4))
    with pytest.raises(errors.InvalidInput, match="has 2 agents and 1 statistics, the game has 8 and 1"):
        load_solution(archive, eg.catalog.ring())
    with pytest.raises(errors.InvalidInput, match=re.escape("no such solution file (did you mean 'good.npz'?)")):
        load_solution(tmp_path / "god.npz")
    (tmp_path / "torn.npz").write_bytes(b"PK")
    (tmp_path / "cert.json").write_text("{}")
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY\x01")
    (tmp_path / "half.npz").write_bytes(archive.read_bytes()[:-100])
    (tmp_path / "empty.npz").touch()
    for name in ("torn.npz", "cert.json", "torn.npy", "half.npz", "empty.npz"):
        with pytest.raises(errors.InvalidInput, match="not a solution saved by expfam-game solve") as caught:
            load_solution(tmp_path / name)
        assert "pickle" not in str(caught.value)
    np.save(tmp_path / "array.npy", ROWS)
    with pytest.raises(errors.InvalidInput, match="it holds one array"):
        load_solution(tmp_path / "array.npy")
    with pytest.raises(errors.InvalidInput, match="cannot be written"):
        save_solution(tmp_path / "nowhere" / "out", game, eg.solve(game))
