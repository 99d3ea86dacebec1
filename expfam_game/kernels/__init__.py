"""Compiled kernels: arrays in, arrays out, no classes; imports nothing else of the package but its type aliases.

streams    reproducible random streams, keyed by (seed, agent, block)
inversion  mean → natural for the families whose map has no closed inverse
sparse     sweeps over sparse weights
"""
