"""Many agents: memory of solve and certify against the size of the game, and blocks of agents that change nothing."""

import dataclasses
import gc
import hashlib
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import sparse
from scipy.special import rel_entr

import expfam_game as eg
from expfam_game.errors import InvalidMeanParameter, InversionFailed
from expfam_game.families.checks import require_converged
from expfam_game.kernels import agent_blocks

N_AGENTS, DIM, NEIGHBOURS = 200_000, 16, 10


def random_game(n_agents, seed=0):
    """Ten random others with random weights, hardly any trust in one's own data."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(n_agents), NEIGHBOURS)
    columns = (rows + rng.integers(1, n_agents, rows.size)) % n_agents
    matrix = sparse.csr_array((rng.uniform(0.5, 1.5, rows.size), (rows, columns)), shape=(n_agents, n_agents))
    scale = sparse.diags_array(0.999 / matrix.sum(axis=1))
    weights = eg.Weights(scale @ matrix + sparse.diags_array(np.full(n_agents, 0.001)))
    return weights, rng.uniform(0.1, 0.9, size=(n_agents, DIM))


@dataclass
class Peaks:
    """The game, what came of it, and the peak memory of each step beyond what was there before, over that of the input."""

    game: eg.Game
    solution: eg.Solution
    certificate: eg.certificates.Certificate
    peaks: dict[str, float]


@pytest.fixture(scope="module")
def large():
    weights, means = random_game(3000)
    small = eg.Game(eg.families.Bernoulli(DIM), weights, means=means)
    eg.certify(small, eg.solve(small))  # compiled kernels are no part of the memory
    weights, means = random_game(N_AGENTS)
    matrix = weights.matrix
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes + means.nbytes
    peaks = {}

    def measured(name, step, *arguments, **keywords):
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = step(*arguments, **keywords)
        peaks[name] = (tracemalloc.get_traced_memory()[1] - before) / size
        return result

    tracemalloc.start()
    try:
        game = measured("game", eg.Game, eg.families.Bernoulli(DIM), weights, means=means)
        solution = measured("solve", eg.solve, game)
        certificate = measured("certify", eg.certify, game, solution)
        measured("regret", game.regret, solution.natural)
        measured("fingerprint", game.fingerprint)
    finally:
        tracemalloc.stop()
    return Peaks(game, solution, certificate, peaks)


@pytest.mark.parametrize("step", ["solve", "certify"])
def test_memory_is_less_than_three_times_the_input(large, step):
    assert large.peaks[step] < 3.0


def test_a_game_needs_its_copy_of_the_means_and_a_block(large):
    copy = large.game.means.nbytes
    matrix = large.game.weights.matrix
    assert large.peaks["game"] < 1.5 * copy / (copy + 12 * matrix.nnz)


def test_regret_needs_the_means_of_the_profile_and_a_block(large):
    assert large.peaks["regret"] < 1.0
    assert large.peaks["fingerprint"] < 0.1


def test_the_large_equilibrium_is_proved(large):
    found, game = large.solution, large.game
    assert found.status.success
    assert np.max(found.error_bound) < 1e-9
    residual = game.weights.matrix @ found.mean + game.weights.self_weights[:, None] * (game.means - found.mean)
    np.testing.assert_allclose(residual, found.mean, rtol=0, atol=1e-13)
    assert large.certificate.claims["C3"].grade is eg.certificates.Grade.RIGOROUS
    assert large.certificate.max_error < 1e-9
    assert large.certificate.max_regret < 1e-20


def test_regrets_of_many_agents_match_scipy(large):
    rng = np.random.default_rng(1)
    profile = rng.uniform(0.1, 0.9, size=large.game.means.shape)
    natural = large.game.family.to_natural(profile)
    best = large.game.best_response(profile)
    expected = np.sum(rel_entr(best, profile) + rel_entr(1 - best, 1 - profile), axis=1)
    # A sum of 32 terms of size up to 2.
    np.testing.assert_allclose(large.game.regret(natural), expected, rtol=0, atol=64 * np.finfo(float).eps)


# ---------------------------------------------------------------------- blocks

FAMILIES = [
    eg.families.Bernoulli(3),
    eg.families.Poisson(),
    eg.families.Gamma(),
    eg.families.Categorical(4),
    eg.families.Gaussian(2),
    eg.families.VonMises(),
    eg.families.DiagonalGaussian(2),
]


def game_of(family, n_agents=41):
    rng = np.random.default_rng(7)
    centre = family.reference_mean()
    theta = family.to_natural(centre)
    data = [family.sample(theta, 12, seed=int(seed)) for seed in rng.integers(1 << 30, size=n_agents)]
    return eg.Game(family, eg.Weights.ring(n_agents, 0.2, both_ways=True), data, pseudo_count=1.0)


def arrays_of(found):
    return {name: value for name, value in vars(found).items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_blocks_of_agents_change_nothing(family, monkeypatch):
    """Bit for bit, but for inversions by Newton's method, which end when all agents of a block have converged."""
    whole = game_of(family)
    solution = eg.solve(whole)
    certificate = eg.certify(whole, solution, grade="float")
    regret = whole.regret(solution.natural)
    monkeypatch.setattr(agent_blocks, "_ENTRIES", 5 * family.dim)
    assert len(list(agent_blocks.row_blocks(41, family.dim))) == 9
    game = game_of(family)
    again = eg.solve(game)
    np.testing.assert_array_equal(again.mean, solution.mean)
    np.testing.assert_array_equal(again.error_bound, solution.error_bound)
    np.testing.assert_allclose(again.natural, solution.natural, rtol=1e-12)
    # Regrets at rounding level: what is left of two profiles that agree.
    np.testing.assert_allclose(again.regret, solution.regret, rtol=1e-6, atol=1e-25)
    np.testing.assert_allclose(game.regret(solution.natural), regret, rtol=1e-6, atol=1e-25)
    assert game.fingerprint() == whole.fingerprint()
    found = eg.certify(game, solution, grade="float")
    for name, value in arrays_of(certificate).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6 if "regret" in name else 1e-12, atol=1e-25)
    assert eg.check(game, found)
    assert eg.check(game, certificate)


@pytest.mark.parametrize(("n_agents", "dim", "entries"), [(10, 3, 7), (10, 3, 1), (1, 1, 100), (9, 3, 9), (0, 4, 8)])
def test_blocks_cover_all_agents_once(n_agents, dim, entries, monkeypatch):
    monkeypatch.setattr(agent_blocks, "_ENTRIES", entries)
    blocks = list(agent_blocks.row_blocks(n_agents, dim))
    assert [k for rows in blocks for k in range(rows.start, rows.stop)] == list(range(n_agents))
    assert all((rows.stop - rows.start) * dim <= max(entries, dim) for rows in blocks)


def test_the_fingerprint_is_the_hash_of_family_weights_and_means():
    game = game_of(eg.families.Bernoulli(3))
    matrix = game.weights.matrix
    parts = [matrix.indptr.astype("<i8"), matrix.indices.astype("<i8"), matrix.data, game.means]
    content = game.family.fingerprint().encode() + b"".join(part.tobytes() for part in parts)
    assert game.fingerprint() == hashlib.sha256(content).hexdigest()


# ---------------------------------------------------------------------- errors name the agent, not its place in a block


def test_a_best_response_on_the_boundary_names_the_agent(monkeypatch):
    monkeypatch.setattr(agent_blocks, "_ENTRIES", 4)
    means, natural = np.full((41, 1), 0.5), np.zeros((41, 1))
    means[30], natural[31] = 1.0, 800.0
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights.ring(41, 0.5), means=means)
    with pytest.raises(InvalidMeanParameter, match="agent 30") as caught:
        game.regret(natural)
    assert caught.value.agent == 30


def test_data_outside_the_mean_space_names_the_agent(monkeypatch):
    monkeypatch.setattr(agent_blocks, "_ENTRIES", 4)
    means = np.full((41, 1), 0.5)
    means[30] = 1.5
    with pytest.raises(InvalidMeanParameter, match=r"agent 30 .* is 1\.5:") as caught:
        eg.Game(eg.families.Bernoulli(1), eg.Weights.ring(41, 0.5), means=means)
    assert caught.value.agent == 30


@dataclasses.dataclass(frozen=True, eq=False)
class Hard(eg.families.Bernoulli):
    """A Bernoulli family whose inversion fails above 0.9."""

    def _to_natural(self, mu):
        return require_converged(self, np.where(mu > 0.9, np.nan, super()._to_natural(mu)), mu)


def test_an_inversion_that_fails_names_the_agent(monkeypatch):
    monkeypatch.setattr(agent_blocks, "_ENTRIES", 4)
    means = np.full((41, 1), 0.5)
    means[30] = 1.0
    game = eg.Game(Hard(1), eg.Weights.ring(41, 0.95), means=means)
    with pytest.raises(InversionFailed, match="agent 30 "):
        eg.solve(game)


def test_a_boundary_in_a_later_block_leaves_no_regret(monkeypatch):
    monkeypatch.setattr(agent_blocks, "_ENTRIES", 4)
    means = np.full((41, 1), 0.5)
    means[30] = 1.0
    weights = np.full((41, 41), 1 / 80)
    np.fill_diagonal(weights, 0.5)
    weights[30] = np.eye(41)[30]
    game = eg.Game(eg.families.Bernoulli(1), eg.Weights(weights), means=means)
    found = eg.solve(game, throw=False)
    assert found.status is eg.solvers.Status.BOUNDARY
    assert np.isnan(found.regret).all()
    assert np.flatnonzero(np.isnan(found.natural[:, 0])).tolist() == [30]


# ---------------------------------------------------------------------- certificates keep no arrays of others


def test_a_certificate_does_not_change_with_the_solution():
    game = game_of(eg.families.Bernoulli(3))
    solution = eg.solve(game)
    certificate = eg.certify(game, solution)
    before = certificate.to_json()
    for array in arrays_of(solution).values():
        array[:] = 0.25
    assert certificate.to_json() == before
    with pytest.raises(ValueError, match="read-only"):
        game.v[:] = 0.25
    for array in arrays_of(certificate).values():
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0.25


# ---------------------------------------------------------------------- threads


def test_one_game_solved_by_many_threads_at_once():
    """Solves of one game share memory: they wait for each other."""
    weights = eg.Weights.grid(40, 40, 1e-3)
    game = eg.Game(eg.families.Poisson(), weights, means=np.random.default_rng(0).uniform(1.0, 2.0, (1600, 1)))
    solver = eg.solvers.Direct("multilevel")
    alone = eg.solve(game, solver).mean
    with ThreadPoolExecutor(4) as pool:
        for mean in pool.map(lambda _: eg.solve(game, solver).mean, range(16)):
            np.testing.assert_array_equal(mean, alone)
