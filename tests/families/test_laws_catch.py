"""The battery has teeth: a family with one defect breaks the law that is about that defect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from expfam_game.errors import InvalidInput
from expfam_game.families.bernoulli import Bernoulli
from expfam_game.families.exponential import Exponential
from expfam_game.testing import LAWS, LawBroken, check_family, laws

THETAS = {Bernoulli: np.array([[0.3, -1.0], [-2.0, 0.5]]), Exponential: np.array([[-0.7], [-3.0]])}


def broken(parent: type, **methods: Callable[..., Any]) -> Any:
    """An instance of ``parent`` with some methods replaced."""
    kind = dataclass(frozen=True, eq=False)(type("Broken" + parent.__name__, (parent,), methods))
    return kind(2) if parent is Bernoulli else kind()


def scaled(parent: type, name: str, factor: float) -> Any:
    """An instance whose method ``name`` is off by a relative error of ``factor``."""
    original = getattr(parent, name)
    return broken(parent, **{name: lambda self, *args: original(self, *args) * (1.0 + factor)})


DEFECTS = [
    (laws.mean_is_gradient_of_log_partition, scaled(Bernoulli, "_to_mean", 1e-9)),
    (laws.mean_is_gradient_of_log_partition, scaled(Exponential, "_log_partition", 1e-9)),
    (laws.fisher_is_jacobian_of_mean, scaled(Bernoulli, "_fisher_information", 1e-8)),
    (laws.fisher_is_jacobian_of_mean, scaled(Exponential, "_fisher_information", 1e-8)),
    (
        laws.fisher_is_symmetric_positive_definite,
        broken(Bernoulli, _fisher_information=lambda self, theta: 0.2 * np.ones((*theta.shape, 2))),
    ),
    (
        laws.fisher_is_symmetric_positive_definite,
        broken(
            Bernoulli,
            _fisher_information=lambda self, theta: np.eye(2) + [[0.0, 1e-9], [0.0, 0.0]] + 0 * theta[..., None],
        ),
    ),
    (laws.variance_is_diagonal_of_fisher, scaled(Exponential, "_fisher_information", 1e-8)),
    (
        laws.variance_is_diagonal_of_fisher,
        broken(
            Bernoulli,
            _fisher_information=lambda self, theta: self._variance(theta)[..., None] * [[1, 0.1], [0.1, 1]],
        ),
    ),
    (laws.kl_is_bregman_divergence, scaled(Bernoulli, "_kl", 1e-7)),
    (
        laws.kl_is_accurate_nearby,
        broken(Exponential, _kl=lambda self, a, b: (np.log(-a) - np.log(-b) + b / a - 1.0)[..., 0]),  # it cancels
    ),
    (
        laws.kl_is_zero_only_at_equality,
        broken(Bernoulli, _kl=lambda self, a, b: np.full(a.shape[:-1], 1e-12)),
    ),
    (laws.kl_is_zero_only_at_equality, broken(Bernoulli, _kl=lambda self, a, b: np.zeros(a.shape[:-1]))),
    (laws.fenchel_young, scaled(Bernoulli, "_to_natural", 1e-5)),
    (laws.round_trip, scaled(Bernoulli, "_to_natural", 1e-9)),
    (laws.round_trip, scaled(Exponential, "_to_mean", 1e-9)),
    (
        laws.log_prob_is_the_exponential_form,
        broken(Exponential, log_prob=lambda self, x, theta: np.asarray(x) * np.asarray(theta)[..., 0]),
    ),
    (
        laws.log_prob_is_the_exponential_form,
        broken(Exponential, _sample=lambda self, theta, n, rng: -np.ones((*theta.shape[:-1], n))),
    ),
    (laws.log_prob_normalises, broken(Exponential, _log_base=lambda self, x: np.full(x.shape, 1e-7))),
    (laws.log_prob_normalises, broken(Bernoulli, _log_base=lambda self, x: np.full(x.shape[:-1], 1e-12))),
    (laws.entropy_is_expected_surprise, scaled(Exponential, "_entropy", 1e-7)),
    (laws.entropy_is_expected_surprise, scaled(Bernoulli, "_entropy", 1e-9)),
    (
        laws.samples_have_the_mean,
        broken(
            Exponential,
            _draws_of_t=lambda self, theta, n, rng: 1.05 * rng.standard_exponential((*theta.shape[:-1], n)) / -theta,
        ),
    ),
    (laws.samples_have_the_mean, scaled(Exponential, "_sum_law", 0.01)),
    (
        laws.samples_have_the_covariance,  # right mean, wrong law
        broken(
            Exponential,
            _draws_of_t=lambda self, theta, n, rng: 2.0 * rng.random((*theta.shape[:-1], n)) / -theta,
        ),
    ),
    (
        laws.samples_have_the_covariance,
        broken(
            Exponential,
            _sum_law=lambda self, theta, n, rng: rng.standard_gamma(2.0 * n, theta.shape) / (2 * n * -theta),
        ),
    ),
    (laws.standard_errors_are_honest, scaled(Exponential, "_variance", 0.5)),
    (
        laws.seeding_is_reproducible,
        broken(
            Exponential,
            _sample=lambda self, theta, n, rng: np.random.default_rng().random((*theta.shape[:-1], n)),
        ),
    ),
    (
        laws.seeding_is_reproducible,
        broken(Exponential, _sample=lambda self, theta, n, rng: np.linspace(1, 2, n) + 0 * theta),
    ),
    (
        laws.batches_are_row_by_row,
        broken(Exponential, _log_partition=lambda self, theta: -np.log(-theta.reshape(-1, 1)[:, 0])),
    ),
    (
        laws.batches_are_row_by_row,
        broken(Bernoulli, _to_mean=lambda self, theta: 1 / (1 + np.exp(-theta)) + 1e-6 * (theta.ndim > 2)),
    ),
    (
        laws.bad_parameters_are_rejected,
        broken(Bernoulli, _checked_natural=lambda self, theta: np.asarray(theta)),
    ),
    (laws.bad_samples_are_rejected, broken(Exponential, _checked_samples=lambda self, x: np.asarray(x))),
    (
        laws.points_outside_are_rejected,
        broken(Bernoulli, _mean_rules=lambda self, mu: [(mu < 1, "below one")]),
    ),
    (
        laws.points_outside_are_rejected,
        broken(Exponential, _natural_rules=lambda self, theta: [(theta < 1, "below one")]),
    ),
    (laws.reference_mean_is_inside, broken(Bernoulli, reference_mean=lambda self: np.ones(2))),
    (laws.reference_mean_is_inside, broken(Bernoulli, reference_mean=lambda self: np.ones(3) / 2)),
    (laws.fingerprint_identifies, broken(Bernoulli, fingerprint=lambda self: str(id(self)))),
    (laws.fingerprint_identifies, broken(Bernoulli, statistic_names=("x", "x"))),
]


@pytest.mark.parametrize(("law", "family"), DEFECTS, ids=[f"{law.__name__}-{k}" for k, (law, _) in enumerate(DEFECTS)])
def test_a_defect_breaks_its_law(law, family) -> None:
    thetas = THETAS[type(family).__mro__[1]]
    with pytest.raises(LawBroken) as caught, np.errstate(all="ignore"):
        check_family(family, thetas, laws=[law])
    assert caught.value.law == law.__name__
    assert caught.value.family is family
    assert law.__name__ in str(caught.value)
    assert type(family).__name__ in str(caught.value)


def test_every_law_has_a_defect() -> None:
    assert {law for law, _ in DEFECTS} == set(LAWS)


def test_the_message_names_parameter_and_numbers() -> None:
    with pytest.raises(
        LawBroken, match=r"round_trip: BrokenBernoulli\(dim=2\) at θ = .*0\.3.*is .*, expected .* within"
    ):
        check_family(scaled(Bernoulli, "_to_natural", 1e-9), [0.3, -1.0])


def test_an_exception_inside_a_family_becomes_a_broken_law() -> None:
    def fail(self, theta):
        raise InvalidInput("no such thing")

    with pytest.raises(LawBroken, match="InvalidInput: no such thing") as caught:
        check_family(broken(Bernoulli, _entropy=fail), THETAS[Bernoulli])
    assert caught.value.law == "entropy_is_expected_surprise"
    assert isinstance(caught.value, AssertionError)
