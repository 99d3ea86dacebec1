"""T6: late, lost and skipped messages do no harm."""

import numpy as np
from exact import exact_equilibrium
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import expfam_game as eg
from expfam_game.testing import strategies


@st.composite
def _plays(draw):
    return eg.solvers.AsynchronousPlay(
        activity=draw(st.floats(0.05, 1.0)),
        max_silence=draw(st.integers(1, 6)),
        max_delay=draw(st.integers(0, 5)),
        loss=draw(st.floats(0.0, 0.9)),
        seed=draw(st.integers(0, 2**31)),
        max_steps=200,
    )


@given(game=strategies.games(), play=_plays())
@settings(max_examples=60, deadline=None)
def test_T6_error_shrinks_by_q_in_every_window_of_silence_plus_delay(game, play):
    exact = np.array(exact_equilibrium(game.weights.to_dense(), game.means), dtype=float)
    start = np.tile(game.family.reference_mean(), (game.n_agents, 1))
    errors = np.array(
        eg.solve(
            game,
            play,
            start=start,
            throw=False,
            observe=lambda step, mean: np.max(np.abs(mean - exact) / game.v[:, None]),
        ).history.observed
    )
    window = play.max_silence + play.max_delay
    bound = errors[0] * game.q ** (np.arange(len(errors)) // window)
    assert np.all(errors <= bound * (1 + 1e-9) + 1e-13 * (1 + np.abs(exact).max()))


@given(game=strategies.games(), play=_plays())
@settings(max_examples=30, deadline=None)
def test_T6_asynchronous_play_reaches_the_same_equilibrium(game, play):
    assume(game.q < 0.95)
    solution = eg.solve(game, eg.solvers.AsynchronousPlay(play.activity, play.max_silence, play.max_delay, play.loss))
    exact = np.array(exact_equilibrium(game.weights.to_dense(), game.means), dtype=float)
    assert np.all(np.abs(solution.mean - exact) <= solution.error_bound + 4e-16 * np.abs(exact))


def test_T6_without_delay_loss_or_sleep_it_is_simultaneous_play():
    game, profiles = eg.catalog.ring(), {"a": [], "s": []}
    awake = eg.solvers.AsynchronousPlay(activity=1.0, max_silence=1, max_delay=0, loss=0.0, max_steps=20)
    for key, solver in (("a", awake), ("s", eg.solvers.Contraction(max_steps=20))):
        eg.solve(
            game, solver, throw=False, observe=lambda step, mean, key=key: profiles[key].append(mean.copy()) or 0.0
        )
    np.testing.assert_allclose(profiles["a"], profiles["s"], rtol=1e-14)


def test_T6_agents_sleep_and_messages_age_within_their_bounds():
    """Agent 1 counts rounds by halving its distance to its data, agent 0 copies it: each profile shows how old it is.

    The copy of round t is a value of agent 1 at most silence − 1 + delay + 1 rounds old.
    """
    weights = eg.Weights.from_dense([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.5, 0.5]])
    game = eg.Game(eg.families.Bernoulli(1), weights, means=[[np.nan], [np.nan], [0.5]])
    profiles = []
    play = eg.solvers.AsynchronousPlay(activity=0.3, max_silence=4, max_delay=3, loss=0.5, seed=3, max_steps=30)
    eg.solve(
        game,
        play,
        start=np.full((3, 1), 0.25),
        throw=False,
        observe=lambda step, mean: profiles.append(mean[:, 0].copy()) or 0.0,
    )
    heard, seen = np.array(profiles)[:, 0], np.array(profiles)[:, 1]
    window = 4 + 3
    for t in range(window, len(profiles)):
        assert heard[t] in seen[t - window : t]
    ages = [t - 1 - max(k for k in range(t) if seen[k] == heard[t]) for t in range(window, len(profiles))]
    assert max(ages) > 0


def test_T6_a_chain_ends_within_the_windows_that_theory_grants():
    game = eg.catalog.chain_without_data(2)
    play = eg.solvers.AsynchronousPlay(activity=0.2, max_silence=4, max_delay=3, loss=0.5, seed=3)
    solution = eg.solve(game, play, start=np.array([[0.1], [0.1]]))
    assert 1 <= solution.steps <= 2 * (4 + 3)
    np.testing.assert_array_equal(solution.mean, [[0.7], [0.7]])
