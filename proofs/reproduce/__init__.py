"""One numerical reproduction per label: numbers beside what theory says, and a picture.

``equilibrium.py`` has T1–T3, ``dynamics.py`` T4–T8, ``beyond.py`` T9–T12, ``certificates.py`` C1–C6; ``common.py`` is
what they share.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from proofs.reproduce.common import Reproduction

_MODULES = {
    "equilibrium": ("T1", "T2", "T3"),
    "dynamics": ("T4", "T5", "T6", "T7", "T8"),
    "beyond": ("T9", "T10", "T11", "T12"),
    "certificates": ("C1", "C2", "C3", "C4", "C5", "C6"),
}
LABELS = tuple(label for labels in _MODULES.values() for label in labels)
"""Every label, in the order of the theory."""


def reproduction(label: str) -> Callable[[Path, int], Reproduction]:
    """The function that reproduces a label: takes a folder for the picture and a seed."""
    module = next(name for name, labels in _MODULES.items() if label in labels)
    found = getattr(importlib.import_module(f"proofs.reproduce.{module}"), label.lower())
    return cast(Callable[[Path, int], Reproduction], found)


__all__ = ["LABELS", "Reproduction", "reproduction"]
