from .bars import bounds, regret
from .curves import convergence
from .graphs import influence, weights
from .pictures import images
from .style import PALETTE

__all__ = ["PALETTE", "bounds", "convergence", "images", "influence", "regret", "weights"]
