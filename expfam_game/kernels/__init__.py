"""Compiled kernels: arrays in, arrays out, no classes; imports nothing else of the package but its type aliases.

compiling  the decorators: compile on first call, cache on disk where possible
streams    reproducible random streams, keyed by (seed, agent, block)
philox     the same, compiled: vector lanes of SFC64, keyed by Philox, that fill small buffers
samplers   one-variate samplers on these streams
moments    fused sample-and-accumulate: mean and scatter of a statistic, in parallel, without storing samples
inversion  mean → natural for the families whose map has no closed inverse
sparse     sweeps over sparse weights
"""
