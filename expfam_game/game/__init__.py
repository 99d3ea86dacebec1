"""Weights, the game and named examples; imports ``families`` and ``kernels`` only.

Read in this order: ``weights.py`` (who listens to whom), ``game.py`` (the game and everything computed from it),
``linear.py`` (the linear algebra behind them), ``catalog.py`` (named games).
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
