"""Black-box agents play the game: anything that can fit weighted samples and draw new ones. Imports no framework.

Read in this order: ``agent.py`` (the two methods), ``exchange.py`` (``play``, the entry point), ``rounds.py`` (who draws and fits when),
``theory.py`` and ``check.py`` (what should come out, and whether it does), ``adapters.py`` and ``scikit.py`` (agents made of
what people have); ``setting.py``, ``state.py``, ``result.py`` (what is fixed, what changes, what is left), ``workers.py``,
``faults.py``, ``checkpoint.py`` (when things go wrong).
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
