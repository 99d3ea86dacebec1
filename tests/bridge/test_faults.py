"""Bad agents: found, named, and dealt with as asked; and calls in worker processes."""

import pickle

import numpy as np
import pytest
from bridge.players import Diary, Faulty, Labels

import expfam_game as eg
from expfam_game.bridge import Fault, play
from expfam_game.errors import AgentFailed, InvalidInput, MissingExtra, NotAnchored, NotFitted
from expfam_game.samples import SampleSet

DATA = [np.array([[0], [0], [1]]), np.array([[1], [2]]), np.array([[2], [2], [0]])]
WEIGHTS = eg.Weights.complete(3, 0.5)

FAULTS = {
    "columns": ("sample", "sample returned 2 columns for 1 variable"),
    "rows": ("sample", "sample returned 199 rows; it was asked for 200"),
    "one axis": ("sample", "must be a table"),
    "no columns": ("sample", "must be a table"),
    "masked": ("sample", "the samples are a masked array"),
    "nothing": ("sample", "they must be real numbers"),
    "text": ("sample", "they must be real numbers"),
    "nan": ("sample", "row 3, variable 0 is nan"),
    "label": ("sample", "labels must be integers from 0 to 2"),
    "half label": ("sample", "labels must be integers from 0 to 2"),
    "exception": ("sample", "RuntimeError: the disk is full"),
    "fit exception": ("fit", "RuntimeError: the disk is full"),
}
IN_PROCESSES = {
    "hang": ("sample", "no answer within 2.5 s; its worker process was killed"),
    "fit hang": ("fit", "no answer within 2.5 s; its worker process was killed"),
    "crash": ("sample", "its worker process died"),
    "fit crash": ("fit", "its worker process died"),
}


def game(fault, policy, rounds=30, at=2, marker=None, **options):
    agents = [Labels(), Faulty(fault, at, marker), Labels()]
    return play(agents, WEIGHTS, DATA, rounds, n=200, label=0, on_fault=policy, seed=4, **options)


def first_to_meet(task):
    """A sampler that breaks in a fit is met first by the draw that is compared with theory at the end of that round."""
    return "sample for the check" if task == "sample" else task


def check_raise(fault, task, reason, **options):
    with pytest.raises(AgentFailed, match="agent 1 failed to") as failure:
        game(fault, "raise", rounds=3, **options)
    error = failure.value
    assert (error.agent, error.round, error.task) == (1, 2, first_to_meet(task))
    assert reason in error.reason
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def check_drop_round(fault, task, reason, rounds=30, **options):
    result = game(fault, "drop round", rounds=rounds, **options)
    # A fit fails once; a sampler in the check of round 2 and in the exchange of round 3, which has the agent fit again.
    rounds = [(2, "fit")] if task == "fit" else [(2, "sample for the check"), (3, "sample")]
    assert [(f.round, f.task, f.agent, f.action) for f in result.faults] == [(*r, 1, "drop round") for r in rounds]
    assert all(reason in f.reason for f in result.faults)
    # The lost round does no harm (T6): the same R, the same equilibrium, and the agents are there.
    np.testing.assert_allclose(result.influence, eg.Game(FAMILY, WEIGHTS, means=MEANS).influence(), rtol=1e-12)
    assert result.theory.within(7.0, rounds=slice(None))
    return result


def check_drop_agent(fault, task, reason, rounds=30, **options):
    result = game(fault, "drop agent", rounds=rounds, **options)
    (found,) = result.faults
    assert (found.round, found.agent, found.task, found.action) == (2, 1, first_to_meet(task), "drop agent")
    assert reason in found.reason
    left = np.array([[2 / 3, 1 / 3], [1 / 3, 2 / 3]])
    np.testing.assert_allclose(result.weights[np.ix_([0, 2], [0, 2])], left)
    assert np.isnan(result.influence[1]).all()
    np.testing.assert_array_equal(result.influence[[0, 2], 1], 0.0)
    assert result.theory.within(7.0, rounds=slice(None))
    assert np.isnan(result.theory.observed[-1, 1]).all()
    return result


FAMILY = eg.families.KnownVarianceGaussian(1.0)
MEANS = [[0.0], [1.0], [2.0]]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("check", [check_raise, check_drop_round, check_drop_agent])
def test_every_fault_under_every_policy(fault, check, tmp_path):
    # Round 2 makes fit number 2 (counted from 0) and ends with a draw after three fits.
    task, reason = FAULTS[fault]
    check(fault, task, reason, at=2 if task == "fit" else 3, marker=tmp_path / "failed")


@pytest.mark.parametrize("fault", ["fit hang", "crash", "fit crash"])
def test_hanging_and_dying_agents_are_killed_and_named(fault):
    task, reason = IN_PROCESSES[fault]
    check_raise(fault, task, reason, at=2 if task == "fit" else 3, timeout=2.5 if "hang" in fault else 60.0)


@pytest.mark.parametrize(("fault", "check"), [("hang", check_drop_agent), ("fit hang", check_drop_round)])
def test_the_others_play_on_after_a_hang(fault, check, tmp_path):
    task, reason = IN_PROCESSES[fault]
    options = {"at": 2 if task == "fit" else 3, "marker": tmp_path / "failed", "timeout": 2.5, "parallel": 2}
    result = check(fault, task, reason, rounds=12, **options)
    assert result.rounds == 12


def test_support_is_checked_per_value_and_per_row():
    with pytest.raises(AgentFailed, match="row 3, variable 0 is 7.0, outside the support"):
        play([Odd()], eg.Weights.complete(1, 1.0), [[[0.0]]], 1, n=5, support=lambda x: x <= 1, statistic=lambda x: x)
    with pytest.raises(AgentFailed, match="row 3 is .*7.*, outside the support"):
        play(
            [Odd()],
            eg.Weights.complete(1, 1.0),
            [[[0.0]]],
            1,
            n=5,
            support=lambda x: x[:, 0] <= 1,
            statistic=lambda x: x,
        )


def test_a_support_that_fails_is_not_the_agents_fault():
    def broken(x):
        raise ZeroDivisionError("no range")

    arguments = {"n": 5, "statistic": lambda x: x, "on_fault": "drop round"}
    with pytest.raises(InvalidInput, match="support returned float64 of shape"):
        play([Odd()], eg.Weights.complete(1, 1.0), [[[0.0]]], 1, support=lambda x: x, **arguments)
    with pytest.raises(ZeroDivisionError) as failure:
        play([Odd()], eg.Weights.complete(1, 1.0), [[[0.0]]], 1, support=broken, **arguments)
    assert failure.value.__notes__ == ["in the function given as support"]


class Odd:
    def fit(self, samples, weights):
        return self

    def sample(self, n, seed):
        return np.where(np.arange(n) == 3, 7.0, 0.0)[:, None]


def test_a_dropped_round_keeps_the_old_letter_and_the_old_model():
    """In the round of its fault agent 1 is heard with the samples of the round before."""
    agents = [Diary(), Faulty("exception", at=2), Labels()]
    result = play(agents, WEIGHTS, DATA, 3, n=50, on_fault="drop round", seed=4)
    heard = [[samples for samples, _ in entry[1:]] for entry in result.agents[0].entries]
    assert np.array_equal(heard[2][0].values, heard[1 + 1][0].values)
    assert [f.round for f in result.faults] == [2]
    first, second = heard[1][0].values, heard[2][0].values
    assert np.array_equal(first, second)  # from agent 1, which failed to send in round 2
    assert not np.array_equal(heard[1][1].values, heard[2][1].values)
    np.testing.assert_allclose([w for _, w in result.agents[0].entries[2]], [0.5, 0.25, 0.25])


def test_dropping_the_only_data_in_reach_is_an_error():
    weights = eg.Weights.from_dense([[0.5, 0.5], [1.0, 0.0]])
    with pytest.raises(NotAnchored, match=r"after agent 0 was dropped in round 2 \(RuntimeError"):
        play([Faulty("fit exception"), Labels()], weights, [DATA[0], None], 4, n=50, on_fault="drop agent")


def test_a_failing_start_under_drop_round_is_made_up_for(tmp_path):
    agents = [Labels(), Faulty("fit exception", at=0, marker=tmp_path / "failed"), Labels()]
    result = play(agents, WEIGHTS, DATA, 2, n=50, on_fault="drop round", label=0)
    assert result.faults == (Fault(0, 1, "fit", "RuntimeError: the disk is full", "drop round"),)
    assert np.isnan(result.theory.observed[0, 1]).all()
    assert not np.isnan(result.theory.observed[1]).any()


def test_unpicklable_agents_say_what_to_do():
    agent = Labels()
    agent.lock = (k for k in range(3))
    with pytest.raises(InvalidInput, match="Labels cannot be copied"):
        play([agent], eg.Weights.complete(1, 1.0), [DATA[0]], 1)


def test_processes_need_joblib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "joblib.externals", None)
    with pytest.raises(MissingExtra, match=r"expfam-game\[bridge\]"):
        play([Labels()], eg.Weights.complete(1, 1.0), [DATA[0]], 1, parallel=2)


def test_faults_say_which_of_two_draws_failed():
    """An agent whose sampler is broken for good: in every round its draw for the peers and the one for the check, told apart."""
    agents = [Labels(), Mute(), Labels()]
    result = play(agents, WEIGHTS, DATA, 3, n=50, label=0, on_fault="drop round")
    assert [(f.round, f.task) for f in result.faults] == [
        (0, "sample for the check"),
        *[(t, task) for t in (1, 2, 3) for task in ("sample", "sample for the check")],
    ]
    assert {f.reason for f in result.faults} == {"MemoryError"}  # an exception without a message, and no stray colon
    with pytest.raises(AgentFailed, match=r"^agent 1 failed to sample for the check in round 0: MemoryError\. With"):
        play(agents, WEIGHTS, DATA, 3, n=50, label=0)
    with pytest.raises(AgentFailed, match=r"^agent 1 failed to sample in round 1: MemoryError\. With"):
        play(agents, WEIGHTS, DATA, 3, n=50)


class Mute(Labels):
    def sample(self, n, seed):
        raise MemoryError


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_metric_of_a_model_that_cannot_answer_yet_is_nan_with_one_note(parallel):
    """Agent 1 has no labels of its own: it cannot classify until it has heard agent 0. Other errors are raised as ever."""

    def share(agent, index):
        if not getattr(agent, "labelled", False):
            raise NotFitted("no sample has defined the classes of this model yet")
        return agent.p[0]

    unlabelled = SampleSet([[1.0], [2.0]], observed=[False])
    agents = [Classifier(), Classifier()]
    result = play(
        agents,
        eg.Weights.complete(2, 0.5),
        [DATA[0], unlabelled],
        2,
        n=50,
        metrics={"p": share, "q": share},
        parallel=parallel,
    )
    assert np.isnan(result.metric("p")).tolist() == [[False, True], [False, False], [False, False]]
    assert result.notes == tuple(
        f"metric {name!r} of agent 1 is NaN in some rounds: NotFitted: no sample has defined the classes of this model yet"
        for name in ("p", "q")
    )


class Classifier(Labels):
    """Labels that may be missing."""

    def fit(self, samples, weights):
        self.labelled = any(s.mask().any() for s in samples)
        if self.labelled:
            super().fit([s for s in samples if s.mask().any()], [w for s, w in zip(samples, weights) if s.mask().any()])

    def sample(self, n, seed):
        return super().sample(n, seed) if self.labelled else np.empty((0, 1))


def test_metrics_that_fail_are_named_and_not_swallowed():
    def broken(agent, index):
        raise ZeroDivisionError("no test set")

    with pytest.raises(ZeroDivisionError) as failure:
        play([Labels()], eg.Weights.complete(1, 1.0), [DATA[0]], 1, metrics={"accuracy": broken})
    assert "in metric 'accuracy' of agent 0, round 0" in failure.value.__notes__
