"""Game: data in one pass, errors that name the agent, structure for small and large games."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

import expfam_game as eg
from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter
from expfam_game.game import linear

FAMILY = eg.families.Bernoulli(2)
TWO = eg.Weights.complete(2, 0.5)


def test_means_are_the_same_from_arrays_batches_and_memory_maps(tmp_path):
    rng = np.random.default_rng(0)
    data = [rng.integers(0, 2, size=(n, 2)) for n in (40_000, 7)]
    np.save(tmp_path / "x.npy", data[0])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    batches = (chunk for chunk in np.array_split(data[0], 13))
    expected = [x.mean(axis=0) for x in data]
    for first in (data[0], mapped, batches, data[0].tolist()):
        game = eg.Game(FAMILY, TWO, [first, data[1]])
        np.testing.assert_allclose(game.means, expected, rtol=1e-15)
        np.testing.assert_array_equal(game.counts, [40_000, 7])


def test_sums_are_compensated():
    """A mean of 1 + tiny terms whose naive sum would lose them."""
    values = np.concatenate([[1e16], np.ones(3 * (1 << 14)), [-1e16]])
    game = eg.Game(eg.families.KnownVarianceGaussian(1.0), eg.Weights.from_dense([[1.0]]), [values])
    exact = float(sum(map(Fraction, values.tolist())) / len(values))
    assert game.means[0, 0] == exact


def test_agents_without_data():
    weights = eg.Weights.from_dense([[0.0, 1.0], [0.5, 0.5]])
    game = eg.Game(FAMILY, weights, [None, [[0, 1], [1, 0]]])
    np.testing.assert_allclose(eg.solve(game).mean[0, 0], 0.5)
    np.testing.assert_array_equal(game.counts, [0, 2])
    for nothing in (None, [], np.zeros((0, 2)), iter([])):
        with pytest.raises(InvalidData, match="agent 0 has no data, but its self-weight is 0.5") as caught:
            eg.Game(FAMILY, TWO, [nothing, [[0, 1]]])
        assert caught.value.agent == 0
    with pytest.raises(InvalidData, match=r"agent 1 has no mean .* self-weight is 0.5"):
        eg.Game(FAMILY, TWO, means=[[0.5, 0.5], [np.nan, np.nan]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[[0, 1]], [[0, 2]]], r"agent 1: value of sample 0, entry 1 is 2: .* 0 or 1"),
        ([[[0, 1]], [[0, np.nan]]], r"agent 1: .* must be finite"),
        ([[[0, 1]], [[0, 1, 1]]], r"agent 1: samples of Bernoulli\(dim=2\) must have shape \(\.\.\., 2\)"),
        ([[[0, 1]], 3.0], "array or an iterator of arrays, got float"),
    ],
)
def test_bad_data_names_the_agent(data, message):
    with pytest.raises(InvalidData, match=message):
        eg.Game(FAMILY, TWO, data)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("family", [eg.families.Gamma(), eg.families.DiagonalGaussian(1), eg.families.VonMises()])
def test_infinite_means_are_named(family, value):
    """By agent, statistic and value; pytest turns any warning into an error."""
    for entry, name in enumerate(family.statistic_names):
        means = np.stack([family.reference_mean()] * 2)
        means[1, entry] = value
        with pytest.raises(InvalidMeanParameter) as caught:
            eg.Game(family, TWO, means=means)
        assert (caught.value.agent, caught.value.entry) == (1, entry)
        assert "agent 1" in str(caught.value)
        assert f"entry {entry} ({name}) is {value}: it must be finite" in str(caught.value)


def test_bad_arguments():
    with pytest.raises(InvalidInput, match="either data= .* or means="):
        eg.Game(FAMILY, TWO)
    with pytest.raises(InvalidInput, match="either data= .* or means="):
        eg.Game(FAMILY, TWO, [[[0, 1]], [[0, 1]]], means=np.full((2, 2), 0.5))
    with pytest.raises(InvalidInput, match="data has 1 items, but the weights are for 2 agents"):
        eg.Game(FAMILY, TWO, [[[0, 1]]])
    with pytest.raises(InvalidMeanParameter, match=r"shape \(n_agents, dim\) = \(2, 2\), got \(2, 3\)"):
        eg.Game(FAMILY, TWO, means=np.full((2, 3), 0.5))
    with pytest.raises(
        InvalidMeanParameter,
        match=r"means: the row of agent 1 is not the average .* entry 1 \(x\[1\]\) is 1\.1: .*strictly between 0 and 1",
    ) as caught:
        eg.Game(FAMILY, TWO, means=[[0.5, 0.5], [0.5, 1.1]])
    assert (caught.value.agent, caught.value.entry) == (1, 1)
    with pytest.raises(InvalidMeanParameter, match="the row of agent 0 is not the average"):
        eg.Game(eg.families.Exponential(), TWO, means=[[-4e-7], [1.0]])
    with pytest.raises(InvalidMeanParameter, match="the row of agent 0 is not the average"):
        eg.Game(eg.families.DiagonalGaussian(1), TWO, means=[[1e-4, 0.0], [0.0, 1.0]])
    with pytest.raises(InvalidInput, match="counts must be 2 non-negative integers"):
        eg.Game(FAMILY, TWO, means=np.full((2, 2), 0.5), counts=[1, -1])
    with pytest.raises(InvalidInput, match="pseudo_count is -1"):
        eg.Game(FAMILY, TWO, means=np.full((2, 2), 0.5), counts=[1, 1], pseudo_count=-1)
    with pytest.raises(InvalidInput, match="pseudo_count needs the sample sizes"):
        eg.Game(FAMILY, TWO, means=np.full((2, 2), 0.5), pseudo_count=1)
    with pytest.raises(InvalidMeanParameter, match="strictly between 0 and 1"):
        eg.Game(FAMILY, TWO, means=np.full((2, 2), 0.5), counts=[1, 1], pseudo_count=1, prior_mean=[0.0, 0.5])
    with pytest.raises(InvalidInput, match="a profile must have shape"):
        eg.Game(FAMILY, TWO, means=np.full((2, 2), 0.5)).residual([[0.5]])


def test_a_game_cannot_be_changed_behind_its_certificate():
    game = eg.catalog.ring()
    with pytest.raises(ValueError, match="read-only"):
        game.means[0, 0] = 0.9
    other = eg.catalog.ring(self_weight=0.25)
    assert game.fingerprint() == eg.catalog.ring().fingerprint() != other.fingerprint()


@pytest.mark.parametrize("weights", [eg.Weights.ring(2500, 0.3), eg.Weights.erdos_renyi(2500, 0.01, 0.3, seed=0)])
def test_influence_of_large_games_is_an_operator(weights):
    """LU on the ring, Krylov on the random graph, against a dense solve by LAPACK."""
    means = np.random.default_rng(0).uniform(size=(weights.n_agents, 1))
    game = eg.Game(eg.families.Bernoulli(1), weights, means=means)
    operator = game.influence()
    dense = np.linalg.inv(np.eye(2500) - weights.off_diagonal.toarray()) * weights.self_weights
    y = np.random.default_rng(1).normal(size=2500)
    np.testing.assert_allclose(operator @ y, dense @ y, atol=1e-11)
    np.testing.assert_allclose(operator.T @ y, dense.T @ y, atol=1e-11)
    np.testing.assert_allclose(game.equilibrium_mean, dense @ means, atol=1e-12)
    assert game.spectral_radius == pytest.approx(0.7, rel=1e-9)


def test_krylov_and_lu_agree_where_both_are_hard():
    """A grid with self-weight 0.01: slow mixing, several statistics at once."""
    b = eg.Weights.grid(30, 30, 0.01).off_diagonal
    rhs = np.random.default_rng(0).normal(size=(900, 3))
    dense = np.linalg.solve(np.eye(900) - b.toarray(), rhs)
    scale = np.abs(dense).max()
    np.testing.assert_allclose(linear.solve_lu(b, rhs), dense, atol=1e-12 * scale)
    np.testing.assert_allclose(linear.solve_krylov(b, rhs), dense, atol=1e-11 * scale)


def test_lu_is_chosen_by_fill():
    assert linear.lu_is_cheap(eg.Weights.ring(50_000, 0.1).off_diagonal)
    assert not linear.lu_is_cheap(eg.Weights.erdos_renyi(20_000, 5e-4, 0.1, seed=0).off_diagonal)
    assert linear.lu_is_cheap(sparse.csr_array((3, 3)))


def test_catalogue():
    for name in eg.catalog.names():
        game = eg.catalog.load(name)
        assert isinstance(game, eg.Game)
        assert len(eg.catalog.describe(name)) > 20
    with pytest.raises(InvalidInput, match="no game named 'tow_agents'.*two_agents"):
        eg.catalog.load("tow_agents")
    hub = eg.solve(eg.catalog.star_one_owner())
    np.testing.assert_allclose(hub.mean, 0.3, rtol=1e-15)
    chain = eg.catalog.chain_without_data(4)
    np.testing.assert_allclose(chain.v, [4, 3, 2, 1])
    assert chain.spectral_radius == 0
    assert chain.q == 0.75


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([np.zeros((2, 5, 2)), [[0, 1]]], r"agent 0: data .* shape \(n, 2\)"),
        ([[[0, 1]], [0, 1]], r"agent 1: data .* shape \(n, 2\)"),
        ([[[0, 1]], "agent1.npy"], "agent 1: .* got str; load it first"),
        ([[[0, 1]], {0, 1}], "agent 1: .* got set"),
        ([[[0, 1]], [[0, 1], [0]]], "agent 1: data cannot be made an array"),
        ([[[0, 1]], iter([0.0, 1.0])], "agent 1: .* single float64"),
        ([[[0, 1]], np.ma.array([[0, 1]], mask=[[0, 1]])], "agent 1: samples have masked entries"),
        ([[[0, 1]], [[0, 1j]]], "agent 1: samples must be real numbers"),
        (
            [[[0, 1]], iter([[[0, 1]], [[1, 1], [0, 7]]])],
            r"agent 1: value of sample 1, entry 1 is 7.* \(row 2 of the data\)",
        ),
    ],
)
def test_data_of_the_wrong_kind_is_refused(data, message):
    with pytest.raises(InvalidData, match=message):
        eg.Game(FAMILY, TWO, data)


def test_a_column_of_scalars_counts_as_scalars_and_one_hot_rows_do_not():
    game = eg.Game(eg.families.Categorical(3), eg.Weights.from_dense([[1.0]]), [[[0], [2], [2], [1]]])
    np.testing.assert_allclose(game.means, [[0.25, 0.25]])
    with pytest.raises(InvalidData, match=r"shape \(n\), one row per sample"):
        eg.Game(eg.families.Categorical(3), eg.Weights.from_dense([[1.0]]), [np.eye(3)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: eg.Game("Bernoulli", TWO, [[[0, 1]]] * 2), "family is 'Bernoulli'; give an object"),
        (lambda: eg.Game(eg.families.Poisson, TWO, [[1], [2]]), "give an object such as families.Poisson"),
        (lambda: eg.Game(FAMILY, [[0.5, 0.5], [0.5, 0.5]], [[[0, 1]]] * 2), "must be a Weights object, got list"),
        (lambda: eg.Game(FAMILY, TWO, (x for x in [[[0, 1]]] * 2)), "one item per agent, got generator"),
        (lambda: eg.Game(FAMILY, TWO, means="a"), "means must be an array of real numbers"),
        (
            lambda: eg.Game(FAMILY, TWO, means=np.full((2, 2), 0.5), counts=["a", "b"]),
            "counts must be an array of real",
        ),
        (
            lambda: eg.Game(FAMILY, TWO, means=np.full((2, 2), 0.5), counts=[0, 2]),
            "agent 0 has no data .its count is zero",
        ),
        (lambda: eg.catalog.ring().potential(np.zeros((8, 1)), c=[1.0]), "c must be 8 positive numbers"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_trust_below_the_resolution_of_float64_is_refused():
    """Rows may sum to 1 + 1e-12, so a leak of 1e-13 may be no leak at all; 1e-17 makes I − B exactly singular."""
    slack = 5e-13
    row = [1e-13, 1 - 1e-13 + slack]
    for weights in (eg.Weights.from_dense([row, row[::-1]]), eg.Weights.complete(2, 1e-17)):
        game = eg.Game(eg.families.Bernoulli(1), weights, means=[[0.2], [0.8]])
        for call in (
            lambda game=game: game.v,
            lambda game=game: game.equilibrium_mean,
            lambda game=game: eg.solve(game),
        ):
            with pytest.raises(eg.errors.BarelyAnchored, match="larger self-weights"):
                call()


def test_spectral_radius_is_taken_component_by_component():
    """A long chain is nilpotent; a ring behind it brings its own rate; ARPACK sees neither the chain nor loners."""
    chain = eg.catalog.chain_without_data(3000)
    assert chain.spectral_radius == 0.0
    edges = [(i, i + 1, 1.0) for i in range(1500)] + [
        (1500, 1501, 0.9),
        (1500, 1500, 0.1),
        (1501, 1500, 0.4),
        (1501, 1501, 0.6),
    ]
    means = np.full((1502, 1), np.nan)
    means[1500:] = 0.5
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.from_edges(edges, 1502), means=means)
    assert game.spectral_radius == pytest.approx(0.6, rel=1e-12)


def test_rows_of_the_influence_matrix_where_attention_wanders_long():
    weights = eg.Weights.ring(5000, self_weight=1e-5, both_ways=True)
    game = eg.Game(eg.families.Poisson(), weights, means=np.linspace(1, 5, 5000)[:, None])
    row = game.influence(rows=[0])[0]
    assert row.min() >= 0
    assert row.sum() == pytest.approx(1.0, abs=1e-8)
    assert row @ game.means[:, 0] == pytest.approx(eg.solve(game).mean[0, 0], rel=1e-8)
    assert game.influence(rows=[]).shape == (0, 5000)
    for wrong in (3, "a"):
        with pytest.raises(InvalidInput):
            game.influence(rows=wrong)
    with pytest.raises(InvalidInput, match="agent is 1.5"):
        game.influence(rows=[1.5])


def test_a_tolerance_below_rounding_gives_what_is_known_and_its_error():
    """On a ring of three, R[0, j] = α (1 − α)^j / (1 − (1 − α)³), here exactly."""
    own = Fraction(0.3)
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.ring(3, 0.3), means=np.full((3, 1), 0.5))
    others = Fraction(float(game.weights.to_dense()[0, 1]))
    row = game.influence_row(0, tolerance=1e-30)
    found = row.dense(3)
    exact = [own * others**j / (1 - others**3) for j in range(3)]
    error = sum(abs(Fraction(float(x)) - y) for x, y in zip(found, exact))
    assert error <= Fraction(row.error)
    assert 1e-30 < row.error < 1e-14


def test_a_row_that_cannot_be_known_to_the_tolerance_is_an_error(monkeypatch):
    game = eg.catalog.ring(50, 0.001)
    monkeypatch.setattr(type(game), "_inverses", (None, np.zeros_like))
    with pytest.raises(eg.errors.ToleranceNotReached, match="row 3 of the influence matrix is known to"):
        game.influence(rows=[3])


@pytest.mark.parametrize("method", ["multilevel", "krylov"])
@pytest.mark.parametrize("scale", [1e-200, 1e-150, 1e150, 1e200])
def test_linear_solvers_at_any_scale(scale, method):
    weights = eg.Weights.grid(40, 40, 0.01)
    means = np.random.default_rng(0).uniform(0.5, 1.0, size=(1600, 1)) * scale
    game = eg.Game(eg.families.Exponential(), weights, means=means)
    mean = eg.solve(game, eg.solvers.Direct(method)).mean
    np.testing.assert_allclose(mean / scale, eg.solve(game, eg.solvers.Direct("lu")).mean / scale, rtol=1e-10)


def test_a_leak_lost_in_rounding_inside_a_large_graph_is_refused():
    large = eg.Weights.erdos_renyi(1500, 0.01, 0.5, seed=0).matrix
    pair = sparse.csr_array(np.array([[1e-17, 1.0], [1.0, 1e-17]]))
    weights = eg.Weights.from_scipy(sparse.block_diag([large, pair]))
    game = eg.Game(eg.families.Poisson(), weights, means=np.ones((1502, 1)))
    with pytest.raises(eg.errors.BarelyAnchored, match="the smallest positive self-weight is 1e-17"):
        eg.solve(game)
