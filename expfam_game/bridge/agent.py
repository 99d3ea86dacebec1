"""What an agent must be able to do to play: two methods, whatever is behind them.

    fit(samples, weights)   learn from a weighted list of sample sets, each with its mask of observed variables
    sample(n, seed)         draw n samples of the present model

Both speak NumPy, or anything with ``__array__`` or ``__dlpack__``. No base class is needed. ``require_agent`` is how ``play``
finds out, before the first round, that something else was passed in.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from expfam_game.errors import InvalidInput
from expfam_game.samples import SampleSet, pool

# What a fit is given, and what most fits begin with: found in this room too by those who write an agent.
__all__ = ["GenerativeAgent", "SampleSet", "pool"]


@runtime_checkable
class GenerativeAgent(Protocol):
    """The two methods that a player must have; a class has them or not, there is nothing to inherit.

    Optional methods. ``play`` uses the first if it is asked to; the others have fixed names so that metrics, and agents made
    of agents, can rely on them:

    ``sample_stratified(n, seed)``
        A :class:`~expfam_game.samples.SampleSet` with equally many rows of each class, and row weights ``p(c)`` divided
        by the share of rows of class c, so that weighted averages stay unbiased.
    ``log_prob(values, observed=None)``
        Shape (n,), in nats: the marginal log-density of what is observed.
    ``predict_proba(values, observed=None)``
        Shape (n, C): probabilities of the classes given what is observed.
    ``complete(values, observed, seed)``
        Shape (n, V): the missing part drawn given the observed one.
    ``partial_fit(samples, weights)``
        As ``fit``, a few steps only.

    An attribute ``resampled_rows`` says that a fit replaced its weighted samples by so many unweighted ones drawn from
    them; the noise of that is then part of the theory check.

    Notes
    -----
    An agent is copied by :mod:`pickle` before each call, and the copy takes its place after a successful ``fit``: a call
    that fails or is killed leaves no trace. ``sample`` must depend on the model and the seed alone; what it changes in
    the agent is forgotten.

    Examples
    --------
    >>> class Coin:
    ...     def fit(self, samples, weights):
    ...         self.p = sum(w * s.normalized_weights() @ s.values[:, 0] for s, w in zip(samples, weights)) / sum(weights)
    ...     def sample(self, n, seed):
    ...         return np.random.default_rng(seed).random((n, 1)) < self.p
    >>> import numpy as np
    >>> from expfam_game.bridge import GenerativeAgent
    >>> isinstance(Coin(), GenerativeAgent)
    True
    """

    def fit(self, samples: Sequence[SampleSet], weights: Sequence[float]) -> object:
        """Learn from sample sets.

        Parameters
        ----------
        samples : sequence of SampleSet
            Own data first. In each set only what ``observed`` marks is known (T11). The arrays are read-only.
        weights : sequence of float
            ``weights[k] ≥ 0`` is the weight of set k as a whole; its row weights distribute it inside. The result may
            depend on the proportions only, so prior counts must be relative to the total.
        """
        ...

    def sample(self, n: int, seed: int) -> Any:
        """Draw samples.

        Parameters
        ----------
        n : int
        seed : int
            Between 0 and 2⁶³ − 1, another one for every call.

        Returns
        -------
        array or SampleSet, shape (n, V)
            An array is observed entirely. With 0 rows the agent has nothing to say, and its weight goes to the others.
            Values that a mask hides are set to zero before anybody sees them.
        """
        ...


# ---------------------------------------------------------------------- something else was passed in

_CALLS = {"fit": "samples, weights", "sample": "n, seed", "sample_stratified": "n, seed"}


def require_agent(agent: Any, index: int, stratified: bool) -> None:
    """Raise InvalidInput, with what to do about it, if an agent cannot be called as ``play`` will."""
    problem = _problem(agent, ("fit", "sample", "sample_stratified") if stratified else ("fit", "sample"))
    if problem is not None:
        raise InvalidInput(f"agent {index} {problem}", agent=index)


def _problem(agent: Any, needed: Sequence[str]) -> str | None:
    if isinstance(agent, type):
        return f"is the class {agent.__name__} itself; give an object of it, made by {agent.__name__}(...)"
    kind = type(agent).__name__
    if _is_estimator(agent):
        return f"is the scikit-learn estimator {kind}, {_advice(agent, kind)}"
    for name in needed:
        method, call = getattr(agent, name, None), f"{name}({_CALLS[name]})"
        if not callable(method):
            owners = (
                "the learners" if name == "sample_stratified" else "the adapters of expfam_game.bridge and the learners"
            )
            return f"({kind}) has no {call}; {owners} of expfam_game.learners have it"
        if not _takes_two(method):
            return f"({kind}) cannot be called as {call}: it has {name}{inspect.signature(method)}"
    return None


def _is_estimator(agent: Any) -> bool:
    """Whether ``fit`` takes one table and perhaps targets, by scikit-learn's names: a list of sample sets would be read as one."""
    names = _parameters(getattr(agent, "fit", None))
    return hasattr(agent, "get_params") and names[:1] == ["X"] and names[1:2] in ([], ["y"])


def _advice(agent: Any, kind: str) -> str:
    for adapter, methods in {"ScikitAgent": ("sample", "score_samples"), "ScikitGibbsAgent": ("gibbs",)}.items():
        if all(hasattr(agent, name) for name in methods):
            return f"whose fit takes one unweighted table; wrap it: expfam_game.bridge.{adapter}({kind}(...))"
    return "which cannot draw samples; take a density, such as GaussianMixture in expfam_game.bridge.ScikitAgent"


def _takes_two(method: Any) -> bool:
    """Whether a call with two positional arguments is possible; true where Python does not know."""
    try:
        inspect.signature(method).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _parameters(method: Any) -> list[str]:
    try:
        return list(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return []
