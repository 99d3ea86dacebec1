"""Exponential families through their sufficient statistics: start with ``base.py`` (the contract), then any file.

Imports ``kernels`` only. One file per family or close kin; ``newton.py`` inverts the mean map where no special method
is known.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
