"""Two sides measured against each other on this machine: launches in turn, judged in pairs.

The statistics are `bench.analysis.verdicts`; a launch is `python -m bench run` in a process of its own.
"""
