"""Solvers of the game; imports ``game`` and below.

Read in this order: ``solution.py`` (what comes back), ``base.py`` (the one loop and its stop rule), any method
(``direct``, ``contraction``, ``gauss_seidel``, ``natural_gradient``, ``gradient``, ``asynchronous``, ``sampled``), and
``solve.py`` (the entry point and the default choice). For agents with different statistics: ``heterogeneous.py`` (the stop
rule), ``best_response.py``, ``newton.py``. For games larger than memory: ``streaming.py``.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
