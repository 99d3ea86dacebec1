"""Product: every quantity against the factors taken one by one, and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from expfam_game.errors import InvalidData, InvalidInput, InvalidMeanParameter, InvalidNaturalParameter
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.families.finite import Finite
from expfam_game.families.from_statistic import FromStatistic
from expfam_game.families.ising import Ising
from expfam_game.families.product import Product

TABLE = Finite([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 1.0]])
LINE = FromStatistic(lambda x: x, None, (0.0, np.inf), nodes=512)
MIXED = Product([Bernoulli(dim=2), TABLE, Ising.chain(2), Bernoulli(dim=2), TABLE, TABLE, LINE])


def natural(lead=(4,)):
    theta = np.random.default_rng(1).normal(size=(*lead, MIXED.dim))
    theta[..., -1] = -np.exp(theta[..., -1])
    return theta


def split(theta):
    """One (factor, its slice) at a time: the naive reading of the definition."""
    at = 0
    for factor in MIXED.factors:
        yield factor, theta[..., at : at + factor.dim]
        at += factor.dim


def test_shapes_and_names():
    assert MIXED.dim == 2 + 2 + 3 + 2 + 2 + 2 + 1
    assert MIXED.event_shape == (10,)
    assert not MIXED.separable
    assert Product([Bernoulli(), Bernoulli(dim=3)]).separable
    assert Product([Bernoulli(dim=2), Ising.chain(2)]).statistic_names == (
        "[0] x[0]", "[0] x[1]", "[1] x[0]", "[1] x[1]", "[1] x[0]x[1]",
    )  # fmt: skip
    assert repr(Product([Bernoulli()] * 16 + [TABLE])) == "Product([Bernoulli(dim=1)]*16 + [Finite(states=4, dim=2)])"
    many = Product([Bernoulli(dim=k) for k in range(1, 8)])
    assert repr(many).endswith("+ …)")


@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (0,)])
def test_sums_and_concatenations(lead):
    theta = natural(lead)
    other = theta * 1.1
    parts = list(split(theta))
    pairs = [(f, a, b) for (f, a), (_, b) in zip(parts, split(other))]
    total = {
        "log_partition": sum(f.log_partition(a) for f, a in parts),
        "entropy": sum(f.entropy(a) for f, a in parts),
    }
    for name, expected in total.items():
        np.testing.assert_allclose(getattr(MIXED, name)(theta), expected, rtol=1e-13)
    np.testing.assert_allclose(MIXED.kl(theta, other), sum(f.kl(a, b) for f, a, b in pairs), rtol=1e-13)
    for name in ("to_mean", "variance"):
        expected = np.concatenate([getattr(f, name)(a) for f, a in parts], axis=-1)
        np.testing.assert_allclose(getattr(MIXED, name)(theta), expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(MIXED.to_natural(MIXED.to_mean(theta)), theta, rtol=1e-9, atol=1e-10)


def test_fisher_is_block_diagonal():
    from scipy.linalg import block_diag

    theta = natural((3,))
    for k in range(3):
        expected = block_diag(*[f.fisher_information(a) for f, a in split(theta[k])])
        np.testing.assert_allclose(MIXED.fisher_information(theta)[k], expected, rtol=1e-12, atol=1e-15)


def test_density_is_the_product_of_the_densities():
    theta = natural((5,))
    x = MIXED.sample(theta, 7, seed=0)
    assert x.shape == (5, 7, 10)
    assert x.dtype == np.float64
    at, expected = 0, np.zeros((5, 7))
    for factor, part in split(theta[:, None, :]):
        size = int(np.prod(factor.event_shape, dtype=int))
        value = x[..., at : at + size].reshape(5, 7, *factor.event_shape)
        expected += factor.log_prob(value, part)
        at += size
    np.testing.assert_allclose(MIXED.log_prob(x, theta[:, None, :]), expected, rtol=1e-12)


def test_integer_samples_stay_integers():
    assert np.issubdtype((Bernoulli() ** 3).sample(np.zeros(3), 4, seed=0).dtype, np.integer)


def test_samples_have_the_means_and_no_correlation_between_factors():
    theta = natural(())
    n = 40_000
    phi = MIXED.statistic(MIXED.sample(theta, n, seed=5))
    z = (phi.mean(axis=0) - MIXED.to_mean(theta)) / np.sqrt(MIXED.variance(theta) / n)
    assert np.max(np.abs(z)) < 7
    across = np.corrcoef(phi.T)[:2, 2:]
    assert np.max(np.abs(across)) < 7 / np.sqrt(n)


def test_sample_statistic_has_the_layout_of_the_statistic():
    theta = natural((2,))
    rng = np.random.default_rng(0)
    phi = MIXED._sample_statistic(theta, 20_000, rng)
    assert phi.shape == (2, 20_000, MIXED.dim)
    z = (phi.mean(axis=1) - MIXED.to_mean(theta)) / np.sqrt(MIXED.variance(theta) / 20_000)
    assert np.max(np.abs(z)) < 7


def test_sum_law_only_if_every_factor_has_one():
    assert MIXED._sum_law(natural((2,)), 10, np.random.default_rng(0)) is None
    family = Product([Bernoulli(), TABLE, Bernoulli()])
    theta = np.array([0.3, 0.1, -0.2, -1.0])
    draws = np.array([family.estimate_mean(theta, 50, seed=k, method="sum-law").mean for k in range(2000)])
    z = (draws.mean(axis=0) - family.to_mean(theta)) / np.sqrt(family.variance(theta) / 50 / 2000)
    assert np.max(np.abs(z)) < 7
    p = 1 / (1 + np.exp(-0.3))
    counts = np.bincount(np.rint(50 * draws[:, 0]).astype(int), minlength=51)
    expected = 2000 * stats.binom(50, p).pmf(np.arange(51))
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    assert stats.chisquare(observed, np.append(expected[~rare], expected[rare].sum())).pvalue > 1e-9


def test_nested_products_flatten_and_compare_equal():
    nested = Product([Product([Bernoulli(), TABLE]), Product([Product([TABLE])])])
    assert nested == Product([Bernoulli(), TABLE, TABLE])
    assert hash(nested) == hash(Product([Bernoulli(), TABLE, TABLE]))
    assert nested != Product([TABLE, Bernoulli(), TABLE])
    assert len((nested**3).factors) == 9


def test_equal_factors_cost_one_call(monkeypatch):
    calls = []
    original = Bernoulli._to_mean
    monkeypatch.setattr(Bernoulli, "_to_mean", lambda self, theta: calls.append(1) or original(self, theta))
    family = Product([Bernoulli(dim=2) for _ in range(5000)])
    assert family.to_mean(np.zeros(10_000)).shape == (10_000,)
    assert len(calls) == 1


def test_errors_name_the_entry_of_the_product():
    mu = np.full((2, MIXED.dim), 0.5)
    mu[:, 2:4] = mu[:, 9:11] = mu[:, 11:13] = TABLE.reference_mean()
    mu[1, 8] = 1.5
    with pytest.raises(InvalidMeanParameter, match=r"agent 1, entry 8 \(\[3\] x\[1\]\) is 1.5") as caught:
        MIXED.to_natural(mu)
    assert (caught.value.agent, caught.value.entry) == (1, 8)
    mu[1, 8] = 0.5
    mu[0, 11:13] = (0.5, 0.001)  # inside the ranges of both statistics, outside the hull
    with pytest.raises(InvalidMeanParameter) as caught:
        MIXED.to_natural(mu)
    assert (caught.value.agent, caught.value.entry) == (0, 11)
    assert MIXED.in_mean_space(mu).tolist() == [False, True]


def test_errors_of_natural_parameters_and_samples():
    theta = natural((3,))
    theta[2, -1] = 0.5
    with pytest.raises(InvalidNaturalParameter, match="does not decay") as caught:
        MIXED.to_mean(theta)
    assert (caught.value.agent, caught.value.entry) == (2, MIXED.dim - 1)
    assert MIXED.in_natural_space(theta).tolist() == [True, True, False]
    x = MIXED.sample(natural((3,)), 1, seed=0)[:, 0]
    x[1, 2] = 4.0
    with pytest.raises(InvalidData, match="sample 1, entry 2 is 4.0"):
        MIXED.statistic(x)
    x[1, 2], x[2, 9] = 0.0, -1.0
    with pytest.raises(InvalidData, match="sample 2, entry 9"):
        MIXED.statistic(x)


def test_bad_factors():
    with pytest.raises(InvalidInput, match="there are no factors"):
        Product([])
    with pytest.raises(InvalidInput, match="factor 1 is 'x'"):
        Product([Bernoulli(), "x"])
    with pytest.raises(InvalidInput, match="no factors"):
        Bernoulli() ** 0
