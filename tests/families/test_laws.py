"""Every family of the package obeys every law, at moderate parameters."""

from __future__ import annotations

import inspect

from expfam_game import families
from expfam_game.families.base import Family
from expfam_game.testing import check_family


def test_law(catalogued, law) -> None:
    check_family(catalogued.family, catalogued.moderate, seed=20, laws=[law])


def test_every_public_family_is_in_the_catalogue(catalogue) -> None:
    public = {getattr(families, name) for name in families.__all__}
    kinds = {kind for kind in public if inspect.isclass(kind) and issubclass(kind, Family) and kind is not Family}
    assert kinds == {type(entry.family) for entry in catalogue}
