"""Tests that any family or game can be put to, yours included; needs the extra ``testing`` for the strategies.

laws         what every exponential family must obey; start with ``check_family``
numerics     differentiation, summation and sampling error, each with a bound on its own error
strategies   Hypothesis strategies for families, parameters, weights and games

Imports ``families`` and ``game``; nothing in the package imports this room.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
