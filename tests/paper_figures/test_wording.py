"""Sentences that hold for the numbers at hand, and ticks that can be read."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from paper_figures import fashion_four_agents, five_modalities
from paper_figures.fashion_four_agents import WAYS, Outcome, Task
from paper_figures.wording import against, decimal_ticks, when


def test_comparisons_are_those_of_the_printed_numbers():
    assert against(0.7467, 0.78) == "0.747, below 0.780"
    assert against(0.8, 0.78) == "0.800, above 0.780"
    assert against(0.78001, 0.78) == "0.780, as much as 0.780"
    assert when(np.bool_(True), "yes", "no") == "yes"
    assert when(2 < 1, "yes") == ""


@pytest.mark.parametrize("limits", [(0.3, 20.0), (0.85, 1.1), (7.5, 10.5), (0.006, 0.05), (1e-4, 1e3)])
def test_ticks_of_logarithmic_axes_are_few_and_inside(limits):
    ax = Figure().subplots()
    ax.set_yscale("log")
    ax.set_ylim(limits)
    decimal_ticks(ax.yaxis)
    ticks = ax.get_yticks()
    assert 3 <= len(ticks) <= 8
    assert np.all((ticks >= limits[0]) & (ticks <= limits[1]))
    assert len({ax.yaxis.get_major_formatter()(tick) for tick in ticks}) == len(ticks)


def fashion(taught):
    accuracy = {way: np.full(4, 0.7) for way in WAYS} | {"taught": np.full(4, taught)}
    by_round = np.array([[0.7] * 4, [0.8] * 4, [0.79] * 4, [0.78] * 4])
    return {
        10: [Outcome(Task(10, s), accuracy | {"one-shot": by_round[1], "game": by_round[-1]}, by_round) for s in (0, 1)]
    }


def test_the_reading_of_four_agents_follows_the_numbers():
    said = fashion_four_agents._reading(fashion(0.72))
    assert "Samples serve other learners as well: with 10 examples" in said
    assert "against its first exchange: 0.780, below 0.800 with 10 a class" in said
    assert "Samples serve" not in fashion_four_agents._reading(fashion(0.6))


def modalities(classifier, rounds):
    """Views and chains of two seeds whose accuracy falls after the first exchange, most in the fourth kind."""
    accuracy = np.full((rounds + 1, 5), 0.8)
    accuracy[2:, 3] -= 0.3
    square, one = np.full((5, 5), 0.6), np.full(5, 0.9)
    view = {"accuracy": accuracy, "real": one, "classifier": np.full(5, classifier), "judge": one, "crisp": square,
            "light": np.linspace(0.7, 0.6, rounds + 1), "plain": square, "painted": square + 0.1}  # fmt: skip
    second = np.full((rounds + 1, 3), 0.5)
    chain = {"second": second, "coherence": 0.7, "composed": 0.5, "judge": 0.9, "spread": 0.8}
    return [view] * 2, {1.0: [chain] * 2, 0.01: [chain] * 2}


def test_the_reading_of_five_modalities_follows_the_numbers():
    said = five_modalities._reading(*modalities(0.5, rounds=3))
    assert "Later rounds change the mean by -0.060, most for tissue (-0.300)." in said
    assert "has 0.500, below 0.740 of the game" in said
    assert "has an accuracy of 0.600, below 0.700 alone; whether the loss" in said
    assert "after that its accuracy changes by +0.000" in said
    assert "recognises less of it" not in said  # here drawings that are sampled are recognised better
    short = five_modalities._reading(*modalities(0.9, rounds=1))
    assert "Only one exchange was made." in short
    assert "has 0.900, above 0.800 of the game" in short
    assert "after that its accuracy" not in short


def test_every_change_that_the_reading_of_five_modalities_names_has_a_row():
    found = {f.what: f.median for f in five_modalities._findings(*modalities(0.5, rounds=3))}
    assert found["… the end less one exchange"] == pytest.approx(-0.06)
    assert found["chain, agent B: accuracy at the end less that after round 2; A labelled"] == 0.0
    assert any(what.startswith("tissue:") for what in found)
