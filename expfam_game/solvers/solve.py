"""``solve``: the entry point, and which method it takes when none is named."""

from __future__ import annotations

from typing import overload

import numpy as np

from expfam_game._typing import ArrayLike
from expfam_game.errors import InvalidInput, SolverFailed
from expfam_game.game.edge import boundary_equilibrium
from expfam_game.game.game import Game
from expfam_game.game.heterogeneous import HeterogeneousGame
from expfam_game.solvers.base import Observer, Recorder, Solver
from expfam_game.solvers.best_response import BestResponse
from expfam_game.solvers.direct import Direct
from expfam_game.solvers.heterogeneous import HeterogeneousSolver
from expfam_game.solvers.solution import Solution, Status


@overload
def solve(
    game: Game,
    solver: Solver | None = None,
    *,
    start: ArrayLike | None = None,
    throw: bool = True,
    history: bool = False,
    observe: Observer | None = None,
    progress: bool | None = None,
) -> Solution: ...


@overload
def solve(
    game: HeterogeneousGame,
    solver: HeterogeneousSolver | None = None,
    *,
    start: ArrayLike | None = None,
    throw: bool = True,
    history: bool = False,
    observe: Observer | None = None,
    progress: bool | None = None,
) -> Solution: ...


def solve(
    game: Game | HeterogeneousGame,
    solver: Solver | HeterogeneousSolver | None = None,
    *,
    start: ArrayLike | None = None,
    throw: bool = True,
    history: bool = False,
    observe: Observer | None = None,
    progress: bool | None = None,
) -> Solution:
    """Find the unique Nash equilibrium of an anchored game, or one equilibrium of agents with different statistics.

    Parameters
    ----------
    game : Game or HeterogeneousGame
    solver : Solver or HeterogeneousSolver, optional
        One of ``expfam_game.solvers``. By default :func:`choose` decides by size and structure; agents with different
        statistics play :class:`~expfam_game.solvers.BestResponse`.
    start : array_like, shape (n_agents, dim), optional
        Mean parameters of the first profile, for iterative solvers; for a ``HeterogeneousGame`` natural parameters, of
        shape (n_agents, largest dim). By default everybody starts at its own data.
    throw : bool
        Raise on failure; with False the status of the solution says what happened.
    history : bool
        Record the error bound of every round.
    observe : callable, optional
        Called as ``observe(step, mean)`` every round; its values are kept in ``solution.history.observed``.
    progress : bool, optional
        Show a progress bar; by default after two seconds and only on a terminal.

    Returns
    -------
    Solution
        For a ``HeterogeneousGame`` its field ``uniqueness`` says whether there can be other equilibria (T10).

    Raises
    ------
    InvalidInput
        If the arguments are not a game, a solver for such games and a first profile of finite numbers.
    NotAnchored, BarelyAnchored
        If some agents never reach real data (T2), or only through weights lost in rounding; whatever ``throw`` is.
    BoundaryEquilibrium
        If the equilibrium lies on the boundary of the mean space (T2), or if play of agents with different statistics runs
        there. Gradient and sampled play, which cannot take a
        step there, raise it whatever ``throw`` is; the others return what they reached with ``throw=False``.
    SolverFailed
        If the tolerance was not reached.

    Examples
    --------
    >>> import expfam_game as eg
    >>> game = eg.Game(eg.families.Poisson(), eg.Weights.complete(2, 0.5), data=[[1, 2, 3], [4, 6]])
    >>> solution = eg.solve(game)
    >>> solution.mean.ravel()
    array([3., 4.])
    """
    if isinstance(game, HeterogeneousGame):
        return _solve_heterogeneous(game, solver, start, throw, Recorder(history, observe, progress))
    if not isinstance(game, Game):
        raise InvalidInput(
            f"game is of type {type(game).__name__}; give a Game(family, weights, data=...) or a HeterogeneousGame"
        )
    _ = game.v  # raises unless the weights determine one equilibrium
    method = choose(game) if solver is None else solver
    if isinstance(method, HeterogeneousSolver):
        raise InvalidInput(
            f"{type(method).__name__} is for HeterogeneousGame, agents with different statistics; for a Game give Direct(), "
            "Contraction(), GaussSeidel() or another of expfam_game.solvers, or none"
        )
    if not isinstance(method, Solver):
        raise InvalidInput(
            f"solver is {solver!r}; give an object from expfam_game.solvers: Direct(), Contraction(), GaussSeidel(), "
            "NaturalGradientPlay(), GradientPlay(), AsynchronousPlay() or SampledPlay()"
        )
    first = None if start is None else np.array(game._profile(start))
    if first is not None and not np.isfinite(first).all():
        raise InvalidInput("start has NaN or infinite entries")
    solution = method.run(game, first, Recorder(history, observe, progress))
    if throw and not solution.status.success:
        if solution.status is Status.BOUNDARY:
            game.require_interior(game.equilibrium_mean)
        reached = f"after {solution.steps} rounds with |μ − μ*| ≤ {solution.max_error:.2g}"
        raise SolverFailed(f"{solution.solver}: {solution.message}, {reached}", solution)
    return solution


def _solve_heterogeneous(
    game: HeterogeneousGame, solver: object, start: ArrayLike | None, throw: bool, recorder: Recorder
) -> Solution:
    game.weights.require_anchored()
    method = BestResponse() if solver is None else solver
    if not isinstance(method, HeterogeneousSolver):
        raise InvalidInput(
            f"solver is {solver!r}; for agents with different statistics give solvers.BestResponse() or solvers.Newton()"
        )
    solution = method.run(game, None if start is None else game._one_profile(start), recorder)
    if throw and not solution.status.success:
        if solution.status is Status.BOUNDARY:
            raise boundary_equilibrium(game, game._split(solution.natural))
        reached = f"after {solution.steps} rounds with a regret of {np.max(solution.regret):.2g} nats"
        raise SolverFailed(f"{solution.solver}: {solution.message}, {reached}", solution)
    return solution


def choose(game: Game) -> Direct:
    """The default method: LU where its fill is small, else multilevel play.

    >>> import expfam_game as eg
    >>> choose(eg.catalog.ring())
    Direct(method='lu')
    """
    return Direct("lu" if game._system.lu_is_cheap else "multilevel")
