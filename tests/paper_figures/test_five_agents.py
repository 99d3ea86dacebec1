"""Five agents: how data and graphs are divided, federated averaging, what is said of a game, and that the figure is made."""

import itertools
import json
import math

import networkx
import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import log_softmax
from scipy.special import softmax as scipy_softmax

from benchmarks.report import save_json
from expfam_game.samples import SampleSet
from paper_figures import five_agents, five_agents_games, measures
from paper_figures.data import Part
from paper_figures.making import draw_again
from paper_figures.report import save

# ---------------------------------------------------------------------- federated averaging


def toy_part(n, seed):
    rng = np.random.default_rng(seed)
    return Part(rng.integers(0, 2, (n, 4)).astype(np.uint8), rng.integers(0, 10, n))


def test_softmax_agrees_with_scipy_also_where_exponentials_overflow():
    scores = np.array([[0.0, 1.0, -2.0], [1e4, -1e4, 1e4], [-1e300, 0.0, 1.0]])
    np.testing.assert_allclose(measures.softmax(scores), scipy_softmax(scores, axis=1), rtol=1e-15, atol=0)


def test_one_agent_takes_a_gradient_step_of_the_cross_entropy():
    part = toy_part(12, 0)
    x = measures.with_constant(part.images)

    def cross_entropy(flat):
        return -log_softmax(x @ flat.reshape(5, 10), axis=1)[np.arange(12), part.labels].mean()

    # The second round starts away from zero, where the gradient is not that of equal probabilities.
    first, second = measures.federated_softmax([part], 2, seed=0, rate=0.3, batch=12)
    for before, after in ((np.zeros((5, 10)), first), (first, second)):
        gradient = approx_fprime(before.ravel(), cross_entropy, 1e-7).reshape(5, 10)
        np.testing.assert_allclose(before - after, 0.3 * gradient, atol=1e-6)


def test_agents_count_by_their_numbers_of_images():
    few, many = toy_part(5, 1), toy_part(15, 2)
    alone = [next(measures.federated_softmax([part], 1, seed=0, batch=20)) for part in (few, many)]
    together = next(measures.federated_softmax([few, many], 1, seed=0, batch=20))
    np.testing.assert_allclose(together, 0.25 * alone[0] + 0.75 * alone[1], rtol=1e-12, atol=1e-15)


def test_federated_averaging_learns_separable_images():
    labels = np.arange(200) % 10
    part = Part(np.eye(10, dtype=np.uint8)[labels], labels)
    *_, last = measures.federated_softmax([part.take(np.flatnonzero(labels < 5)), part.take(np.flatnonzero(labels >= 5))], 60, seed=0, batch=10)  # fmt: skip
    assert np.array_equal((measures.with_constant(part.images) @ last).argmax(axis=1), labels)


@pytest.mark.parametrize("processes", [1, 2])
def test_tasks_keep_their_order(processes):
    assert measures.side_by_side(math.sqrt, [9.0, 4.0, 1.0], "roots", processes) == [3.0, 2.0, 1.0]


# ---------------------------------------------------------------------- who knows what and who listens to whom


def test_each_agent_gets_all_images_of_two_digits(small_digits):
    train = small_digits().train
    parts = five_agents_games.divide(train, five_agents_games.Game("", 0))
    for i, part in enumerate(parts):
        assert set(part.labels) == {2 * i, 2 * i + 1}
    assert sum(map(len, parts)) == len(train)


def test_skewed_shares_use_every_image_once(small_digits):
    train = small_digits().train
    parts = five_agents_games.divide(train, five_agents_games.Game("", 0, skew=0.1))
    counts = np.array([np.bincount(part.labels, minlength=10) for part in parts])
    assert np.array_equal(counts.sum(axis=0), np.bincount(train.labels, minlength=10))
    assert (counts.max(axis=0) / counts.sum(axis=0)).mean() > 0.5  # five equal shares would be 0.2


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_are_connected_and_keep_the_self_weight(seed):
    alpha = five_agents_games.graph("random", 0.3, seed).to_dense()
    assert networkx.is_connected(networkx.from_numpy_array(alpha))
    np.testing.assert_allclose(np.diag(alpha), 0.3)


def test_ring_and_star():
    ring, star = (five_agents_games.graph(name, 0.5, 0).to_dense() for name in ("ring", "star"))
    assert (np.count_nonzero(ring, axis=1) == 3).all()
    assert np.count_nonzero(star[0]) == 5
    assert (np.count_nonzero(star[1:], axis=1) == 2).all()


# ---------------------------------------------------------------------- agents and scores


class Drawer:
    """Draws fixed real values and labels; knows the second digit of its table only."""

    def sample(self, n, seed):
        return np.column_stack([np.linspace(-1.0, 2.0, n * 784).reshape(n, 784), np.arange(n)])

    def sample_stratified(self, n, seed):
        return SampleSet(self.sample(n, seed), row_weights=np.arange(1.0, n + 1))


def test_thresholded_models_speak_in_zeros_and_ones():
    agent = five_agents_games.Thresholded(Drawer())
    drawn = agent.sample(4, 0)
    expected = np.linspace(-1.0, 2.0, 4 * 784).reshape(4, 784) > 0.5
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn[:, :784], expected)
    assert drawn[:, 784].tolist() == [0, 1, 2, 3]
    stratified = agent.sample_stratified(4, 0)
    assert np.array_equal(stratified.values, drawn)
    assert stratified.row_weights.tolist() == [1.0, 2.0, 3.0, 4.0]


class Known:
    def predict(self, table):
        return np.array([3, 3, 5, 5])

    def log_prob(self, table):
        return np.array([-1.0, -2.0, -3.0, -6.0])


def test_score_counts_right_answers_and_averages_nats():
    table = np.zeros((4, 785), np.uint8)
    table[:, 784] = [3, 3, 3, 5]
    assert five_agents_games.score(Known(), table) == (0.75, 3.0)


def outcome():
    accuracy = np.array([[0.9, 0.8, 0.9, 0.8, 0.9], [0.7] * 5, [0.6] * 5])
    nats = np.full((3, 5), np.inf)
    nats[1:] = [[130.0], [128.0]]
    game = five_agents_games.Game("long", 0, scored=(2, 5, 8))
    return five_agents_games.Outcome(game, [2, 5, 8], accuracy, nats, np.zeros((9, 5)), (0.3, 0.4), 0.2, 1.5)


def test_noise_is_a_root_mean_square_over_the_settled_rounds():
    noise = np.full((five_agents_games.SETTLED + 2, 5, 10), 9.0)
    noise[five_agents_games.SETTLED :] = 0.3
    noise[-1, :, 5:] = 0.1
    assert five_agents_games.settled(noise) == pytest.approx(math.sqrt(0.75 * 0.09 + 0.25 * 0.01))
    assert five_agents_games.settled(noise[:3]) == 9.0  # a short game has not settled: its last round


def test_loss_is_counted_from_round_two_in_means():
    np.testing.assert_allclose(outcome().lost(), [0.0, 0.16, 0.26], atol=1e-15)


def test_outcomes_come_back_from_a_file(tmp_path):
    path = save_json(tmp_path / "outcome.json", outcome().series())
    found = five_agents_games.Outcome.of_series(json.loads(path.read_text(encoding="utf-8")))
    assert found.game == outcome().game
    assert (found.rounds, found.noise, found.model_noise, found.megabytes) == ([2, 5, 8], (0.3, 0.4), 0.2, 1.5)
    np.testing.assert_array_equal(found.accuracy, outcome().accuracy)
    np.testing.assert_array_equal(found.nats, np.where(np.isinf(outcome().nats), np.nan, outcome().nats))


def test_full_plan_covers_what_is_asked():
    games = five_agents.plan([0, 1, 2], quick=False)
    for name in (
        "large complete",
        "large ring",
        *(f"small {graph}" for graph in five_agents.GRAPHS),
        *(f"Dirichlet({skew:g})" for skew in five_agents.SKEWS),
        "two kinds",
    ):
        assert sorted(game.seed for game in games if game.name == name) == [0, 1, 2]
    large = [game for game in games if game.name.startswith("large")]
    assert all(game.scored == (0, 1, game.rounds) for game in large)  # what is said of them is looked up by place
    long = [game for game in games if game.name == "long"]
    assert {(game.self_weight, game.n) for game in long} == set(
        itertools.product(five_agents.TRUSTS, five_agents.SIZES)
    )
    asked = [game.seed for game in long if (game.self_weight, game.n) == five_agents.ASKED]
    assert sorted(asked) == [0, 1, 2]
    assert five_agents.ASKED[0] == 0.5
    assert all(game.rounds == 30 and {2, 30} <= set(game.scored) for game in long)


# ---------------------------------------------------------------------- the figure


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_quick_figure_is_written(small_digits, tmp_path, monkeypatch):
    digits = small_digits()
    monkeypatch.setattr(five_agents_games, "_everything", lambda: (digits.train, digits.test))
    report = five_agents.main(tmp_path, 0, True)
    written = save(
        report,
        "five_agents",
        five_agents.TITLE,
        five_agents.CLAIM,
        tmp_path,
        seconds=0.0,
        command="python -m paper_figures --quick",
    )
    assert {path.suffix for path in written} == {".png", ".pdf", ".json"}
    assert all(path.stat().st_size > 1000 for path in written)
    saved = json.loads((tmp_path / "five_agents.json").read_text())
    found = {finding["what"]: finding for finding in saved["findings"]}
    assert not any(finding["wanted"] for finding in found.values())
    # Nobody knows more than its two digits when alone, and everybody more after the game.
    alone = next(f["median"] for what, f in found.items() if what.endswith("isolated: mean accuracy of the agents"))
    least = next(f["median"] for what, f in found.items() if what.endswith("complete: least accurate agent"))
    assert alone <= 0.25 < 0.5 < least
    # What the file holds is enough to say and draw the same again.
    made = draw_again("five_agents", tmp_path)
    assert not made.problem, made.trace
    assert json.loads((tmp_path / "five_agents.json").read_text()) == saved
    games = {row["game"]["name"] for row in saved["series"]["games"]}
    small = {f"small {graph}" for graph in five_agents.GRAPHS} | {f"Dirichlet({skew:g})" for skew in five_agents.SKEWS}
    assert games == {"long", "two kinds", "four kinds", *small}
