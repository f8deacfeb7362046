"""Scenario suites: the kernel shapes of real applications with their weights and sources, as data.

A suite names kernels, cases and precisions; whether they are there is found out when a run is planned.
"""

from bench.suites.scenarios import ALL, SIZES, Entry, Request, Scenario, load, parse

__all__ = ["ALL", "SIZES", "Entry", "Request", "Scenario", "load", "parse"]
