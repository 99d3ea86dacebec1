"""T2: μ* = R m, and R of the named games as rational functions of the self-weight a."""

import pytest
import sympy as sp

import expfam_game as eg
from proofs.symbolic.exact import assert_close, is_zero, ones, weights

a, n = sp.symbols("a N", positive=True)
EXACT = (sp.Rational(1, 8), sp.Rational(1, 2), sp.Rational(7, 8))
"""Self-weights that float64 holds exactly."""


def influence(own, others):
    """R = (I − B)^{-1} D."""
    return (sp.eye(others.rows) - others).inv() * own


def two_agents(self_weight):
    return sp.Matrix([[1, 1 - self_weight], [1 - self_weight, 1]]) / (2 - self_weight)


def complete(size, self_weight):
    b = (1 - self_weight) / (size - 1)
    return (self_weight * sp.eye(size) + b * sp.ones(size, size)) / (1 + b)


def ring(size, self_weight):
    return sp.Matrix(
        size, size, lambda i, j: self_weight * (1 - self_weight) ** ((j - i) % size) / (1 - (1 - self_weight) ** size)
    )


def star(size, self_weight):
    """Agent 0 hears all leaves equally, the leaves hear agent 0; all have the same self-weight."""
    hub = 1 / (2 - self_weight)

    def entry(i, j):
        if i == 0:
            return hub if j == 0 else (1 - self_weight) * hub / (size - 1)
        through_hub = (1 - self_weight) * (hub if j == 0 else (1 - self_weight) * hub / (size - 1))
        return through_hub + (self_weight if i == j else 0)

    return sp.Matrix(size, size, entry)


def topology(name, size, self_weight):
    """D and B."""
    b = 1 - self_weight
    others = {
        "complete": lambda i, j: 0 if i == j else b / (size - 1),
        "ring": lambda i, j: b if j == (i + 1) % size else 0,
        "star": lambda i, j: b if j == 0 < i else (b / (size - 1) if i == 0 < j else 0),
    }[name]
    return self_weight * sp.eye(size), sp.Matrix(size, size, others)


FORMULAS = {"complete": complete, "ring": ring, "star": star}


@pytest.mark.parametrize("size", range(2, 7))
@pytest.mark.parametrize("name", FORMULAS)
def test_T2_the_influence_matrix_of_a_named_game(name, size):
    """(I − B) R = D for free a, so R is the inverse times D; its rows sum to one."""
    own, others = topology(name, size, a)
    stated = FORMULAS[name](size, a)
    assert is_zero((sp.eye(size) - others) * stated - own)
    assert is_zero(stated * ones(size) - ones(size))


def test_T2_two_agents():
    own, others = topology("complete", 2, a)
    assert is_zero(influence(own, others) - two_agents(a))


def test_T2_complete_graph_of_any_size():
    """Matrices x I + y J multiply by x x' I + (x y' + y x' + N y y') J: the check for all N at once."""
    b = (1 - a) / (n - 1)
    identity, everyone = a / (1 + b), b / (1 + b)  # R = identity I + everyone J
    system = (1 + b, -b)  # I − B
    assert is_zero(system[0] * identity - a)
    assert is_zero(system[0] * everyone + system[1] * identity + n * system[1] * everyone)


def test_T2_ring_of_any_size():
    """Row i of (I − B) R = D: R_k − (1 − a) R_{k−1} vanishes for distances 1 … N − 1, and distance 0 follows N − 1."""
    k = sp.Symbol("k", integer=True, positive=True)
    size = sp.Symbol("N", integer=True, positive=True)
    keep = sp.Symbol("b", positive=True)  # 1 − a

    def law(distance):
        return (1 - keep) * keep**distance / (1 - keep**size)

    assert is_zero(sp.simplify(law(k) - keep * law(k - 1)))
    assert is_zero(sp.simplify(law(0) - keep * law(size - 1) - (1 - keep)))


def test_T2_star_of_any_size():
    """Hub and leaf equations with N − 1 leaves: the four kinds of entries of (I − B) R − D."""
    hub = 1 / (2 - a)
    hub_leaf = (1 - a) * hub / (n - 1)
    leaf_hub, leaf_other = (1 - a) * hub, (1 - a) * hub_leaf
    leaf_self = leaf_other + a
    share = (1 - a) / (n - 1)
    assert is_zero(hub - (n - 1) * share * leaf_hub - a)
    assert is_zero(hub_leaf - share * (leaf_self + (n - 2) * leaf_other))
    assert is_zero(leaf_hub - (1 - a) * hub)
    assert is_zero(leaf_self - (1 - a) * hub_leaf - a)


@pytest.mark.parametrize("self_weight", EXACT)
@pytest.mark.parametrize("name", FORMULAS)
def test_T2_the_package_computes_these_matrices(name, self_weight):
    make = {"complete": eg.Weights.complete, "ring": eg.Weights.ring, "star": eg.Weights.star}[name]
    game = eg.Game(eg.families.Bernoulli(1), make(5, float(self_weight)), means=[[0.5]] * 5)
    assert_close(game.influence(), FORMULAS[name](5, self_weight))


@pytest.mark.parametrize("size", [2, 3])
def test_T2_any_anchored_weights_have_one_equilibrium_and_a_stochastic_influence_matrix(size):
    """For free weights: det(I − B) is not the zero polynomial, R1 = 1, and R m is the fixed point."""
    own, others, _ = weights(size)
    system = sp.eye(size) - others
    assert not is_zero(system.det())
    stated = influence(own, others)
    assert is_zero(stated * ones(size) - ones(size))
    means = sp.Matrix(sp.symbols(f"m1:{size + 1}", real=True))
    assert is_zero(own * means + others * (stated * means) - stated * means)


def test_T2_without_data_there_is_a_line_of_equilibria():
    """a = 0: det(I − B) = 0 and the kernel is the constant profiles."""
    _, others = topology("complete", 4, sp.Integer(0))
    system = sp.eye(4) - others
    assert system.det() == 0
    assert system.nullspace() == [ones(4)]


def test_T2_limits_in_the_self_weight():
    """a → 1: isolated learning; a → 0: uniform pooling on a complete graph and on a ring."""
    for name in ("complete", "ring"):
        stated = FORMULAS[name](4, a).applyfunc(sp.cancel)
        assert stated.subs(a, 1) == sp.eye(4)
        assert stated.applyfunc(lambda entry: sp.limit(entry, a, 0)) == sp.ones(4, 4) / 4


def test_T2_the_equilibrium_minimises_kl_to_the_mixture_of_data():
    """For a saturated family on three states, the gradient of KL(Σ_j R_ij π_j ‖ p_θ) vanishes where p_θ is the mixture."""
    t1, t2 = sp.symbols("theta1 theta2", real=True)
    p1, p2 = sp.symbols("p1 p2", positive=True)  # the mixture
    total = 1 + sp.exp(t1) + sp.exp(t2)
    cross_entropy = sp.log(total) - p1 * t1 - p2 * t2
    model = (sp.exp(t1) / total, sp.exp(t2) / total)
    gradient = [sp.diff(cross_entropy, t) for t in (t1, t2)]
    assert is_zero([g - (q - p) for g, q, p in zip(gradient, model, (p1, p2), strict=True)])
