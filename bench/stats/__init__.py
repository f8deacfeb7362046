"""Pure statistics over samples: robust centres, intervals, stopping rules. No I/O, no torch, no numpy.

What the samples are and how they were taken is `bench.timing`'s business.
"""
