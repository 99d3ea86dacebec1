"""Ising: brute force over all states, transfer-matrix and mpmath values for long chains, chi-square for samplers."""

from __future__ import annotations

import itertools
import sys

import mpmath
import numpy as np
import pytest
from scipy import stats

from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter, MissingExtra
from expfam_game.families.ising import Ising

FORESTS = [Ising.chain(1), Ising.chain(2), Ising.chain(5), Ising([(3, 0), (3, 1), (2, 3), (5, 4)], 7)]
LOOPS = [
    Ising.complete(3),
    Ising.complete(4),
    Ising.grid(2, 3),
    Ising([(0, 1), (1, 2), (0, 2), (3, 4)]),
    Ising.grid(3, 3),
]


def table(family):
    x = np.array(list(itertools.product([-1, 1], repeat=family.n_sites)))
    phi = np.hstack([x, *(x[:, [s]] * x[:, [t]] for s, t in family.edges)]).astype(float)
    return x, phi


def brute(phi, theta):
    score = phi @ theta
    log_z = score.max() + np.log(np.exp(score - score.max()).sum())
    p = np.exp(score - log_z)
    mean = p @ phi
    return p, log_z, mean, (phi - mean).T @ (p[:, None] * (phi - mean))


@pytest.mark.parametrize("family", FORESTS + LOOPS, ids=repr)
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_against_brute_force(family, scale):
    x, phi = table(family)
    np.testing.assert_array_equal(family.statistic(x), phi)
    thetas = np.random.default_rng(0).normal(size=(3, family.dim)) * scale
    for theta in thetas:
        p, log_z, mean, fisher = brute(phi, theta)
        np.testing.assert_allclose(family.log_partition(theta), log_z, rtol=1e-13)
        np.testing.assert_allclose(family.to_mean(theta), mean, atol=1e-13)
        np.testing.assert_allclose(family.fisher_information(theta), fisher, atol=1e-13)
        np.testing.assert_allclose(family.variance(theta), np.diag(fisher), rtol=1e-10)
        np.testing.assert_allclose(family.entropy(theta), -(p @ np.log(p)), rtol=1e-10)
        np.testing.assert_allclose(family.to_natural(mean), theta, atol=1e-9)
        np.testing.assert_allclose(family.log_prob(x, theta), np.log(p), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", [FORESTS[3], LOOPS[1]], ids=repr)
@pytest.mark.parametrize("step", [1e-11, 1e-6, 1e-2, 1.0, 20.0])
def test_kl_against_mpmath(family, step):
    _, phi = table(family)
    for a, d in np.random.default_rng(1).normal(size=(2, 2, family.dim)):
        b = a + step * d
        with mpmath.workdps(50):
            score = [[mpmath.fdot(row, theta.tolist()) for row in phi.tolist()] for theta in (a, b)]
            log_z = [mpmath.log(mpmath.fsum(map(mpmath.exp, s))) for s in score]
            ratio = [(u - log_z[0]) - (v - log_z[1]) for u, v in zip(*score)]
            expected = mpmath.fsum(mpmath.exp(u - log_z[0]) * r for u, r in zip(score[0], ratio))
        # the natural parameters are doubles: b − a carries a relative error of 1e-16 / step in neither computation
        np.testing.assert_allclose(family.kl(a, b), float(expected), rtol=1e-9 if step > 1e-8 else 1e-4)


def test_chain_without_fields_in_closed_form():
    """Z = 2 Π 2 cosh J_e, the correlations are products of tanh J, for 10⁴ sites."""
    n = 10_000
    family = Ising.chain(n)
    coupling = np.random.default_rng(2).normal(size=n - 1)
    theta = np.concatenate([np.zeros(n), coupling])
    np.testing.assert_allclose(family.log_partition(theta), n * np.log(2) + np.log(np.cosh(coupling)).sum(), rtol=1e-13)
    mean = family.to_mean(theta)
    np.testing.assert_allclose(mean[:n], 0, atol=1e-14)
    np.testing.assert_allclose(mean[n:], np.tanh(coupling), rtol=1e-12)
    np.testing.assert_allclose(family.variance(theta)[n:], np.cosh(coupling) ** -2, rtol=1e-11)


def test_long_chain_with_fields_and_extreme_parameters():
    """A(θ) and means by 40-digit transfer matrices."""
    n = 300
    rng = np.random.default_rng(3)
    family = Ising.chain(n)
    for scale in (1.0, 100.0):
        theta = rng.uniform(-3, 3, size=family.dim) * scale

        def log_z(values, n=n):
            weight = [mpmath.exp(values[0]), mpmath.exp(-values[0])]
            for s in range(1, n):
                j, h = values[n + s - 1], values[s]
                up = mpmath.exp(h) * (weight[0] * mpmath.exp(j) + weight[1] * mpmath.exp(-j))
                down = mpmath.exp(-h) * (weight[0] * mpmath.exp(-j) + weight[1] * mpmath.exp(j))
                weight = [up, down]
            return mpmath.log(weight[0] + weight[1])

        mean, variance = family.to_mean(theta), family.variance(theta)
        with mpmath.workdps(60):
            exact = [mpmath.mpf(v) for v in theta.tolist()]
            base = log_z(exact)
            np.testing.assert_allclose(family.log_partition(theta), float(base), rtol=1e-13)
            for k in (0, n // 2, n - 1, n, n + n // 2):
                up, down, h = list(exact), list(exact), mpmath.mpf(10) ** -20
                up[k] += h
                down[k] -= h
                plus, minus = log_z(up), log_z(down)
                np.testing.assert_allclose(mean[k], float((plus - minus) / (2 * h)), atol=1e-12)
                if scale == 1.0:
                    np.testing.assert_allclose(variance[k], float((plus + minus - 2 * base) / h**2), rtol=1e-9)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (0,)])
@pytest.mark.parametrize("family", [Ising.chain(3), Ising.complete(3)], ids=["forest", "loop"])
def test_shapes(family, lead):
    theta = np.random.default_rng(5).normal(size=(*lead, family.dim))
    mu = family.to_mean(theta)
    assert mu.shape == theta.shape
    assert family.fisher_information(theta).shape == (*theta.shape, family.dim)
    assert family.sample(theta, 6, seed=0).shape == (*lead, 6, 3)
    assert family.log_partition(theta).shape == family.entropy(theta).shape == family.kl(theta, theta).shape == lead
    np.testing.assert_allclose(family.kl(theta, theta), 0, atol=0)
    np.testing.assert_allclose(family.to_natural(mu), theta, atol=1e-9)


@pytest.mark.parametrize("family", [FORESTS[3], Ising.grid(2, 3)], ids=["forest", "loop"])
def test_sampler_by_chi_square(family):
    _, phi = table(family)
    theta = np.random.default_rng(6).normal(size=(2, family.dim)) * 0.7
    n = 60_000
    for row, x in zip(theta, family.sample(theta, n, seed=1)):
        p = brute(phi, row)[0]
        number = ((x.astype(int) + 1) // 2) @ (2 ** np.arange(family.n_sites - 1, -1, -1))
        counts, expected = np.bincount(number, minlength=len(p)), n * p
        rare = expected < 10
        observed = np.append(counts[~rare], counts[rare].sum())
        assert stats.chisquare(observed, np.append(expected[~rare], expected[rare].sum())).pvalue > 1e-9


@pytest.mark.parametrize("family", [Ising.chain(2), Ising.chain(9), Ising.grid(2, 3), Ising.complete(4)], ids=str)
def test_means_never_leave_the_cube(family):
    """Sums of probabilities near one used to be rounded to 1.0000000000000004."""
    theta = np.random.default_rng(5).normal(scale=10.0, size=(4000, family.dim))
    mu = family.to_mean(theta)
    assert np.abs(mu).max() <= 1.0
    assert (np.abs(mu) > 1.0 - 1e-12).mean() > 0.1  # the rows are such that rounding matters


def test_rare_spins_in_a_loop_keep_relative_accuracy():
    """Nearly frozen: variances of order 1e-26 are still right, as the frozen state is left out of the sums."""
    family = Ising.complete(3)
    theta = np.array([10.0, 10.0, 10.0, 5.0, 5.0, 5.0])
    _, phi = table(family)
    with mpmath.workdps(60):
        weight = [mpmath.exp(mpmath.fdot(row, theta.tolist())) for row in phi.tolist()]
        total = mpmath.fsum(weight)
        mean = [mpmath.fsum(w * v for w, v in zip(weight, col)) / total for col in phi.T.tolist()]
        expected = [float(1 - m**2) for m in mean]
    np.testing.assert_allclose(family.variance(theta), expected, rtol=1e-9)
    np.testing.assert_allclose(np.diag(family.fisher_information(theta)), expected, rtol=1e-9)


def test_twenty_sites_with_loops():
    """A 4×5 torus-free grid without fields: the high-temperature bound and the spin-flip symmetry."""
    family = Ising.grid(4, 5)
    theta = np.zeros(family.dim)
    theta[20:] = 0.2
    mean = family.to_mean(theta)
    np.testing.assert_allclose(mean[:20], 0, atol=1e-14)
    # exact by 2^5-state row transfer matrices
    rows = np.array(list(itertools.product([-1, 1], repeat=5)))
    inside = np.exp(0.2 * (rows[:, :-1] * rows[:, 1:]).sum(axis=1))
    between = np.exp(0.2 * rows @ rows.T)
    weight = inside
    for _ in range(3):
        weight = (between @ weight) * inside
    np.testing.assert_allclose(family.log_partition(theta), np.log(weight.sum()), rtol=1e-13)


def test_mean_space_of_a_tree_is_exact():
    family = Ising.chain(2)
    mu = np.array([[0.5, 0.5, 1e-15], [0.5, 0.5, 0.0], [0.5, 0.5, 0.3], [0.9, -0.9, -0.9], [0.9, -0.9, -0.7]])
    assert family.in_mean_space(mu).tolist() == [True, False, True, True, False]


def test_mean_space_of_a_triangle_is_the_cut_polytope():
    """Against the facets that Qhull finds."""
    family = Ising.complete(3)
    from scipy.spatial import ConvexHull

    hull = ConvexHull(table(family)[1])
    mu = np.random.default_rng(8).uniform(-0.8, 0.8, size=(300, 6))
    depth = -(mu @ hull.equations[:, :-1].T + hull.equations[:, -1]).max(axis=1)
    assert 20 < np.sum(depth > 0) < 280
    np.testing.assert_array_equal(family.in_mean_space(mu), depth > 0)


@pytest.mark.parametrize(
    ("family", "mu", "message"),
    [
        (Ising.chain(2), [1.0, 0.0, 0.0], "strictly between −1 and 1"),
        (Ising.chain(2), [0.9, 0.9, 0.0], "four states of an edge"),
        (Ising.complete(3), [0, 0, 0, -0.5, -0.5, -0.5], "inside the marginal polytope"),
    ],
)
def test_means_outside(family, mu, message):
    with pytest.raises(InvalidMeanParameter, match=message) as caught:
        family.to_natural(np.stack([np.zeros(family.dim), np.array(mu, float)]))
    assert caught.value.agent == 1


def test_named_graphs():
    assert Ising.chain(4).edges == ((0, 1), (1, 2), (2, 3))
    assert set(Ising.grid(2, 2).edges) == {(0, 1), (2, 3), (0, 2), (1, 3)}
    assert len(Ising.complete(5).edges) == 10
    assert Ising([(1, 0)]) == Ising.chain(2)
    assert Ising([(1, 0)], 3) != Ising.chain(2)
    assert repr(Ising.chain(3)) == "Ising(sites=3, edges=2)"
    assert Ising.chain(2).statistic_names == ("x[0]", "x[1]", "x[0]x[1]")


def test_networkx():
    nx = pytest.importorskip("networkx")
    family = Ising.from_networkx(nx.path_graph(["a", "b", "c"]))
    assert family == Ising.chain(3)
    assert Ising.from_networkx(nx.empty_graph(2)).dim == 2


def test_networkx_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingExtra, match=r"expfam-game\[networkx\]"):
        Ising.from_networkx(object())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ising.grid(3, 7), "21 sites and a loop"),
        (lambda: Ising([(0, 0)]), "two different sites"),
        (lambda: Ising([(0, -1)]), "two different sites"),
        (lambda: Ising([(0, 1), (1, 0)]), "occurs twice"),
        (lambda: Ising([(0, 1, 2)]), "not a pair"),
        (lambda: Ising([(0, 0.5)]), "two different sites"),
        (lambda: Ising([(0, 5)], 3), "n_sites is 3"),
        (lambda: Ising.chain(0), "n is 0"),
        (lambda: Ising.grid(2, True), "columns is True"),
    ],
)
def test_bad_graphs(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_bad_spins():
    with pytest.raises(InvalidData, match="a spin must be −1 or"):
        Ising.chain(2).statistic([0, 1])
