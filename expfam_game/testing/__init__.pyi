from . import laws, numerics, strategies
from .laws import LAWS, LawBroken, check_family

__all__ = ["LAWS", "LawBroken", "check_family", "laws", "numerics", "strategies"]
