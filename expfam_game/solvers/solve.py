"""``solve``: the entry point, and which method it takes when none is named."""

from __future__ import annotations

import numpy as np

from expfam_game._typing import ArrayLike
from expfam_game.errors import InvalidInput, SolverFailed
from expfam_game.game.game import Game
from expfam_game.solvers.base import Observer, Recorder, Solver
from expfam_game.solvers.direct import Direct
from expfam_game.solvers.solution import Solution, Status


def solve(
    game: Game,
    solver: Solver | None = None,
    *,
    start: ArrayLike | None = None,
    throw: bool = True,
    history: bool = False,
    observe: Observer | None = None,
    progress: bool | None = None,
) -> Solution:
    """Find the unique Nash equilibrium of an anchored game.

    Parameters
    ----------
    game : Game
    solver : Solver, optional
        One of ``expfam_game.solvers``. By default :func:`choose` decides by size and structure.
    start : array_like, shape (n_agents, dim), optional
        Mean parameters of the first profile, for iterative solvers. By default everybody starts at its own data.
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

    Raises
    ------
    NotAnchored, BarelyAnchored
        If some agents never reach real data (T2), or only through weights lost in rounding; whatever ``throw`` is.
    BoundaryEquilibrium
        If the equilibrium lies on the boundary of the mean space (T2). Gradient and sampled play, which cannot take a
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
    _ = game.v  # raises unless the weights determine one equilibrium
    method = choose(game) if solver is None else solver
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
        reached = f"after {solution.steps} rounds with |μ − μ*| ≤ {np.max(solution.error_bound):.2g}"
        raise SolverFailed(f"{solution.solver}: {solution.message}, {reached}", solution)
    return solution


def choose(game: Game) -> Direct:
    """The default method: LU where its fill is small, else multilevel play.

    >>> import expfam_game as eg
    >>> choose(eg.catalog.ring())
    Direct(method='lu')
    """
    return Direct("lu" if game._system.lu_is_cheap else "multilevel")
