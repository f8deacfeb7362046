"""The list of foreign formats, as `import --list` and `export --list` print it."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import Any, Final, Literal

from bench.cli.output import width
from bench.interop.registry import FORMATS, Format

SCHEMA: Final = 1
LEAST: Final = 30
"""Columns that the words on a format keep on the narrowest terminal."""


def add_list(parser: argparse.ArgumentParser) -> None:
    """The options --list and --format."""
    parser.add_argument("--list", action="store_true", help="list the formats, and which of them go out, in or both")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="of what is printed about it")


def print_list(form: Literal["table", "json"]) -> None:
    """Print the formats: name, direction, suffix, what each is."""
    if form == "json":
        print(json.dumps({"schema": SCHEMA, "formats": [_document(one) for one in FORMATS.values()]}, indent=2))
        return
    from tabulate import tabulate

    rows = [[one.name, one.direction, one.suffix, one.what] for one in FORMATS.values()]
    taken = sum(max(len(row[place]) for row in rows) + 2 for place in range(3))
    room = max(width() - taken, LEAST)
    shown = [[*row[:3], textwrap.fill(row[3], room)] for row in rows]
    print(tabulate(shown, headers=["format", "direction", "suffix", "what it is"], tablefmt="simple"))


def _document(one: Format) -> dict[str, Any]:
    return {
        "name": one.name,
        "direction": one.direction,
        "suffix": one.suffix,
        "what": one.what,
        "shape": one.shape,
        "comparisons": one.compared,
        "several_runs": one.several,
    }
