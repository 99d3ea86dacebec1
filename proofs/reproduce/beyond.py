"""T9–T12: what cooperation is worth, and where one statistic, one sample space or one equilibrium is not enough."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import expfam_game as eg
from expfam_game._typing import FloatArray
from expfam_game.game import PartialGame, best_row, cooperation_risk, symmetric_play
from proofs.reproduce.common import (
    GREY,
    PALETTE,
    Line,
    Reproduction,
    at_least,
    at_most,
    equal,
    figure,
    legend,
    save,
    within,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def t9(out: Path, seed: int) -> Reproduction:
    """Risk of a poor and a rich agent against the distance of their worlds: alone, at the equilibrium, with the best row."""
    counts, variances, n_games = [10, 100], [1.0, 1.0], 4000
    rng, distances = np.random.default_rng(seed), np.linspace(0.0, 1.0, 41)
    weights = eg.Weights.complete(2, 0.5)
    made, (left, right) = figure("T9: what cooperation is worth, bias of other worlds against variance of few data")
    alone = variances[0] / counts[0]
    theory = np.array([cooperation_risk(weights, [[0.0], [d]], variances, counts).total[0] for d in distances])
    best = [best_row(0, [[0.0], [d]], variances, counts) for d in distances]
    left.axhline(alone, color=GREY, linestyle="--", label="alone, 10 samples")
    left.plot(distances, theory, color=PALETTE[0], label="equilibrium, self-weights 1/2")
    left.plot(distances, [row.risk for row in best], color=PALETTE[2], label="best row of influence")
    lines = []
    influence = np.array([[2.0, 1.0], [1.0, 2.0]]) / 3.0
    for d in (0.0, 0.3, 0.6, 0.9):
        data = np.array([0.0, d]) + rng.standard_normal((n_games, 2)) / np.sqrt(counts)
        squared = (data @ influence[0]) ** 2
        error = float(squared.std(ddof=1) / np.sqrt(n_games))
        expected = float(cooperation_risk(weights, [[0.0], [d]], variances, counts).total[0])
        left.errorbar([d], [squared.mean()], yerr=[7 * error], fmt="o", color=PALETTE[0], markersize=4, capsize=3)
        lines.append(within(f"risk at distance {d}", expected, float(squared.mean()), error))
    left.set(xlabel="distance of the two true means", ylabel="risk of agent 0 (10 samples)", ylim=(0, 0.19))
    left.set_title(f"● {n_games:,} simulated games ± 7 s.e.")
    legend(left)
    weight = np.array([row.row[1] for row in best])
    s1, s2 = (v / n for v, n in zip(variances, counts))
    closed = s1 / (s1 + s2 + distances**2)
    right.plot(distances, closed, color=PALETTE[2], label=r"$s_1/(s_1+s_2+d^2)$")
    right.plot(distances[::4], weight[::4], "o", color=PALETTE[1], markersize=4, label="quadratic program")
    right.set(xlabel="distance of the two true means", ylabel="best weight on the other's data", ylim=(0, 1))
    legend(right)
    lines.append(at_most("largest difference of program and formula", 1e-10, float(np.max(np.abs(weight - closed)))))
    ceiling = max(float(row.risk) for row in best)
    lines.append(at_most("largest risk with the best row, against alone", alone, ceiling))
    return Reproduction("agent 0 has 10 samples, agent 1 has 100, unit variances", tuple(lines), save(made, out, "T9"))


_PRINTED = ((-8.31632246, 8.34933489), (-1.96683486, 2.19199985), (-0.76054952, 0.86180127))
_TABLES = np.array([[-14, 14, 3, -11], [19, 4, -6, 16]]) / 10.0
_DATA = np.array([197, 1, 1, 1]) / 200.0


def _law(agent: int, theta: FloatArray) -> FloatArray:
    """p_θ on the four states, shape (..., 4)."""
    score = np.asarray(theta)[..., None] * _TABLES[agent]
    weight = np.exp(score - score.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def _response(agent: int, other: FloatArray) -> FloatArray:
    """Best response of one agent to the other's natural parameter, by bisection on the monotone mean map."""
    target = 0.15 * _DATA @ _TABLES[agent] + 0.85 * _law(1 - agent, other) @ _TABLES[agent]
    low, high = np.full(np.shape(target), -60.0), np.full(np.shape(target), 60.0)
    for _ in range(80):
        middle = (low + high) / 2
        above = _law(agent, middle) @ _TABLES[agent] > target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray((low + high) / 2)


def t10(out: Path, seed: int) -> Reproduction:
    """Two agents, same data, different statistics: three equilibria, where play goes, and how they come and go."""
    game, view = eg.catalog.three_equilibria(), [(-11.0, 2.5), (-2.5, 11.0)]
    proved = eg.certify_all(game)
    made, panels = figure("T10: with different statistics the equilibrium is not unique", 14.5, 8.6, columns=3, rows=2)
    eg.plots.best_response_field(panels[0], game, view, certificate=proved)
    panels[0].set_title("where best response moves a profile")
    eg.plots.basins(panels[1], game, proved, view)
    panels[1].set_title("where damped play (0.2) ends (observed)")
    eg.plots.basins(panels[2], game, proved, view, damping=1.0)
    panels[2].set_title("undamped play: in the white parts it cycles (observed)")
    _bars(panels[3])
    for k, point in enumerate(_PRINTED):
        panels[0].annotate(f"E{k + 1}", point, textcoords="offset points", xytext=(8, 4))
    _bifurcation(panels[4], "self_weight", np.arange(1, 25) / 100.0, "self-weight of both agents")
    _bifurcation(panels[5], "blend", np.arange(15) / 100.0, r"blend: share of $-\phi_1$ in $\phi_2$")
    shared = eg.certify_all(eg.catalog.three_equilibria(blend=1)).n_equilibria
    lines = [line for k, point in enumerate(_PRINTED) for line in _located(k, point)]
    origin = _limits(np.zeros((1, 2)))[0]
    lines.append(
        at_most("distance of best response from θ = 0 to E3", 1e-6, float(np.max(np.abs(origin - _PRINTED[2]))))
    )
    lines.append(
        Line(
            "equilibria in the whole plane, certified",
            "3",
            str(proved.n_equilibria),
            proved.n_equilibria == 3 and proved.everywhere,
        )
    )
    lines.append(Line("equilibria with one shared statistic (T10a)", "1", str(shared), shared == 1))
    return Reproduction(
        "the catalogue's three_equilibria: data (197, 1, 1, 1), self-weights 3/20", tuple(lines), save(made, out, "T10")
    )


def _bifurcation(ax: Axes, parameter: str, values: FloatArray, label: str) -> None:
    """All equilibria along a parameter of the game; at every value their number is certified."""
    exact = [Fraction(float(value)).limit_denominator(1000) for value in values]
    found = eg.certificates.certify_along(lambda value: eg.catalog.three_equilibria(**{parameter: value}), exact)
    eg.plots.bifurcation(ax, values, found, label=label)


def _limits(starts: FloatArray, rounds: int = 600) -> FloatArray:
    """Where simultaneous best response ends; each response is a function of one number, so it is tabulated once."""
    table = np.linspace(-20.0, 20.0, 40_001)
    responses = [_response(agent, table) for agent in (0, 1)]
    profile = np.array(starts, dtype=np.float64)
    for _ in range(rounds):
        answers = [np.interp(profile[..., 1 - agent], table, responses[agent]) for agent in (0, 1)]
        after = np.stack(answers, axis=-1)
        if np.max(np.abs(after - profile)) < 1e-10:
            break
        profile = after
    return profile


def _located(k: int, printed: tuple[float, float]) -> list[Line]:
    """The equilibrium near a printed one by Newton on the game of the package, and its stability."""
    game = eg.catalog.three_equilibria()
    profile = np.array(printed)[:, None]
    for _ in range(20):
        step = np.linalg.solve(np.asarray(game.jacobian(profile)).reshape(2, 2), np.ravel(game.residual(profile)))
        profile = profile + step[:, None]  # the residual is target minus mean
        if np.max(np.abs(step)) < 1e-13:
            break
    radius = float(np.max(np.abs(np.linalg.eigvals(np.asarray(game.best_response_jacobian(profile)).reshape(2, 2)))))
    name = f"equilibrium E{k + 1}"
    stable = at_least if k == 1 else at_most
    return [
        at_most(f"{name}: distance from T10.md, statement 2", 1e-8, float(np.max(np.abs(profile[:, 0] - printed)))),
        at_most(f"{name}: largest regret [nats]", 1e-13, float(np.max(game.regret(profile)))),
        stable(f"{name}: spectral radius of best response", 1.0, radius),
    ]


def _bars(ax: Axes) -> None:
    """What the agents believe at each equilibrium, beside the data."""
    width, places = 0.13, np.arange(4)
    ax.bar(places - 3 * width, _DATA, width, color="black", label="data of both")
    for k, (a, b) in enumerate(_PRINTED):
        for agent, theta in enumerate((a, b)):
            ax.bar(
                places + (2 * k + agent - 2) * width, _law(agent, np.array(theta)), width, color=PALETTE[k],
                alpha=1.0 if agent == 0 else 0.55, label=f"E{k + 1}, agent {agent + 1}",
            )  # fmt: skip
    ax.set(xlabel="state", ylabel="probability", xticks=places)
    ax.set_title("E1: the data described, E3: a shared hallucination")
    legend(ax)


def t11(out: Path, seed: int) -> Reproduction:
    """Three agents share one variable of four states and keep one of three to themselves."""
    rng = np.random.default_rng(seed)
    states, seen = (4, 3, 3, 3), [(0, 1), (0, 2), (0, 3)]
    data = [rng.dirichlet(np.full(12, 0.4)).reshape(4, 3) for _ in seen]
    weights = eg.Weights.ring(3, 0.3)
    game = PartialGame(states, seen, weights, data)
    alpha = weights.to_dense()
    own = np.diag(np.diag(alpha))
    v = np.linalg.solve(np.eye(3) - alpha + own, np.ones(3))
    shared_data = np.array([game.marginal(i, data[i], [0]) for i in range(3)])
    goal = np.linalg.solve(np.eye(3) - alpha + own, own @ shared_data)
    final = game.play(tolerance=1e-15).models
    models, shared, whole, drops, linear = game.uniform(), [], [], 0.0, 0.0
    for _ in range(150):
        marginal = np.array([game.marginal(i, models[i], [0]) for i in range(3)])
        shared.append(float(np.max(np.abs(marginal - goal) / v[:, None])))
        whole.append(max(float(np.max(np.abs(a - b))) for a, b in zip(models, final)))
        after = [game.em_step(i, models) for i in range(3)]
        for i in range(3):
            alone = [after[j] if j == i else models[j] for j in range(3)]
            drops = max(drops, game.utility(i, models) - game.utility(i, alone))
        stepped = np.array([game.marginal(i, after[i], [0]) for i in range(3)])
        linear = max(linear, float(np.max(np.abs(stepped - own @ shared_data - (alpha - own) @ marginal))))
        models = tuple(after)
    q = 1 - 1 / v.max()
    made, (left, right) = figure(
        "T11: agents who see different variables: what they share obeys T2, whatever the rest does"
    )
    left.semilogy(shared, color=PALETTE[0], label="shared variable: error of the marginals")
    left.semilogy(whole, color=PALETTE[1], label="whole tables, private variables included")
    left.semilogy(
        shared[0] * q ** np.arange(150), color=GREY, linewidth=3, dashes=(3, 4), label=f"bound $q^t$, q = {q:.3f} (T4)"
    )
    left.set(xlabel="round of EM steps", ylabel="distance from the end", ylim=(1e-16, 1e4))
    legend(left, loc="upper right")
    places = np.arange(4)
    for i in range(3):
        end = game.marginal(i, final[i], [0])
        right.bar(
            places + 0.26 * (i - 1), goal[i], 0.24, color=PALETTE[i], alpha=0.5, label=f"agent {i}: row of R times data"
        )
        right.plot(places + 0.26 * (i - 1), end, "o", color=PALETTE[i], markersize=4)
    right.set(xlabel="state of the shared variable", ylabel="probability", xticks=places, title="● found by EM")
    legend(right)
    found = np.array([game.marginal(i, final[i], [0]) for i in range(3)])
    lines = (
        at_most("largest difference of a round on the shared variable and D m + B μ", 1e-14, linear),
        at_most("largest difference of the shared marginals and R m", 1e-12, float(np.max(np.abs(found - goal)))),
        at_most("largest ratio of shared error and q^t bound", 1.0 + 1e-5, _ratio(np.array(shared), q)),
        at_most("largest loss of utility in an EM step [nats]", 1e-13, drops),
    )
    return Reproduction(
        "three agents on a ring, self-weight 0.3, one variable shared, one private each", lines, save(made, out, "T11")
    )


def _ratio(errors: FloatArray, q: float) -> float:
    seen = errors > 1e-10  # below, rounding counts
    return float(np.max((errors / (errors[0] * q ** np.arange(errors.size)))[seen]))


def t12(out: Path, seed: int) -> Reproduction:
    """Alternating best response of decoder and encoder: rate, limit, and a continuum of equilibria."""
    rng = np.random.default_rng(seed)
    data, prior = rng.dirichlet(np.full(5, 3.0)), rng.dirichlet(np.full(4, 3.0))
    made, (left, right) = figure(
        "T12: symmetric learning on tables is Sinkhorn's iteration; every coupling is an equilibrium"
    )
    lines = []
    for k, colour in zip(range(3), PALETTE):
        start = np.exp(1.2 * (k + 1) * rng.standard_normal((5, 4)))
        limit = symmetric_play(start, data, prior, tolerance=1e-15, max_steps=20_000).joint
        errors = np.array(
            [symmetric_play(start, data, prior, tolerance=1e-300, max_steps=t).marginal_error for t in range(1, 61)]
        )
        rate = float(np.linalg.svd(limit / np.sqrt(np.outer(data, prior)), compute_uv=False)[1] ** 2)
        clear = np.flatnonzero(errors > 1e-11)
        last = int(clear[-1])
        measured = float((errors[last] / errors[last // 2]) ** (1 / (last - last // 2)))
        left.semilogy(np.arange(1, 61), errors, color=colour, label=f"start {k + 1}")
        left.semilogy(np.arange(1, 61), errors[last] * rate ** (np.arange(60.0) - last), color=colour, linestyle=":",
                      label=f"squared correlation of the limit, {rate:.3f}")  # fmt: skip
        lines.append(equal(f"factor per round, start {k + 1}", rate, measured, 0.02))
    left.set(xlabel="rounds (decoder and encoder answer)", ylabel="marginal error", ylim=(1e-15, 1e3))
    legend(left, loc="upper right")
    odds = np.linspace(-8, 8, 81)
    corner = np.array(
        [symmetric_play([[np.exp(x), 1.0], [1.0, 1.0]], [0.3, 0.7], [0.4, 0.6]).joint[0, 0] for x in odds]
    )
    closed = np.array([_corner(float(np.exp(x)), 0.3, 0.4) for x in odds])
    right.plot(odds, closed, color=PALETTE[2], label="I-projection, closed form")
    right.plot(odds[::5], corner[::5], "o", color=PALETTE[1], markersize=4, label="where play ends")
    right.axhline(0.3 * 0.4, color=GREY, linewidth=0.8, linestyle=":")
    right.text(-7.8, 0.125, "independence", color=GREY, fontsize=8)
    right.set(xlabel="log odds ratio of the start", ylabel="joint probability of x = 0, z = 0")
    right.set_title("2 × 2 tables: the start decides which equilibrium")
    legend(right, loc="lower right")
    lines.append(at_most("largest difference of play and I-projection", 1e-9, float(np.max(np.abs(corner - closed)))))
    lines.append(at_least("range of the equilibria reached", 0.25, float(np.ptp(corner))))
    return Reproduction(
        "5 × 4 tables with random marginals; 2 × 2 tables with marginals 0.3 and 0.4",
        tuple(lines),
        save(made, out, "T12"),
    )


def _corner(odds: float, x: float, z: float) -> float:
    """The entry t of a 2×2 table with t (1 − x − z + t) = odds (x − t)(z − t)."""
    if abs(odds - 1.0) < 1e-12:
        return x * z
    a, b, c = 1.0 - odds, 1.0 - x - z + odds * (x + z), -odds * x * z
    return float(2.0 * c / (-b - np.sqrt(b * b - 4.0 * a * c)))
