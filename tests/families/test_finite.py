"""Finite: against mpmath at 50 digits, closed forms of saturated tables, and exact hulls."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.spatial import ConvexHull

from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter
from expfam_game.families.finite import Finite, log_exp_remainder, weight_margin

RNG = np.random.default_rng(0)
PHI, BASE = RNG.normal(size=(9, 3)), RNG.normal(size=9)
FAMILY = Finite(PHI, BASE)


def oracle(theta, phi=PHI, base=BASE):
    """log-partition, probabilities, mean at 500 digits, so that 1 − p keeps its digits."""
    with mpmath.workdps(500):
        score = [mpmath.fdot(theta.tolist(), row.tolist()) + mpmath.mpf(float(h)) for row, h in zip(phi, base)]
        peak = max(score)
        weights = [mpmath.exp(s - peak) for s in score]
        total = mpmath.fsum(weights)
        p = [w / total for w in weights]
        mean = [mpmath.fsum(a * float(v) for a, v in zip(p, column)) for column in phi.T]
        return peak + mpmath.log(total), p, mean


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0, 1e4])
def test_against_mpmath(scale):
    for theta in np.random.default_rng(1).normal(size=(5, 3)) * scale:
        log_z, p, mean = oracle(theta)
        np.testing.assert_allclose(FAMILY.log_partition(theta), float(log_z), rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(FAMILY.to_mean(theta), np.array(mean, float), rtol=1e-12 * max(1, scale / 10))
        with mpmath.workdps(500):
            entropy = -mpmath.fsum(a * mpmath.log(a) for a in p)
            cov = [
                [mpmath.fsum(a * (u - m) * (v - k) for a, u, v in zip(p, PHI[:, i].tolist(), PHI[:, j].tolist()))
                 for j, k in enumerate(mean)] for i, m in enumerate(mean)
            ]  # fmt: skip
        tolerance = 1e-14 * (1 + scale * 20)
        np.testing.assert_allclose(FAMILY.entropy(theta), float(entropy), rtol=tolerance, atol=1e-300)
        diagonal = np.array([cov[k][k] for k in range(3)], float)
        np.testing.assert_allclose(FAMILY.variance(theta), diagonal, rtol=tolerance, atol=1e-28)
        size = np.sqrt(np.outer(diagonal, diagonal)) + 1e-28
        error = np.abs(FAMILY.fisher_information(theta) - np.array(cov, float)) / size
        assert error.max() < tolerance


@pytest.mark.parametrize("step", [1e-12, 1e-7, 1e-4, 1e-2, 1.0, 40.0])
def test_kl_near_and_far(step):
    for a, d in np.random.default_rng(2).normal(size=(6, 2, 3)):
        b = a + step * d
        with mpmath.workdps(50):
            (log_a, _, mean), (log_b, _, _) = oracle(a), oracle(b)
            shift = [mpmath.mpf(float(v)) - mpmath.mpf(float(u)) for u, v in zip(a, b)]
            expected = float(log_b - log_a - mpmath.fdot(shift, mean))
        np.testing.assert_allclose(FAMILY.kl(a, b), expected, rtol=1e-11)


def test_log_exp_remainder():
    u = np.concatenate([np.geomspace(1e-150, 600, 200), -np.geomspace(1e-150, 1e4, 200)])
    with mpmath.workdps(400):
        expected = [float(mpmath.log(mpmath.exp(v) - 1 - v)) for v in map(mpmath.mpf, u.tolist())]
    np.testing.assert_allclose(log_exp_remainder(u), expected, rtol=4e-15, atol=4e-15)
    assert log_exp_remainder(np.array(0.0)) == -np.inf


@pytest.mark.parametrize("tiny", [1e-3, 1e-6, 1e-9, 1e-12, 1e-14])
def test_saturated_inverse_is_the_log_ratio(tiny):
    """Unit vectors: θ_s = log(p_s / p_last) in closed form."""
    family = Finite(np.eye(4)[:, 1:])
    p = np.array([[tiny, 0.3, 0.2], [tiny, tiny, 0.5], [tiny, 2 * tiny, 3 * tiny], [0.25, 0.25, tiny]])
    expected = np.log(p) - np.log1p(-p.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(family.to_natural(p), expected, rtol=1e-12, atol=1e-12)


def test_inverse_near_a_slanted_facet():
    """The last probability is 1e-12, held only in the sum of the entries: the doubles determine θ to about 1e-4."""
    family = Finite(np.eye(4)[:, 1:])
    mu = np.array([0.5, 0.25, 0.25 - 1e-12])
    assert family.in_mean_space(mu)
    theta = family.to_natural(mu)
    left = 1.0 - mu.sum()
    np.testing.assert_allclose(theta, np.log(mu / left), atol=3e-4)


@pytest.mark.parametrize("lead", [(), (6,), (2, 3), (0,), (0, 2)])
def test_round_trip_and_shapes(lead):
    theta = np.random.default_rng(4).normal(size=(*lead, 3))
    mu = FAMILY.to_mean(theta)
    assert mu.shape == theta.shape
    assert FAMILY.fisher_information(theta).shape == (*theta.shape, 3)
    assert FAMILY.log_partition(theta).shape == lead
    assert FAMILY.sample(theta, 5, seed=0).shape == (*lead, 5)
    np.testing.assert_allclose(FAMILY.to_natural(mu), theta, atol=1e-10)


def test_log_prob_sums_to_one_and_names_states():
    theta = np.array([0.4, -1.0, 2.0])
    np.testing.assert_allclose(np.exp(FAMILY.log_prob(np.arange(9), theta)).sum(), 1.0, rtol=1e-13)
    np.testing.assert_array_equal(FAMILY.statistic(np.array([[3, 0]])), PHI[[[3, 0]]])
    np.testing.assert_array_equal(FAMILY.log_base([2, 2]), BASE[[2, 2]])


def test_one_dimension_is_exact():
    family = Finite([1.0, 2.0, 5.0])
    inside = family.in_mean_space(
        np.array([[1.0], [np.nextafter(1.0, 2)], [5.0], [np.nextafter(5.0, 1)], [0.0], [6.0]])
    )
    assert inside.tolist() == [False, True, False, True, False, False]


def test_hull_against_qhull():
    """Facet inequalities by Qhull, for points clearly on one side."""
    hull = ConvexHull(PHI)
    mu = np.random.default_rng(5).normal(size=(300, 3))
    depth = -(mu @ hull.equations[:, :-1].T + hull.equations[:, -1]).max(axis=1)
    clear = np.abs(depth) > 1e-9
    np.testing.assert_array_equal(FAMILY.in_mean_space(mu)[clear], depth[clear] > 0)


def test_hull_close_to_a_facet():
    hull = ConvexHull(PHI)
    normal, offset = hull.equations[0, :-1], hull.equations[0, -1]
    on_facet = PHI[hull.simplices[0]].mean(axis=0)
    assert abs(normal @ on_facet + offset) < 1e-14
    distance = np.array([1e-3, 1e-6, 1e-9, 1e-12])[:, None]
    assert FAMILY.in_mean_space(on_facet - distance * normal).all()
    assert not FAMILY.in_mean_space(on_facet + distance * normal).any()


def test_boundary_is_refused():
    family = Finite(np.eye(4)[:, :3])
    for mu in ([0.2, 0.3, 0.5], [0.5, 0.5, 0.0], [0.0, 0.2, 0.2], [0.4, 0.4, 0.4]):
        with pytest.raises(InvalidMeanParameter, match="strictly inside the convex hull of the statistic table"):
            family.to_natural(mu)


def test_weight_margin():
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    assert weight_margin(square, np.array([0.5, 0.5])) == pytest.approx(0.25)
    assert weight_margin(square, np.array([0.5, 0.0])) == pytest.approx(0.0, abs=1e-9)
    assert weight_margin(square, np.array([0.5, -0.5])) < 0


def test_infinite_base_measure_takes_states_out():
    family = Finite(np.arange(4.0), [0.0, -np.inf, 0.0, 0.0])
    np.testing.assert_allclose(family.log_partition([0.0]), np.log(3))
    assert set(np.unique(family.sample([0.0], 1000, seed=0))) == {0, 2, 3}
    with pytest.raises(InvalidData, match="the base measure of this state is zero"):
        family.log_prob(1, [0.0])


def test_sampler_by_chi_square():
    theta = np.array([[0.5, 0.2, -1.0], [-1.0, 1.0, 1.0]])
    x = FAMILY.sample(theta, 50_000, seed=3)
    for row, values in zip(theta, x):
        p = np.array(oracle(row)[1], float)
        assert stats.chisquare(np.bincount(values, minlength=9), 50_000 * p).pvalue > 1e-9


def test_sum_law_mean_and_covariance():
    theta = np.broadcast_to([0.5, 0.2, -1.0], (4000, 3))
    draws = FAMILY.estimate_mean(theta, 100, seed=1, method="sum-law").mean
    cov = FAMILY.fisher_information(theta[0]) / 100
    z = (draws.mean(axis=0) - FAMILY.to_mean(theta[0])) / np.sqrt(np.diag(cov) / 4000)
    assert np.max(np.abs(z)) < 7
    size = np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    assert np.max(np.abs(np.cov(draws.T) - cov) / size) < 7 * np.sqrt(2 / 4000) * 1.1


@pytest.mark.parametrize(
    ("phi", "base", "message"),
    [
        (
            np.stack([np.arange(4.0), np.arange(4.0) ** 2, 3 - np.arange(4.0)], axis=1),
            None,
            r"\+1·φ\[0\] \+1·φ\[2\]",
        ),
        (np.ones(3), None, r"0 independent of the constant.*φ\[0\]"),
        (np.eye(3), None, "not minimal"),
        ([[0.0, 1.0], [1.0, 0.0]], None, "not minimal"),
        (np.zeros((0, 2)), None, "must be .states, dim."),
        (np.zeros((2, 2, 2)), None, "must be .states, dim."),
        ([0.0, np.nan], None, "NaN or infinite"),
        (["a", "b"], None, "array of real numbers"),
        ([0.0, 1.0], [0.0], r"log_base has shape \(1,\)"),
        ([0.0, 1.0], [0.0, np.inf], "NaN or \\+inf"),
        ([0.0, 1.0], [-np.inf, -np.inf], "no state has positive base measure"),
    ],
)
def test_bad_tables(phi, base, message):
    with pytest.raises(InvalidInput, match=message):
        Finite(phi, base)


@pytest.mark.parametrize("x", [-1, 9, 0.5])
def test_bad_states(x):
    with pytest.raises(InvalidData, match="integer from 0 to 8"):
        FAMILY.statistic(x)


def test_identity():
    assert Finite(PHI, BASE) == FAMILY
    assert Finite(PHI) != FAMILY
    assert repr(FAMILY) == "Finite(states=9, dim=3)"


def test_a_table_of_one_state_asks_for_the_transpose():
    for build in (lambda: Finite([[0, 1, 2, 3]]), lambda: Finite([0, 1], [0.0, -np.inf])):
        with pytest.raises(InvalidInput, match="one state only.*did you mean the transpose"):
            build()


def test_means_near_a_vertex_are_inverted_wherever_the_others_lie():
    """⟨θ, φ⟩ of the middle state and the peak cancel in A; near zero μ = e^θ to first order.

    Newton's last step on e^θ is below 1e-3 where the next would be lost in rounding; half its square is left.
    """
    family = Finite([0, 1, 4, 9])
    means = 10.0 ** -np.random.default_rng(0).uniform(9, 25, size=2000)
    assert np.allclose(family.to_natural(means[:, None])[:, 0], np.log(means), rtol=0, atol=1e-6)
    theta = np.linspace(-40, -10, 50)
    exact = [float(np.log1p(np.exp(t) + np.exp(4 * t) + np.exp(9 * t))) for t in theta]
    assert np.allclose(family.log_partition(theta[:, None]), exact, rtol=1e-13, atol=0)
