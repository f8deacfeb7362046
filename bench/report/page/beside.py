"""What lies beside a page: the run files in a folder, where one page can't hold all the evidence or is asked not to.

Which, and under what names; writing them is the command's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from bench.analysis.report_view import QUANTILES, ReportView

DEVICES_ALONE: Final = 5
"""Measured devices up to which a page is one file."""
QUANTILES_ALONE: Final = 96_000
"""Order statistics that a page holds in all: five devices of 300 rows with 64 each, which stay below 3 MB."""
FEWEST: Final = 9
"""Order statistics of a row that still show its extremes, its middle and its skew."""
UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST: Final = 100
SUFFIX: Final = ".jsonl.gz"


def needed(view: ReportView) -> bool:
    """Whether the page needs its folder: more than five measured devices, or rows that it can't hold all samples of."""
    return sum(not one.rated_only for one in view.devices) > DEVICES_ALONE or quantiles_shown(view) < QUANTILES


def quantiles_shown(view: ReportView) -> int:
    """Order statistics of each row's samples that the page holds."""
    return min(QUANTILES, max(FEWEST, QUANTILES_ALONE // max(1, len(view.rows))))


def names(sources: Iterable[str]) -> list[str]:
    """A file name for each run file, by what it is called: safe in a path and an address, and no two alike."""
    found: list[str] = []
    taken: set[str] = set()
    for source in sources:
        stem = UNSAFE.sub("-", source)[:LONGEST].strip(".-") or "run"
        name, more = stem, 1
        while name.casefold() in taken:  # file systems differ in whether case counts
            more += 1
            name = f"{stem}-{more}"
        taken.add(name.casefold())
        found.append(f"{name}{SUFFIX}")
    return found
