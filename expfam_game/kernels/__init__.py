"""Compiled kernels: arrays in, arrays out, no classes; imports nothing else of the package but its type aliases.

compiling       the decorators: compile on first call, cache on disk where possible
streams         reproducible random streams, keyed by (seed, agent, block)
random_words    the same, compiled: vector lanes of SFC64 that fill small buffers
elementary      logarithms, exponentials, sines in loops that become vector instructions
samplers        one-variate samplers on these streams; ziggurat, compaction: their parts
counting        counts of many draws at once
block_sums      fused sample-and-accumulate, in parallel, without storing samples; its kernels stand in *_moments
covariance      the same for the whole covariance of the statistic, from draws and count_draws
sum_laws        the mean statistic of n samples, drawn from its exact law
sums            compensated sums over data
inversion       mean → natural for the families whose map has no closed inverse; special_functions for it
sparse          sweeps over sparse weights; row_blocks, elimination: from files, and of narrow bands
"""
