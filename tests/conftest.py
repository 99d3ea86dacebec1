"""Settings of the whole suite: property tests draw the same examples every time.

``pytest --hypothesis-profile=explore`` draws new ones, to look for counterexamples.
"""

from hypothesis import settings

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("reproducible")
