from .bars import bounds, regret
from .curves import convergence
from .equilibria import basins, best_response_field, bifurcation, destinations
from .graphs import influence, weights
from .pictures import images
from .rounds import metric_by_round, theory_by_round
from .style import PALETTE

__all__ = [
    "PALETTE",
    "basins",
    "best_response_field",
    "bifurcation",
    "bounds",
    "convergence",
    "destinations",
    "images",
    "influence",
    "metric_by_round",
    "regret",
    "theory_by_round",
    "weights",
]
