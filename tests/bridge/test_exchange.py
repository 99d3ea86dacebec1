"""What agents are given, what is recorded, and what does not matter: order of agents' draws, processes, interruptions."""

import doctest
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bridge.players import Coins, Diary, Faulty, Labels, SeedTeller
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity
from sklearn.neural_network import BernoulliRBM

import expfam_game as eg
from expfam_game.bridge import CallableAgent, FamilyAgent, GenerativeAgent, play, workers
from expfam_game.errors import AgentFailed, InvalidCheckpoint, InvalidData, InvalidInput, InvalidWeights, NotAnchored
from expfam_game.samples import SampleSet, pool

DATA = [np.array([[0], [0], [1]]), np.array([[1], [2]]), np.array([[2], [2], [0]])]
RING = eg.Weights.ring(3, 0.5, both_ways=True)


def same(one, other):
    """Bitwise the same game."""
    for name in ("bytes_sent", "weights", "influence"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
    for name in ("observed", "predicted", "standard_error", "equilibrium"):
        assert np.array_equal(getattr(one.theory, name), getattr(other.theory, name), equal_nan=True), name
    assert one.records == other.records
    assert one.faults == other.faults
    return True


def diaries(**options):
    options = {"n": 20, "seed": 1, **options}
    return play([Diary(), Diary(), Diary()], RING, DATA, 4, **options)


def entries(result, agent):
    return [
        [(samples.values.tolist(), round(weight, 12)) for samples, weight in entry]
        for entry in result.agents[agent].entries
    ]


# ---------------------------------------------------------------------- what is heard


def test_round_0_fits_own_data_and_later_rounds_the_mixture():
    result = diaries()
    for agent in range(3):
        first, *later = entries(result, agent)
        assert first == [(DATA[agent].tolist(), 1.0)]
        assert all(entry[0] == (DATA[agent].tolist(), 0.5) for entry in later)
        assert [[weight for _, weight in entry] for entry in later] == [[0.5, 0.25, 0.25]] * 4


def test_broadcast_batches_are_shared_and_separate_ones_are_not():
    def heard_from_agent_1(result):
        return entries(result, 0)[1][1], entries(result, 2)[1][2]

    one, other = heard_from_agent_1(diaries(draws="broadcast"))
    assert one == other
    one, other = heard_from_agent_1(diaries(draws="separate"))
    assert one != other


def test_memory_keeps_the_last_rounds_at_equal_parts():
    result = diaries(memory=2)
    short, full = entries(result, 0)[1], entries(result, 0)[3]
    assert [weight for _, weight in short] == [0.5, 0.25, 0.25]
    assert [weight for _, weight in full] == [0.5, 0.125, 0.125, 0.125, 0.125]
    assert full[1][0] == entries(result, 0)[2][2][0]  # the older batch of agent 1, which was the newer one of round 2


def test_sequential_listeners_hear_the_models_of_the_same_round():
    """On a chain where each agent copies the one before, one sweep carries agent 0's data to the end."""
    weights = eg.Weights.from_dense([[1, 0, 0], [1, 0, 0], [0, 1, 0]])
    data = [np.zeros((3, 1), int), None, None]
    swept = play([Labels()] * 3, weights, data, 1, n=5, order="sequential", label=0, classes=2)
    np.testing.assert_array_equal(swept.theory.observed[1], [[1, 0]] * 3)
    together = play([Labels()] * 3, weights, data, 1, n=5, label=0, classes=2)
    assert np.isnan(together.theory.observed[1, 2]).all()


def test_asynchronous_agents_sleep_but_not_for_long():
    result = play([Diary()] * 3, RING, DATA, 60, n=5, order="asynchronous", activity=0.2, max_silence=4, seed=2)
    awake = [len(agent.entries) - 1 for agent in result.agents]
    assert all(60 / 4 <= count < 50 for count in awake)
    eager = play([Diary()] * 3, RING, DATA, 10, n=5, order="asynchronous", activity=1.0)
    assert [len(agent.entries) for agent in eager.agents] == [11] * 3


def test_T11_listeners_see_the_variables_that_both_model():
    variables = [[0, 1], [1, 2], [2, 0, 3]]
    data = [np.array([[1, 0]]), np.array([[1, 1]]), np.array([[0, 1, 1]])]
    result = play([Coins(2), Coins(2), Coins(3)], eg.Weights.complete(3, 0.5), data, 1, n=10, variables=variables)
    assert [agent.masks for agent in result.agents] == [
        [[True, True], [False, True], [True, False]],
        [[True, True], [True, False], [False, True]],
        [[True, True, True], [False, True, False], [True, False, False]],
    ]
    sent = dict(zip(map(tuple, result.edges.tolist()), result.bytes_sent[1].tolist()))
    assert sent == {(0, 1): 10, (0, 2): 10, (1, 0): 10, (1, 2): 10, (2, 0): 10, (2, 1): 10}


def test_T11_shared_marginals_obey_T2_and_private_variables_are_untouched():
    """Coins 0 is shared by all, coin 1 is agent 0's own: its own data alone decide it."""
    data = [np.array([[1, 0], [1, 0], [1, 1], [1, 0]]), np.array([[0], [0], [1], [0]])]
    result = play(
        [Coins(2), Coins(1)],
        eg.Weights.complete(2, 0.5),
        data,
        30,
        n=5000,
        variables=[[0, 1], [0]],
        statistic=lambda x: x[:, :1],
        seed=3,
    )
    assert result.theory.within(7.0, rounds=slice(None))
    np.testing.assert_allclose(result.theory.equilibrium, [[0.75], [0.5]])
    assert result.agents[0].p[1] == 0.25


def test_sample_sets_of_several_kinds_share_the_own_weight_by_rows():
    sets = [SampleSet([[0], [1], [2]]), SampleSet([[1]], row_weights=[3.0])]
    result = play([Diary(), Labels()], eg.Weights.complete(2, 0.4), [sets, DATA[1]], 1, n=5)
    assert [weight for _, weight in entries(result, 0)[1]] == [0.3, 0.1, 0.6]


def test_private_data_may_be_a_list_of_arrays():
    result = play([Diary(), Labels()], eg.Weights.complete(2, 0.4), [[DATA[0], DATA[1], DATA[1][:1]], DATA[1]], 0)
    np.testing.assert_allclose([weight for _, weight in entries(result, 0)[0]], [3 / 6, 2 / 6, 1 / 6])


def test_an_agent_whom_nobody_hears_may_draw_nothing():
    weights = eg.Weights.from_dense([[1, 0], [0.5, 0.5]])
    result = play([Labels(), Labels()], weights, [DATA[0], DATA[1]], 1, n=[5, 0], label=0)
    assert result.bytes_sent.tolist() == [[0], [40]]
    assert np.isnan(result.theory.observed[:, 1]).all()


class Writer(Labels):
    """Works in place in what it was given."""

    def fit(self, samples, weights):
        super().fit(samples, weights)
        samples[0].values[...] = 0


@pytest.mark.parametrize("parallel", [1, 2])
def test_agents_cannot_write_to_data_and_letters(parallel):
    data = [np.ones((3, 1), dtype=int)]
    with pytest.raises(AgentFailed, match="agent 0 failed to fit in round 0: .*read-only"):
        play([Writer()], eg.Weights.complete(1, 1.0), data, 1, parallel=parallel)
    assert data[0].tolist() == [[1]] * 3
    assert data[0].flags.writeable


def test_masked_values_do_not_reach_the_peers():
    """An agent that answers with rows of its own data, a column hidden: what is hidden, or attached, stays at home."""

    class Loaded(SampleSet):
        secret = 42

    class Leaky(Diary):
        def fit(self, samples, weights):
            self.own = samples[0].values
            self.heard = [s.values.tolist() for s in samples[1:]]
            assert all(type(s) is SampleSet for s in samples[1:])

        def sample(self, n, seed):
            return Loaded(self.own[:n], observed=[[True, False], [True, True]])

    data = [np.array([[1, 77], [0, 78]]), np.array([[1, 88], [0, 89]])]
    result = play([Leaky(), Leaky()], eg.Weights.complete(2, 0.5), data, 1, n=2)
    assert [agent.heard for agent in result.agents] == [[[[1, 0], [0, 89]]], [[[1, 0], [0, 78]]]]


@pytest.mark.parametrize(
    "convert",
    [lambda x: x.astype(np.float32), lambda x: x.astype(np.uint8), lambda x: x.tolist(), np.asfortranarray],
    ids=["float32", "uint8", "list", "Fortran order"],
)
def test_the_kind_of_array_does_not_matter(convert):
    """Small integers drawn as any kind of table give the game of int64; the statistic gets floats, so 20² is 400 in uint8 too."""

    def game(convert):
        def fit(samples, weights, model):
            return sum(w * s.normalized_weights() @ s.values.astype(float) for s, w in zip(samples, weights))

        def sample(model, n, seed):
            return convert(np.random.default_rng(seed).poisson(model, size=(n, 2)))

        agents = [CallableAgent(fit, sample) for _ in range(2)]
        return play(agents, eg.Weights.complete(2, 0.5), [[[20, 1]], [[15, 3]]], 3, n=40, statistic=lambda x: x**2)

    one, other = game(convert), game(lambda x: x)
    np.testing.assert_allclose([a.model for a in one.agents], [a.model for a in other.agents], rtol=1e-12)
    np.testing.assert_allclose(one.theory.observed, other.theory.observed, rtol=1e-12)
    assert one.theory.observed[0, 0, 0] > 255


def test_agents_without_numpy_arrays_are_heard():
    class Foreign:
        """An array of another library: all it offers is DLPack."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    def fit(samples, weights, model):
        return sum(w * s.normalized_weights() @ s.values for s, w in zip(samples, weights))

    agents = [CallableAgent(fit, lambda model, n, seed: Foreign(np.full((n, 1), model[0]))) for _ in range(2)]
    result = play(agents, eg.Weights.complete(2, 0.5), [Foreign(np.array([[1.0]])), [[3.0]]], 40, n=3)
    np.testing.assert_allclose([agent.model[0] for agent in result.agents], [5 / 3, 7 / 3])


def test_a_jax_model_plays():
    jax = pytest.importorskip("jax")

    def fit(samples, weights, model):
        return sum(w * s.normalized_weights() @ jax.numpy.asarray(s.values) for s, w in zip(samples, weights))

    def sample(model, n, seed):
        key = jax.random.PRNGKey(seed % 2**32)
        return model + jax.random.normal(key, (n, 1))

    agents = [CallableAgent(fit, sample) for _ in range(2)]
    data = [[[0.0]], [[3.0]]]
    result = play(agents, eg.Weights.complete(2, 0.5), data, 10, n=500, statistic=lambda x: x)
    assert result.theory.within(7.0)
    np.testing.assert_allclose(result.theory.equilibrium, [[1.0], [2.0]])


# ---------------------------------------------------------------------- what is recorded


def test_metrics_callback_and_bytes():
    seen = []
    result = diaries(
        metrics={"share of class 2": lambda agent, index: agent.p[2], "index": lambda agent, index: index},
        callback=lambda round, agents, records: seen.append((round, len(agents), [r["agent"] for r in records])),
    )
    assert seen == [(t, 3, [0, 1, 2]) for t in range(5)]
    assert result.metric("index").tolist() == [[0, 1, 2]] * 5
    assert result.metric("share of class 2")[-1, 1] == result.agents[1].p[2]
    assert result.edges.tolist() == [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]
    assert result.bytes_sent.tolist() == [[0] * 6] + [[160] * 6] * 4


def test_a_metric_of_an_agent_that_was_never_fitted_is_nan():
    weights = eg.Weights.from_dense([[1, 0], [1, 0]])
    result = play([Labels(), Labels()], weights, [DATA[0], None], 1, metrics={"p": lambda agent, _: agent.p[0]})
    assert np.isnan(result.metric("p")[0, 1])
    assert not np.isnan(result.metric("p")[1, 1])


def test_no_rounds_is_isolated_learning():
    result = play([Labels()] * 3, RING, DATA, 0, label=0)
    np.testing.assert_allclose(result.theory.predicted[0], [[2 / 3, 1 / 3, 0], [0, 1 / 2, 1 / 2], [1 / 3, 0, 2 / 3]])
    np.testing.assert_allclose(result.influence.sum(axis=1), 1.0)
    assert result.influence[0, 1] > 0


def test_the_agents_passed_in_do_not_change():
    agent = Labels()
    result = play([agent] * 3, RING, DATA, 1)
    assert not hasattr(agent, "p")
    assert len({id(a) for a in result.agents}) == 3
    assert isinstance(agent, GenerativeAgent)


# ---------------------------------------------------------------------- what does not matter


@pytest.mark.parametrize("order", ["simultaneous", "sequential", "asynchronous"])
@pytest.mark.parametrize("draws", ["broadcast", "separate"])
def test_same_seed_same_game_and_other_seed_another(order, draws):
    def game(seed):
        return play([Labels()] * 3, RING, DATA, 5, n=30, label=0, order=order, draws=draws, memory=2, seed=seed)

    assert same(game(7), game(7))
    assert game(7).records == game(8).records
    assert not np.array_equal(game(7).theory.observed, game(8).theory.observed)
    assert same(game(np.random.default_rng(7)), game(np.random.default_rng(7)))


def test_seeds_of_a_draw_do_not_depend_on_who_else_draws():
    """Agent 0 says the same in round 1 whether or not others talk, and whatever comes first."""
    alone = eg.Weights.from_dense([[1.0, 0, 0], [0, 1, 0], [0.5, 0, 0.5]])
    crowd = eg.Weights.from_dense([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]])
    one = play([Diary()] * 3, alone, DATA, 1, n=20, seed=5)
    other = play([Diary()] * 3, crowd, DATA, 1, n=20, seed=5)
    assert entries(one, 2)[1][1][0] == entries(other, 2)[1][1][0]


@pytest.mark.parametrize(("draws", "expected"), [("broadcast", 7), ("separate", 12)])
@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_no_seed_is_used_twice(order, draws, expected):
    """Two rounds: every separate draw has a seed of its own, and every broadcast of another model, also in one round."""
    result = play([SeedTeller()] * 3, RING, DATA, 2, n=1, draws=draws, order=order, seed=3)
    heard = [seed for agent in result.agents for entry in agent.entries[1:] for seed in entry[1:]]
    assert len(heard) == 12
    # Simultaneous: three batches a round. Sequential: agent 0 asks 1 and 2, then 1 asks 0, 2 asks 1 (0 is unchanged), and
    # in the next round 0 asks 2 (1 is unchanged), 1 asks 0, 2 asks 1.
    assert len(set(heard)) == (6 if (order, draws) == ("simultaneous", "broadcast") else expected)


@pytest.mark.parametrize("draws", ["broadcast", "separate"])
def test_two_processes_play_the_same_game_as_one(draws):
    family = eg.families.Gaussian(3)
    rng = np.random.default_rng(0)
    data = [rng.normal(i, 1.0, size=(40, 3)) for i in range(3)]

    def game(parallel):
        agents = [FamilyAgent(family) for _ in data]
        return play(agents, RING, data, 2, n=100, statistic=lambda x: x, draws=draws, parallel=parallel, seed=6)

    one, two = game(1), game(2)
    assert same(one, two)
    for a, b in zip(one.agents, two.agents):
        assert np.array_equal(a.natural_, b.natural_)


def test_workers_start_side_by_side_and_only_those_that_are_needed():
    """With a loky that only writes down: both workers are on their way before anybody waits for one of them."""
    diary = []

    class Future:
        def __init__(self, value):
            self.value = value

        def result(self):
            diary.append("wait")
            return self.value

        def done(self):
            return True

        def exception(self):
            return None

    class Loky:
        BrokenProcessPool = RuntimeError

        class ProcessPoolExecutor:
            def __init__(self, **options):
                diary.append("start")

            def submit(self, function, *arguments):
                return Future(function(*arguments))

            def shutdown(self, **options):
                diary.append("end")

        @staticmethod
        def wait(futures, **options):
            return futures, []

    hands = workers.Processes(3, None)
    hands._loky = Loky
    tasks = [workers.Task(lambda agent, k: k, None, (k,)) for k in range(5)]
    assert [outcome.value for outcome in hands.map(tasks[:1])] == [0]
    assert diary == ["start", "wait", "wait"]  # for the worker, then for the task
    assert [outcome.value for outcome in hands.map(tasks)] == [0, 1, 2, 3, 4]
    assert diary[3:] == ["start", "start", *["wait"] * 7]
    hands.close()
    assert diary[-3:] == ["end"] * 3


# ---------------------------------------------------------------------- checkpoints

SCRIPT = """
import os, signal, sys
import numpy as np
import expfam_game as eg
from expfam_game.bridge import FamilyAgent, play

folder, kill_round, order = sys.argv[1], int(sys.argv[2]), sys.argv[3]
family = eg.families.Gaussian(2)
rng = np.random.default_rng(0)
data = [rng.normal(i, 1.0, size=(30, 2)) for i in range(3)]

def callback(round, agents, records):
    if round == kill_round:
        os.kill(os.getpid(), signal.SIGKILL)

play([FamilyAgent(family) for _ in data], eg.Weights.ring(3, 0.4), data, 6, n=50, memory=3, order=order,
     statistic=abs, metrics={"mean": lambda agent, i: agent.mean_[0]}, callback=callback, checkpoint=folder, seed=9)
"""


@pytest.mark.parametrize(("order", "kill_round"), [("simultaneous", 4), ("asynchronous", 3)])
def test_a_killed_game_goes_on_to_the_same_result(tmp_path, order, kill_round):
    family = eg.families.Gaussian(2)
    rng = np.random.default_rng(0)
    data = [rng.normal(i, 1.0, size=(30, 2)) for i in range(3)]
    rounds_played = []

    def game(checkpoint):
        rounds_played.clear()
        return play(
            [FamilyAgent(family) for _ in data],
            eg.Weights.ring(3, 0.4),
            data,
            6,
            n=50,
            memory=3,
            order=order,
            statistic=abs,
            metrics={"mean": lambda agent, i: agent.mean_[0]},
            callback=lambda round, agents, records: rounds_played.append(round),
            checkpoint=checkpoint,
            seed=9,
        )

    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "game"), str(kill_round), order]
    killed = subprocess.run(command, capture_output=True, timeout=120, env=os.environ)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (tmp_path / "game" / "state-00099.pickle.part").write_bytes(b"half a file")
    resumed = game(tmp_path / "game")
    assert not list((tmp_path / "game").glob("*.part"))
    assert rounds_played == list(range(kill_round, 7))
    whole = game(None)
    assert rounds_played == list(range(7))
    assert same(resumed, whole)
    for a, b in zip(resumed.agents, whole.agents):
        assert np.array_equal(a.natural_, b.natural_)


def test_a_finished_game_can_be_read_again_and_prolonged(tmp_path):
    def game(rounds, checkpoint):
        return play([Labels()] * 3, RING, DATA, rounds, n=30, label=0, memory=2, seed=7, checkpoint=checkpoint)

    assert same(game(3, tmp_path), game(3, None))
    assert same(game(3, tmp_path), game(3, None))
    assert same(game(6, tmp_path), game(6, None))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "game.json",
        "letters-00005.pickle",
        "letters-00006.pickle",
        "lock",
        "state-00006.pickle",
    ]
    with pytest.raises(InvalidInput, match="has played 6 rounds; rounds is 3"):
        game(3, tmp_path)


def test_another_games_folder_is_refused(tmp_path):
    play([Labels()] * 3, RING, DATA, 1, seed=7, checkpoint=tmp_path)
    with pytest.raises(InvalidCheckpoint, match=r"holds another game \(seed: 7\), where this game has seed: 8\. Give"):
        play([Labels()] * 3, RING, DATA, 1, seed=8, checkpoint=tmp_path)
    with pytest.raises(InvalidCheckpoint, match=r"\(draws: broadcast\), where this game has draws: separate\. Give"):
        play([Labels()] * 3, RING, DATA, 1, draws="separate", seed=7, checkpoint=tmp_path)
    spawned = np.random.SeedSequence(7).spawn(1)[0]
    with pytest.raises(InvalidCheckpoint, match=r"where this game has seed: 7 with spawn key \(0,\)"):
        play([Labels()] * 3, RING, DATA, 1, seed=spawned, checkpoint=tmp_path)
    with pytest.raises(InvalidCheckpoint, match="private data"):
        play([Labels()] * 3, RING, [DATA[0], DATA[0], DATA[2]], 1, seed=7, checkpoint=tmp_path)


def test_a_folder_that_knows_less_than_this_version_is_refused(tmp_path):
    play([Labels()] * 3, RING, DATA, 1, seed=7, checkpoint=tmp_path)
    card = json.loads((tmp_path / "game.json").read_text())
    del card["memory"]
    (tmp_path / "game.json").write_text(json.dumps(card))
    with pytest.raises(InvalidCheckpoint, match=r"\(nothing known about memory\), where this game has memory: 1"):
        play([Labels()] * 3, RING, DATA, 1, seed=7, checkpoint=tmp_path)


def test_damaged_checkpoints_say_so(tmp_path):
    play([Labels()] * 3, RING, DATA, 1, checkpoint=tmp_path)
    (tmp_path / "state-00001.pickle").write_bytes(b"nonsense")
    with pytest.raises(InvalidCheckpoint, match=r"state-00001.pickle cannot be read \(UnpicklingError"):
        play([Labels()] * 3, RING, DATA, 1, checkpoint=tmp_path)
    Path(tmp_path / "game.json").write_text("{")
    with pytest.raises(InvalidCheckpoint, match="game.json cannot be read"):
        play([Labels()] * 3, RING, DATA, 1, checkpoint=tmp_path)
    Path(tmp_path / "game.json").write_text("3")
    with pytest.raises(InvalidCheckpoint, match="game.json cannot be read"):
        play([Labels()] * 3, RING, DATA, 1, checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("state-00001.pickle", 3, r"TypeError: it holds a int\); to start the game anew"),
        ("letters-00001.pickle", {}, r"letters-00001.pickle cannot be read \(KeyError"),
        ("letters-00001.pickle", None, r"letters-00001.pickle cannot be read \(FileNotFoundError"),
    ],
)
def test_checkpoints_with_something_else_in_them_say_so(tmp_path, file, content, message):
    play([Labels()] * 3, RING, DATA, 1, checkpoint=tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(pickle.dumps(content))
    with pytest.raises(InvalidCheckpoint, match=message):
        play([Labels()] * 3, RING, DATA, 2, checkpoint=tmp_path)


def test_a_checkpoint_needs_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidCheckpoint, match="file cannot keep a game"):
        play([Labels()] * 3, RING, DATA, 1, checkpoint=tmp_path / "file")


def test_a_checkpoint_is_for_one_game_at_a_time(tmp_path):
    """A second game in the folder of a running one is refused and does no harm; afterwards the folder is free."""
    refused = []

    def intrude(round, agents, records):
        if round == 1:
            with pytest.raises(InvalidCheckpoint, match="another process plays the game in"):
                play([Labels()] * 3, RING, DATA, 3, label=0, checkpoint=tmp_path)
            refused.append(round)

    running = play([Labels()] * 3, RING, DATA, 3, label=0, checkpoint=tmp_path, callback=intrude)
    assert refused == [1]
    assert same(running, play([Labels()] * 3, RING, DATA, 3, label=0, checkpoint=tmp_path))


def test_dropped_agents_leave_no_letters_in_the_checkpoint(tmp_path):
    agents = [Labels(), Faulty("exception", at=3), Labels()]
    weights = eg.Weights.complete(3, 0.5)
    play(agents, weights, DATA, 6, n=20, memory=2, label=0, on_fault="drop agent", checkpoint=tmp_path)
    assert sorted(p.name for p in tmp_path.glob("letters-*")) == ["letters-00005.pickle", "letters-00006.pickle"]


def test_workers_end_when_the_game_is_killed(tmp_path):
    """A game that is killed cannot end its worker processes; they notice."""
    script = """
import os, signal, sys
import numpy as np
from expfam_game.bridge import workers

def where(agent):
    return np.int64(os.getpid())

hands = workers.Processes(1, 60.0)
print(int(hands.map([workers.Task(where, None, ())])[0].value), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with (tmp_path / "worker").open("w") as out:  # not a pipe: a worker that lives on would keep it open
        subprocess.run(
            [sys.executable, "-c", script], stdout=out, stderr=subprocess.DEVNULL, timeout=120, env=os.environ
        )
    worker = int((tmp_path / "worker").read_text())
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline and _alive(worker):
        time.sleep(0.1)
    assert not _alive(worker)


def _alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_agents_that_cannot_be_pickled_cannot_be_kept(tmp_path):
    class Half(Labels):
        def __deepcopy__(self, memo):
            return Half()

        def __reduce__(self):
            raise TypeError("a socket is open")

    with pytest.raises(InvalidCheckpoint, match=r"cannot be pickled, .*a socket is open"):
        play([Half()], eg.Weights.complete(1, 1.0), [DATA[0]], 1, checkpoint=tmp_path)


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rounds": -1}, InvalidInput, "rounds is -1"),
        ({"rounds": 1.0}, InvalidInput, "rounds is 1.0"),
        ({"n": 0}, InvalidInput, "n of agent 0 is 0"),
        ({"n": [5, 5]}, InvalidInput, "one for each of 3 agents"),
        ({"n": [5, 5, 2.5]}, InvalidInput, "n of agent 2 is 2.5"),
        ({"n": "many"}, InvalidInput, "one for each of 3 agents"),
        ({"n": [5, 0, 5]}, InvalidInput, "n of agent 1 is 0; it must be an integer, at least 1"),
        ({"callback": 3}, InvalidInput, "callback is 3; it must be callable"),
        ({"metrics": [len]}, InvalidInput, "it must be a mapping"),
        ({"metrics": {"round": len}}, InvalidInput, "without the name round"),
        ({"draws": "both"}, InvalidInput, "draws is 'both'"),
        ({"order": "random"}, InvalidInput, "order is 'random'"),
        ({"on_fault": "ignore"}, InvalidInput, "on_fault is 'ignore'"),
        ({"memory": 0}, InvalidInput, "memory is 0"),
        ({"max_silence": 0}, InvalidInput, "max_silence is 0"),
        ({"activity": 0.0}, InvalidInput, "activity is 0.0"),
        ({"timeout": -1}, InvalidInput, "timeout is -1"),
        ({"parallel": 0}, InvalidInput, "parallel is 0"),
        ({"metrics": {"accuracy": 3}}, InvalidInput, "accuracy is 3; it must be callable"),
        ({"label": 1}, InvalidInput, "label is 1"),
        ({"classes": 3}, InvalidInput, "classes is 3"),
        ({"label": 0, "classes": 2}, InvalidData, "private data of agent 1: row 1 has the label"),
        ({"statistic": lambda x: x[:1], "n": 4}, InvalidInput, "statistic returned shape"),
        ({"weights": np.eye(3)}, InvalidInput, "weights must be a Weights object"),
        ({"weights": eg.Weights.ring(2)}, InvalidInput, "the weights are for 2 agents"),
        ({"weights": eg.Weights.from_dense([[0, 1, 0], [1, 0, 0], [0, 0, 1]])}, NotAnchored, "agents 0, 1"),
        ({"private": [DATA[0], DATA[1], None]}, InvalidWeights, "agent 2 has no private data, but self-weight 0.5"),
        ({"private": [DATA[0], DATA[1], [[np.nan]]]}, InvalidData, "private data of agent 2: row 0, variable 0 is nan"),
        ({"private": [DATA[0], DATA[1], [[1, 2]]]}, InvalidData, "private data of agent 2 has 2 variables, not 1"),
        (
            {"agents": [Labels(), object(), Labels()]},
            InvalidInput,
            r"agent 1 \(object\) has no fit\(samples, weights\); the adapters of",
        ),
        (
            {"agents": [Coins(1)] * 3, "stratified": True},
            InvalidInput,
            r"agent 0 \(Coins\) has no sample_stratified\(n, seed\); the learners of",
        ),
        ({"variables": [[0], [0]]}, InvalidInput, "a list of 3 lists"),
        ({"variables": [[0], [0], [0.5]]}, InvalidInput, "variables of agent 2"),
        ({"variables": [[0], [0], [1]]}, InvalidInput, "agent 0 listens to agent 2, but they share no variable"),
        ({"seed": -1}, InvalidInput, "seed is -1"),
    ],
    ids=str,
)
def test_bad_arguments_are_named(change, error, message):
    arguments = {"agents": [Labels()] * 3, "weights": RING, "private": DATA, "rounds": 1, **change}
    with pytest.raises(error, match=message):
        play(**arguments)


class FewArguments(Labels):
    def sample(self, n):
        return super().sample(n, 0)


class OwnEstimator(BaseEstimator, Labels):
    """A base class does not make an agent an estimator."""


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (GaussianMixture(1), r"is the scikit-learn estimator GaussianMixture, .*wrap it: .*bridge.ScikitAgent\("),
        (KernelDensity(), r"is the scikit-learn estimator KernelDensity, .*wrap it: .*bridge.ScikitAgent\("),
        (BernoulliRBM(), r"is the scikit-learn estimator BernoulliRBM, .*wrap it: .*bridge.ScikitGibbsAgent\("),
        (GaussianNB(), "is the scikit-learn estimator GaussianNB, which cannot draw samples; take a density"),
        (FamilyAgent, r"is the class FamilyAgent itself; give an object of it, made by FamilyAgent\(\.\.\.\)"),
        (FewArguments(), r"\(FewArguments\) cannot be called as sample\(n, seed\): it has sample\(n\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_an_agent_is_told_how_to_become_one(agent, message):
    with pytest.raises(InvalidInput, match="^agent 1 " + message) as caught:
        play([Labels(), agent], eg.Weights.complete(2), [DATA[0], DATA[1]], 1)
    assert caught.value.agent == 1


def test_agents_may_derive_from_whatever_they_like():
    assert play([OwnEstimator(), Labels()], eg.Weights.complete(2), [DATA[0], DATA[1]], 1).rounds == 1


# ---------------------------------------------------------------------- what is printed


def test_results_print_in_a_line():
    options = {"n": 20, "seed": 1}
    plain = play([Labels()] * 3, RING, DATA, 1, **options)
    assert repr(plain) == "PlayResult(3 agents, 1 round, 960 bytes sent, no faults, no theory check)"
    partly = [SampleSet(rows, observed=np.arange(len(rows))[:, None] > 0) for rows in DATA]
    noted = play([Labels()] * 3, RING, partly, 0, label=0, metrics={"p": lambda *_: 1.0}, **options)
    assert repr(noted).endswith("metrics: p, no theory check, 1 note)")
    whole = play([Labels()] * 3, RING, DATA, 2, label=0, **options)
    z = np.abs(whole.theory.z_scores())
    round, agent, entry = map(int, np.argwhere(z == z.max())[0])
    text = f"TheoryCheck(3 rounds × 3 agents × 3 entries, largest |z| {z.max():.2f}: agent {agent}, round {round}, class {entry})"
    assert repr(whole.theory) == text
    assert repr(whole) == f"PlayResult(3 agents, 2 rounds, 1920 bytes sent, no faults, {text})"


@pytest.mark.parametrize(
    "thing", [getattr(eg.bridge, name) for name in eg.bridge.__all__], ids=lambda thing: thing.__name__
)
def test_examples_of_this_room_run_as_pasted(thing):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    (example,) = doctest.DocTestFinder(recurse=False).find(thing, globs={})
    assert example.examples
    assert doctest.DocTestRunner(verbose=False, optionflags=flags).run(example).failed == 0


def test_what_agents_are_given_is_found_in_this_room():
    assert eg.bridge.SampleSet is SampleSet
    assert eg.bridge.pool is pool
