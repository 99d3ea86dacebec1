"""Identities behind the theorems, checked exactly with SymPy; ``pytest proofs/symbolic`` runs them."""
