"""Experiments that reproduce the theory and time the package; run one with ``python -m benchmarks.<name>``.

``report.py`` (tables, machine, JSON) and ``exact.py`` (exact rational equilibria) serve them all.
"""
