"""Error against round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expfam_game._typing import ArrayLike, FloatArray
from expfam_game.errors import InvalidInput
from expfam_game.plots.style import GREY, PROOFS, clean, grade_name, require_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def convergence(
    ax: Axes,
    errors: ArrayLike,
    *,
    rate: float | None = None,
    envelope: float | ArrayLike | None = None,
    label: str | None = None,
    grade: Any = "float",
    first: int = 0,
    **line: Any,
) -> Axes:
    """Draw errors against rounds on a logarithmic axis, with what theory says about them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    errors : array_like, shape (rounds + 1,)
        Distance from the equilibrium in ``‖·‖_v``, from round ``first`` on; exact zeros are left out, and if there is
        nothing else the picture says so.
    rate : float, optional
        Asymptotic rate, drawn as a dotted line of that slope through the last error that rounding does not govern. Play
        from a start without the slowest mode is faster: with equal self-weights, everybody's own data is such a start.
    envelope : float or array_like, optional
        The contraction factor q, drawn as ``q^t`` times the first error (T4), or the envelope itself.
    label : str, optional
        Name of the curve in the legend.
    grade : {"exact", "rigorous", "float"} or Grade
        What kind of evidence stands behind ``envelope``; named in the legend.
    first : int
        Round of the first error.
    **line
        Passed on to ``ax.plot`` for the curve of errors, for example ``color``.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import expfam_game as eg
    >>> _, ax = plt.subplots()
    >>> ax = eg.plots.convergence(ax, [1.0, 0.4, 0.2, 0.1], rate=0.5, envelope=0.6, grade="rigorous")
    >>> [text.get_text() for text in ax.legend().get_texts()]
    ['asymptotic rate 0.5', 'bound $q^t$, q = 0.6, proved rigorously']
    >>> plt.close()
    """
    require_axes(ax)
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.all(values >= 0):
        raise InvalidInput("errors must be a non-empty vector of non-negative numbers, one per round")
    word = PROOFS[grade_name(grade)]
    rounds = first + np.arange(values.size)
    seen = values > 0
    drawn = ax.plot(rounds[seen], values[seen], label=label, **{"linewidth": 1.8, **line})[0]
    if rate is not None:
        _rate_line(ax, values, rate, first, drawn.get_color())
    if envelope is not None:
        bound, text = _envelope(values, envelope)
        ax.plot(rounds[: bound.size], bound, color=GREY, linestyle="--", linewidth=1.2, label=f"{text}, {word}")
    if seen.any():
        ax.set_yscale("log")
    else:
        _say_there_is_nothing(ax)
    ax.set_xlabel("round")
    ax.set_ylabel(r"error $\|\mu^t - \mu^*\|_v$")
    clean(ax)
    return ax


def _say_there_is_nothing(ax: Axes) -> None:
    """A logarithmic axis has no place for zeros."""
    ax.set_ylim(0.0, 1.0)
    ax.text(0.5, 0.5, "all errors are zero: play started\nat the equilibrium", ha="center", transform=ax.transAxes)


def _rate_line(ax: Axes, errors: FloatArray, rate: float, first: int, colour: Any) -> None:
    """From the last error that is clear of rounding back to the first round."""
    clear = np.flatnonzero(errors > max(1e-13 * errors[0], 1e-300))
    if clear.size < 2 or not 0 < rate < 1:
        return
    anchor = clear[-1]
    rounds = np.arange(anchor + 1)
    line = errors[anchor] * rate ** (rounds - float(anchor))
    ax.plot(first + rounds, line, color=colour, linestyle=":", linewidth=1.2, label=f"asymptotic rate {rate:.4g}")


def _envelope(errors: FloatArray, envelope: float | ArrayLike) -> tuple[FloatArray, str]:
    given = np.asarray(envelope, dtype=np.float64)
    if given.ndim == 0:
        return errors[0] * float(given) ** np.arange(errors.size), f"bound $q^t$, q = {float(given):.4g}"
    return given[: errors.size], "bound"
