"""Proofs about a computed profile, as data that a small checker verifies; imports ``game`` and below, never ``solvers``.

What is trusted when ``check(game, certificate)`` returns True: ``check.py``, the claims ``c1_anchored.py`` …
``c5_regret.py``, ``c6_krawczyk.py`` and ``c6_cover.py`` that it calls, ``rounding.py`` beneath them, ``stored.py``, and for C4 and C5 the
ball models in ``balls.py``; besides these python-flint (Arb) and IEEE arithmetic. What made the certificate (``certify.py``, ``c6_search.py``,
any solver) is not trusted.

Read in this order: ``certificate.py`` (the data and its grades), ``stored.py`` (its files), ``rounding.py`` (bounds for D a + B x − c in three
arithmetics), ``c1_anchored.py`` to ``c5_regret.py`` (one claim each), ``check.py``, then ``certify.py``.
For agents with different statistics: ``equilibria.py`` (the data), ``c6_krawczyk.py``, ``c6_cover.py``, ``c6_search.py``.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
