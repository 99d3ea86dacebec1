"""The checker: every kind of tampering is rejected, and the line that failed is named."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import expfam_game as eg
from expfam_game.certificates import Claim, Grade
from expfam_game.errors import CertificateRejected

F = eg.families


@pytest.fixture
def game():
    means = np.random.default_rng(5).uniform(0.1, 0.9, size=(5, 3))
    return eg.Game(F.Bernoulli(3), eg.Weights.ring(5, [0.3, 0.0, 0.2, 0.0, 0.1]), means=means)


def _bumped(array, where, to):
    result = np.array(array)
    result[where] = to if not callable(to) else to(result[where])
    return result


def _up(x):
    return np.nextafter(x, np.inf)


def _down(x):
    return np.nextafter(x, -np.inf)


def _graded(c, name, grade, reason="changed"):
    return {**c.claims, name: Claim(name, grade, reason)}


TAMPERINGS = {
    "a perturbed mean": ("C3", lambda c: {"mean": c.mean + 1e-9}),
    "one entry of the mean": ("C3", lambda c: {"mean": _bumped(c.mean, (2, 1), lambda x: x + 1e-12)}),
    "another lower end, by one float": ("C3", lambda c: {"mean_lower": _bumped(c.mean_lower, (0, 0), _up)}),
    "another upper end, by one float": ("C3", lambda c: {"mean_upper": _bumped(c.mean_upper, (4, 2), _down)}),
    "a smaller error": ("C3", lambda c: {"error_bound": _bumped(c.error_bound, 1, _down)}),
    "w is not a witness": ("C2", lambda c: {"w": np.ones(5)}),
    "w is negative": ("C2", lambda c: {"w": -c.w}),
    "w is scaled down": ("C2", lambda c: {"w": c.w / 2}),
    "one entry of w": ("C2", lambda c: {"w": _bumped(c.w, 0, lambda x: 2 * x)}),
    "s one float larger": ("C2", lambda c: {"s": float(_up(c.s))}),
    "s negative": ("C2", lambda c: {"s": -1.0}),
    "a smaller factor": ("C2", lambda c: {"contraction_factor": float(_down(c.contraction_factor))}),
    "a hop that is no edge": ("C1", lambda c: {"next_hop": _bumped(c.next_hop, 1, 3)}),
    "a hop to itself without data": ("C1", lambda c: {"next_hop": _bumped(c.next_hop, 1, 1)}),
    "lower end of the natural box": ("C4", lambda c: {"natural_lower": c.natural.copy()}),
    "upper end of the natural box": (
        "C4",
        lambda c: {"natural_upper": _bumped(c.natural_upper, (0, 0), c.natural[0, 0])},
    ),
    "a natural box somewhere else": (
        "C4",
        lambda c: {"natural_lower": c.natural_lower + 1, "natural_upper": c.natural_upper + 1},
    ),
    "another profile": ("C4", lambda c: {"natural": c.natural + 1e-6}),
    "a smaller regret, by one float": ("C5", lambda c: {"regret_upper": _bumped(c.regret_upper, 3, _down)}),
    "no regret at all": ("C5", lambda c: {"regret_upper": np.zeros(5)}),
    "negative regret": ("C5", lambda c: {"regret_upper": -c.regret_upper}),
    "another game": ("game", lambda c: {"fingerprint": "0" * 64}),
    "C4 exact": ("C4", lambda c: {"claims": _graded(c, "C4", Grade.EXACT)}),
    "C5 exact": ("C5", lambda c: {"claims": _graded(c, "C5", Grade.EXACT)}),
    "C4 only float": ("C5", lambda c: {"claims": _graded(c, "C4", Grade.FLOAT)}),
    "C1 not claimed": ("format", lambda c: {"claims": _graded(c, "C1", None)}),
    "C5 not claimed but there": ("format", lambda c: {"claims": _graded(c, "C5", None)}),
    "C4 claimed but not there": ("format", lambda c: {"natural_lower": None}),
    "a claim is missing": ("format", lambda c: {"claims": {"C1": c.claims["C1"]}}),
    "a claim without grade or reason": ("format", lambda c: {"claims": _graded(c, "C4", None, "")}),
    "a claim under another name": ("format", lambda c: {"claims": {**c.claims, "C4": c.claims["C5"]}}),
    "a grade of another type": ("format", lambda c: {"claims": _graded(c, "C4", "rigorous")}),
    "the profile is missing": ("format", lambda c: {"natural": None}),
    "NaN in the mean": ("format", lambda c: {"mean": _bumped(c.mean, (0, 0), np.nan)}),
    "NaN in w": ("format", lambda c: {"w": _bumped(c.w, 0, np.nan)}),
    "NaN in the regret": ("format", lambda c: {"regret_upper": _bumped(c.regret_upper, 0, np.nan)}),
    "an infinite box": ("format", lambda c: {"mean_upper": np.full((5, 3), np.inf)}),
    "NaN for s": ("format", lambda c: {"s": float("nan")}),
    "s of another type": ("format", lambda c: {"s": "1.0"}),
    "w of another shape": ("format", lambda c: {"w": c.w[:-1]}),
    "the mean of another shape": ("format", lambda c: {"mean": c.mean[:, :2]}),
    "the mean is flat": ("format", lambda c: {"mean": c.mean.ravel()}),
    "single precision": ("format", lambda c: {"mean_lower": c.mean_lower.astype(np.float32)}),
    "a hop out of range": ("format", lambda c: {"next_hop": c.next_hop + 5}),
    "an unknown arithmetic": ("format", lambda c: {"arithmetic": "fast"}),
    "a silly precision": ("format", lambda c: {"precision": 2}),
    "a fingerprint of another type": ("format", lambda c: {"fingerprint": 3}),
}


@pytest.mark.parametrize("grade", ["auto", "rigorous"])
@pytest.mark.parametrize(("claim", "change"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_is_rejected(game, solved, claim, change, grade):
    certificate = eg.certify(game, solved(game), grade=grade)
    assert eg.check(game, certificate)
    with pytest.raises(CertificateRejected) as rejection:
        eg.check(game, dataclasses.replace(certificate, **change(certificate)))
    assert rejection.value.claim == claim


RATIONAL = {
    "another numerator": (
        "C3",
        lambda c: {
            "mean_numerators": ((c.mean_numerators[0][0] + 1, *c.mean_numerators[0][1:]), *c.mean_numerators[1:])
        },
    ),
    "another denominator": ("C3", lambda c: {"mean_denominator": c.mean_denominator + 1}),
    "no denominator": ("format", lambda c: {"mean_denominator": None}),
    "denominator zero": ("format", lambda c: {"mean_denominator": 0}),
    "a row is missing": ("format", lambda c: {"mean_numerators": c.mean_numerators[1:]}),
    "rows that are no tuples": ("format", lambda c: {"mean_numerators": list(c.mean_numerators)}),
    "floats": ("format", lambda c: {"mean_numerators": tuple(tuple(map(float, row)) for row in c.mean_numerators)}),
    "the solution taken away": ("C3", lambda c: {"mean_numerators": None, "mean_denominator": None}),
}


@pytest.mark.parametrize(("claim", "change"), RATIONAL.values(), ids=RATIONAL.keys())
def test_tampering_with_the_exact_solution_is_rejected(game, solved, claim, change):
    certificate = eg.certify(game, solved(game))
    with pytest.raises(CertificateRejected) as rejection:
        eg.check(game, dataclasses.replace(certificate, **change(certificate)))
    assert rejection.value.claim == claim


@pytest.mark.parametrize("grade", ["auto", "rigorous", "float"])
def test_a_certificate_holds_for_its_own_game_only(game, solved, grade):
    certificate = eg.certify(game, solved(game), grade=grade)
    means = game.means.copy()
    means[0, 0] = np.nextafter(means[0, 0], 1)
    other = eg.Game(game.family, game.weights, means=means)
    with pytest.raises(CertificateRejected, match="another game"):
        eg.check(other, certificate)
    smaller = eg.Game(F.Bernoulli(2), game.weights, means=game.means[:, :2])
    with pytest.raises(CertificateRejected, match="shape"):
        eg.check(smaller, dataclasses.replace(certificate, fingerprint=smaller.fingerprint()))


def test_floats_cannot_be_passed_off_as_exact(game, solved):
    certificate = eg.certify(game, solved(game), grade="rigorous")
    for name in ("C2", "C3"):
        with pytest.raises(CertificateRejected) as rejection:
            eg.check(game, dataclasses.replace(certificate, claims=_graded(certificate, name, Grade.EXACT)))
        assert rejection.value.claim == name


def _float_certificate(solved):
    family = F.MarkovChain(2, 4)
    theta = np.outer([0.1, -0.1], np.ones(family.dim))
    game = eg.Game(family, eg.Weights.complete(2, 0.5), means=family.to_mean(theta))
    return game, eg.certify(game, solved(game, 1e-3))


@pytest.mark.parametrize("upgraded", [("C4",), ("C4", "C5"), ("C5",)])
def test_a_float_grade_cannot_be_upgraded(solved, upgraded):
    game, certificate = _float_certificate(solved)
    claims = dict(certificate.claims)
    for name in upgraded:
        claims[name] = Claim(name, Grade.RIGOROUS)
    with pytest.raises(CertificateRejected, match="C4|C5"):
        eg.check(game, dataclasses.replace(certificate, claims=claims))


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        ("C4", lambda c: {"natural_lower": c.natural}),
        ("C4", lambda c: {"natural_upper": (c.natural + c.natural_upper) / 2}),
        ("C5", lambda c: {"regret_upper": c.regret_upper * 0.9}),
    ],
)
def test_float_claims_are_computed_anew(solved, claim, change):
    game, certificate = _float_certificate(solved)
    with pytest.raises(CertificateRejected) as rejection:
        eg.check(game, dataclasses.replace(certificate, **change(certificate)))
    assert rejection.value.claim == claim


def test_float_claims_about_an_impossible_profile_are_rejected(solved):
    game = eg.Game(F.Exponential(), eg.Weights.complete(2, 0.5), means=[[1.0], [2.0]])
    plain, proved = eg.certify(game, solved(game), grade="float"), eg.certify(game, solved(game))
    with pytest.raises(CertificateRejected, match="C4"):
        eg.check(game, dataclasses.replace(plain, natural=-plain.natural))
    with pytest.raises(CertificateRejected, match="natural parameter space"):
        eg.check(game, dataclasses.replace(proved, natural=-proved.natural))


def test_a_float_box_at_the_boundary_is_rejected(solved):
    game = eg.catalog.two_agents()
    plain = eg.certify(game, solved(game), grade="float")
    wide = np.full((2, 1), 1.5)
    with pytest.raises(CertificateRejected, match="no box"):
        eg.check(game, dataclasses.replace(plain, mean_upper=wide, error_bound=np.full(2, 2.0)))


def test_larger_bounds_and_worse_grades_are_accepted(game, solved):
    """A certificate may say less than can be proved."""
    c = eg.certify(game, solved(game))
    weaker = {
        "error_bound": 2 * c.error_bound,
        "contraction_factor": 0.999,
        "s": c.s / 2,
        "regret_upper": 2 * c.regret_upper,
        "claims": _graded(c, "C3", Grade.RIGOROUS),
    }
    assert eg.check(game, dataclasses.replace(c, **weaker))


def test_checking_loads_no_solver():
    script = (
        "import sys, numpy as np, expfam_game as eg\n"
        "from types import SimpleNamespace\n"
        "game = eg.catalog.two_agents()\n"
        "mean = np.array([[5 / 12], [7 / 12]])\n"
        "sol = SimpleNamespace(mean=mean, natural=np.log(mean / (1 - mean)))\n"
        "eg.check(game, eg.Certificate.from_json(eg.certify(game, sol).to_json()))\n"
        "bad = [m for m in sys.modules if m.startswith(('expfam_game.solvers', 'expfam_game.testing', 'expfam_game.bridge'))]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_checker_does_not_load_what_makes_certificates():
    script = (
        "import sys, expfam_game.certificates.check\n"
        "assert 'expfam_game.certificates.certify' not in sys.modules\n"
        "assert 'expfam_game.game' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_checker_uses_no_solution_of_the_game(monkeypatch, game, solved):
    certificate = eg.certify(game, solved(game))
    copy = eg.Game(game.family, eg.Weights.from_dense(game.weights.to_dense()), means=game.means)

    def refuse(*_):
        raise AssertionError("the checker solved something")

    for name in ("v", "equilibrium_mean", "spectral_radius"):
        monkeypatch.setattr(eg.Game, name, property(refuse))
    assert eg.check(copy, certificate)


def test_solutions_may_be_any_object_with_two_arrays(game):
    mean = game.equilibrium_mean
    listed = SimpleNamespace(mean=mean.tolist(), natural=game.family.to_natural(mean).tolist())
    certificate = eg.certify(game, listed)
    assert eg.check(game, certificate)
    mean[0, 0] = 7.0
    assert certificate.mean[0, 0] != 7.0
    with pytest.raises(ValueError, match="read-only"):
        certificate.mean[0, 0] = 7.0


@pytest.mark.parametrize("name", ["regret_upper", "error_bound", "mean_upper"])
def test_masked_entries_hide_nothing(game, name):
    certificate = eg.certify(game, eg.solve(game))
    values = getattr(certificate, name)
    masked = np.ma.array(np.zeros_like(values), mask=np.ones(values.shape, dtype=bool))
    with pytest.raises(CertificateRejected, match="format"):
        eg.check(game, dataclasses.replace(certificate, **{name: masked}))


def test_a_certificate_keeps_its_own_copy_of_its_numbers(game):
    certificate = eg.certify(game, eg.solve(game))
    mine = np.array(certificate.regret_upper)
    copy = dataclasses.replace(certificate, regret_upper=mine)
    mine[:] = 0.0
    assert np.all(copy.regret_upper > 0)


def test_other_objects_are_refused_by_name(game):
    solution = eg.solve(game)
    with pytest.raises(CertificateRejected, match="expected a Certificate, got Solution"):
        eg.check(game, solution)
    first, second = "the first argument of certify, game, is of type", "the second argument of certify, sol, is of type"
    for arguments, message in (
        ((solution, game), f"{first} Solution; .*; the two arguments are swapped$"),
        ((game.weights, solution), f"{first} Weights; it must be a Game or a HeterogeneousGame$"),
        ((game, solution.mean), f"{second} ndarray; it must be a Solution, or anything that has mean and natural$"),
        ((game, None), f"{second} NoneType"),
    ):
        with pytest.raises(eg.errors.InvalidInput, match=message):
            eg.certify(*arguments)
