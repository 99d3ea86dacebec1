"""Functions that draw on a given Matplotlib Axes and return it; Matplotlib is imported inside (extra ``plot``).

``curves.py`` (error against round), ``graphs.py`` (who listens to whom, whose data ends up where), ``pictures.py``
(mosaics of images), ``bars.py`` (regrets and proved bounds per agent), ``equilibria.py`` (two agents with different
statistics), ``rounds.py`` (games of black-box agents, round by round), ``style.py`` (colours), ``command.py`` (whole
pictures for the command ``expfam-game plot``). A plot that shows a bound says which grade of evidence it has.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
