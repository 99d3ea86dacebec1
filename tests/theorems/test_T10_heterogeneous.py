"""T10: agents with different statistics; where uniqueness holds, where it fails, and how that is proved."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import expfam_game as eg

PRINTED = [(-8.31632246, 8.34933489), (-1.96683486, 2.19199985), (-0.76054952, 0.86180127)]
"""The natural parameters of T10(b), truncated to eight digits."""


# ---------------------------------------------------------------------- T10(a)


@st.composite
def affine_games(draw):
    """Agents whose statistics are invertible affine images of one integer table, exact in float64."""
    states, dim = draw(st.integers(3, 6)), draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    while True:
        table = rng.integers(-3, 4, size=(states, dim)).astype(float)
        if np.linalg.matrix_rank(np.column_stack([np.ones(states), table])) == dim + 1:
            break
    n_agents = draw(st.integers(2, 4))
    families = []
    for _ in range(n_agents):
        while abs(np.linalg.det(matrix := rng.integers(-2, 3, size=(dim, dim)).astype(float))) < 0.5:
            pass
        families.append(eg.families.Finite(table @ matrix + rng.integers(-2, 3, size=dim), rng.normal(size=states)))
    trust = draw(st.floats(0.1, 0.9))
    data = [rng.integers(0, states, size=5).tolist() + list(range(states)) for _ in range(n_agents)]
    return eg.HeterogeneousGame(families, eg.Weights.complete(n_agents, trust), data), table, data, trust


@given(case=affine_games(), seed=st.integers(0, 10**6))
@settings(max_examples=6, deadline=None)
def test_T10a_affine_images_of_one_statistic_have_one_equilibrium(case, seed):
    """From two starts play ends at the same place: R m of the common statistic, pulled back to each agent."""
    game, table, data, trust = case
    assert game.uniqueness().guaranteed
    shared = np.array([table[states].mean(axis=0) for states in data])
    b = (1 - trust) / (game.n_agents - 1)
    system = (1 + b) * np.eye(game.n_agents) - b  # I − B
    want = np.linalg.solve(system, trust * shared)
    starts = [np.zeros(game.means.shape), np.random.default_rng(seed).normal(size=game.means.shape)]
    for start in starts:
        natural = eg.solve(game, start=start).natural
        for agent, family in enumerate(game.families):
            p = np.exp(family.log_prob(np.arange(len(table)), natural[agent]))
            assert np.allclose(p @ table, want[agent], rtol=0, atol=1e-9)


@given(case=affine_games())
@settings(max_examples=3, deadline=None)
def test_T10a_with_one_equilibrium_the_search_finds_one(case):
    found = eg.certificates.all_equilibria(case[0], (-2, 2), starts=4, seed=1)
    assert found.n_equilibria <= 1
    assert eg.check(case[0], found)


def test_T10a_components_with_different_statistics_are_solved_in_order():
    """Agents 0 and 1 share one statistic, 2 and 3 another and listen to 0 and 1: at most one equilibrium."""
    weights = eg.Weights.from_dense([[0.4, 0.6, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.3, 0.1, 0.4], [0, 0.3, 0.5, 0.2]])
    one, other = eg.families.Finite([0, 1, 2, 3]), eg.families.Finite([0, 1, 4, 9])
    game = eg.HeterogeneousGame([one, one, other, other], weights, means=[[1.0], [2.0], [3.0], [1.0]])
    assert game.uniqueness()
    ends = [eg.solve(game, start=np.full((4, 1), x)).natural for x in (-2.0, 0.0, 2.0)]
    assert np.ptp(ends, axis=0).max() < 1e-10
    assert eg.certificates.all_equilibria(game, (-1, 1), starts=6).n_equilibria == 1


# ---------------------------------------------------------------------- T10(b)


def _exact_residual(a=Fraction(3, 20)):
    """The two equations of T10(b), written from the statement with mpmath and nothing of the package."""
    one, two = (-14, 14, 3, -11), (19, 4, -6, 16)
    counts = (197, 1, 1, 1)

    def mean(law, table):
        return mpmath.fsum(p * v for p, v in zip(law, table)) / 10

    def law(table, theta):
        weights = [mpmath.exp(theta * v / 10) for v in table]
        return [w / mpmath.fsum(weights) for w in weights]

    data = [mpmath.mpf(c) / 200 for c in counts]
    trust = mpmath.mpf(a.numerator) / a.denominator

    def residual(x, y):
        p, q = law(one, x), law(two, y)
        return [
            mean(p, one) - trust * mean(data, one) - (1 - trust) * mean(q, one),
            mean(q, two) - trust * mean(data, two) - (1 - trust) * mean(p, two),
        ]

    return residual


@pytest.fixture(scope="module")
def three():
    game = eg.catalog.three_equilibria()
    return game, eg.certify_all(game, (-40, 40))


def test_T10b_there_are_exactly_three_equilibria(three):
    game, certificate = three
    assert not game.uniqueness()
    assert (certificate.n_equilibria, certificate.complete, certificate.everywhere) == (3, True, True)
    assert certificate.grade is eg.Grade.RIGOROUS
    assert eg.check(game, certificate)
    assert certificate.error_bound.max() <= 1e-12
    for found, printed in zip(certificate.natural, PRINTED):
        assert np.all(np.abs(found - printed) < 1e-8)


def test_T10b_the_enclosures_contain_the_roots_at_fifty_digits(three):
    _, certificate = three
    with mpmath.workdps(50):
        for lower, upper in zip(certificate.lower, certificate.upper):
            start = [(mpmath.mpf(a) + mpmath.mpf(b)) / 2 for a, b in zip(lower, upper)]
            root = mpmath.findroot(_exact_residual(), start, tol=1e-60)
            for value, a, b in zip(root, lower, upper):
                assert mpmath.mpf(a) < value < mpmath.mpf(b)


def test_T10b_a_brute_scan_of_the_scalar_map_finds_the_same_three():
    """Sign changes of BR_2(BR_1(y)) − y on a fine grid, by bisection on plain sums."""
    one, two = np.array([-1.4, 1.4, 0.3, -1.1]), np.array([1.9, 0.4, -0.6, 1.6])
    data = np.array([197, 1, 1, 1]) / 200

    def law(table, theta):
        weights = np.exp(np.outer(theta, table - table[0]))
        return weights / weights.sum(axis=1, keepdims=True)

    def answer(own, target):
        low, high = np.full(len(target), -60.0), np.full(len(target), 60.0)
        for _ in range(80):
            middle = (low + high) / 2
            above = law(own, middle) @ own > target
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2

    y = np.linspace(-40, 40, 4001)
    x = answer(one, 0.15 * data @ one + 0.85 * law(two, y) @ one)
    gap = answer(two, 0.15 * data @ two + 0.85 * law(one, x) @ two) - y
    places = np.flatnonzero(np.sign(gap[1:]) != np.sign(gap[:-1]))
    assert np.allclose(y[places], sorted(p[1] for p in PRINTED), atol=0.021)


def test_T10b_two_are_stable_and_one_is_a_saddle(three):
    """Index −1 (a negative det(I − slopes)) is a saddle of θ̇ = BR(θ) − θ; the three indices add up to one."""
    game, certificate = three
    assert certificate.stable == (True, False, True)
    assert certificate.index.tolist() == [1, -1, 1]
    for natural, low, high in zip(certificate.natural, certificate.rate_lower, certificate.rate_upper):
        eigenvalues = np.linalg.eigvals(game.best_response_jacobian(natural[:, None]))
        assert low - 1e-9 <= np.abs(eigenvalues).max() <= high + 1e-9
        flow = np.sort((eigenvalues - 1).real)
        assert (flow[-1] > 0) == (np.abs(eigenvalues).max() > 1)
        assert flow[0] < 0


def test_T10b_play_from_zero_ends_in_the_hallucination(three):
    game, certificate = three
    zero = eg.solve(game, start=[[0.0], [0.0]])
    assert np.allclose(zero.natural.ravel(), certificate.natural[2], atol=1e-9)
    described = eg.solve(game)
    assert np.allclose(described.natural.ravel(), certificate.natural[0], atol=1e-9)
    p0 = [float(np.exp(game.families[0].log_prob(0, s.natural[0]))) for s in (zero, described)]
    assert p0 == pytest.approx([0.46, 0.92], abs=0.01)


def test_T10b_simultaneous_play_has_a_stable_circle_of_two(three):
    """(θ_1 of the first, θ_2 of the last) and the other way round answer each other."""
    game, certificate = three
    first, last = certificate.natural[0], certificate.natural[2]
    mixed, other = np.array([[first[0]], [last[1]]]), np.array([[last[0]], [first[1]]])
    assert np.allclose(game.best_response(mixed), other, atol=1e-9)
    assert np.allclose(game.best_response(other), mixed, atol=1e-9)
    play = mixed + 0.05
    for _ in range(100):
        play = game.best_response(play)
    assert np.allclose(play, mixed, atol=1e-8)


def test_T10b_a_shared_statistic_restores_uniqueness():
    game = eg.catalog.three_equilibria(blend=1)
    assert game.uniqueness()
    assert eg.certify_all(game).n_equilibria == 1
    assert eg.certify_all(eg.catalog.three_equilibria("1/2")).n_equilibria == 1


EXAMPLES = {
    "square_against_linear": [(-3.643882, -3.714352), (-1.512108, -1.889161), (-1.109638, -1.555692)],
    "gaussian_against_laplace": [(-3.175088, -3.292413), (-2.3777, -2.622108), (-0.373753, -1.02539)],
    "trusting_agents": [(-14.262864, -14.379674), (-3.045807, -7.696655), (-1.0e-6, -5.303119)],
}


@pytest.mark.parametrize(("name", "wanted"), EXAMPLES.items(), ids=EXAMPLES.keys())
def test_T10b_other_games_with_exactly_three_equilibria(name, wanted):
    game = eg.catalog.load_heterogeneous(name)
    certificate = eg.certify_all(game, (-40, 40))
    assert eg.check(game, certificate)
    assert (certificate.n_equilibria, certificate.everywhere) == (3, True)
    assert np.allclose(certificate.natural, wanted, atol=1e-6)
    assert certificate.stable == (True, False, True)


@pytest.mark.parametrize("trust", ["1/100", "1/10", "1/2", "9/10"])
def test_T10b_no_trust_below_one_is_a_safeguard(trust):
    """The mean map F of agent 1 has F(2ε) < 2ε and F(½) > ½, at 60 digits; so it has three fixed points, and no more."""
    game = eg.catalog.trusting_agents(trust)
    certificate = eg.certify_all(game)
    assert eg.check(game, certificate)
    assert (certificate.n_equilibria, certificate.everywhere) == (3, True)
    exact = game.exact_tables()
    a, n, epsilon = Fraction(trust), int(exact.statistics[0][2][0]), exact.means[0][0]
    with mpmath.workdps(60):

        def ratio(first, second, wanted):
            """The second statistic's mean at the geometric weights (1, r^first, r^second) whose first mean is wanted."""

            def mean(r, own):
                weights = [1, r, r ** first[2]]
                return mpmath.fdot(own, weights) / mpmath.fsum(weights)

            low, high = mpmath.mpf(0), mpmath.mpf(1)
            for _ in range(190):
                middle = (low + high) / 2
                low, high = (middle, high) if mean(middle, first) < wanted else (low, middle)
            return mean(low, second)

        def answer(x):
            rest, e = 1 - mpmath.mpf(a.numerator) / a.denominator, mpmath.mpf(1) / epsilon.denominator
            second = (1 - rest) * e + rest * ratio((0, 1, n), (0, 1, 2), x)
            return (1 - rest) * e + rest * ratio((0, 1, 2), (0, 1, n), second)

        assert epsilon.numerator == 1
        assert answer(mpmath.mpf(2) / epsilon.denominator) < mpmath.mpf(2) / epsilon.denominator
        assert answer(mpmath.mpf(1) / 2) > mpmath.mpf(1) / 2


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_T10a_on_two_states_every_one_parameter_game_has_one_equilibrium(seed):
    """Why three states are the fewest: on two, {1, φ} spans everything."""
    rng = np.random.default_rng(seed)
    tables = rng.integers(-9, 9, size=2)[:, None] + np.outer(rng.choice([-3, -1, 2, 5], size=2), [0, 1])
    counts = rng.integers(1, 50, size=(2, 2))
    trust = Fraction(int(rng.integers(1, 20)), 20)
    weights = [[trust, 1 - trust], [1 - trust, trust]]
    game = eg.HeterogeneousGame.from_rationals(tables.tolist(), weights, state_counts=counts.tolist())
    assert game.uniqueness()
    certificate = eg.certify_all(game, (-15, 15))
    assert certificate.n_equilibria == 1


# ---------------------------------------------------------------------- T10(d)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_T10d_where_rosens_matrix_is_positive_definite_there_is_at_most_one_equilibrium(seed):
    """With enough trust in one's own data the symmetric part of the Jacobian is positive definite near the uniform law."""
    rng = np.random.default_rng(seed)
    tables = np.array([[0, 1, 2, 3], [3, 0, 1, 2]]) + rng.integers(0, 2, size=(2, 4))
    weights = [[Fraction(9, 10), Fraction(1, 10)], [Fraction(1, 10), Fraction(9, 10)]]
    counts = rng.integers(8, 13, size=(2, 4)).tolist()
    game = eg.HeterogeneousGame.from_rationals(tables.tolist(), weights, state_counts=counts)
    points = np.linspace(-0.5, 0.5, 9)
    jacobians = [game.jacobian([[x], [y]]) for x in points for y in points]
    assert min(np.linalg.eigvalsh(j + j.T)[0] for j in jacobians) > 0.1
    certificate = eg.certify_all(game, (-0.5, 0.5))
    assert certificate.complete
    assert certificate.n_equilibria <= 1
