"""What users have on disk, read and written: game files in TOML, arrays in CSV, NPY, NPZ and Parquet, solutions.

Used by the command line. Read ``games.py`` first (a game file), then ``data.py`` (the arrays that it names) and
``solutions.py`` (what ``solve`` saves); ``options.py`` reads the description of a solver, ``messages.py`` words what users
are told.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
