"""Weights, the game and named examples; imports ``families`` and ``kernels`` only.

Read in this order: ``weights.py`` (who listens to whom), ``game.py`` (the game and everything computed from it),
``linear.py`` (the linear algebra behind them), ``heterogeneous.py`` (agents with different statistics; beneath it
``spaces.py``, the sample spaces as points, ``own_means.py``, ``exact_tables.py``, finite games in rational numbers, and
``edge.py``, play that runs to the boundary),
``cooperation.py`` (what playing is worth, T9), ``partial.py`` (agents who see different variables, T11), ``coupling.py``
(decoder and encoder, T12), ``catalog.py`` (named games).
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
