"""Proofs of the theorems: readable (``prose/``), symbolic (``symbolic/``), machine-checked (``rocq/``), reproduced (``reproduce/``).

``README.md`` is the index; ``python -m proofs`` prints it with the state of every link, ``python -m proofs T4`` checks one label.
"""
