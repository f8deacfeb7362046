"""Rated peaks: the tables with their sources, which one row a device gets, and the peaks computed for processors.

Pure Python: no torch, no measurement. Utilisation itself is `bench.analysis`' business.
"""

from bench.ratings.formula import Disagreement, check, clock_adjusted_peak
from bench.ratings.host_link import HOST_LINK
from bench.ratings.matching import match, why_no_match
from bench.ratings.peaks import BANDWIDTH, INTERCONNECT, KEYS, DeviceRatings, interconnect_of, peaks_of, ratings_for
from bench.ratings.processors import cpu_microarchitecture, cpu_model_clock_hz
from bench.ratings.tables import Entry, Tables, load

__all__ = [
    "BANDWIDTH",
    "HOST_LINK",
    "INTERCONNECT",
    "KEYS",
    "DeviceRatings",
    "Disagreement",
    "Entry",
    "Tables",
    "check",
    "clock_adjusted_peak",
    "cpu_microarchitecture",
    "cpu_model_clock_hz",
    "interconnect_of",
    "load",
    "match",
    "peaks_of",
    "ratings_for",
    "why_no_match",
]
