"""`--threshold` and `--fail-on`, which whatever gives verdicts has alike."""

from __future__ import annotations

import argparse
from typing import Final

from bench.errors import UsageError, unknown_name

FAIL_ON: Final = ("regression", "ambiguous", "missing")


def add_verdict_options(parser: argparse.ArgumentParser) -> None:
    """Add both arguments."""
    parser.add_argument(
        "--threshold",
        metavar="5%",
        help="smallest change to be called, for every series (default: [tool.bench.compare] of pyproject.toml, "
        "else 3%% on a GPU and 5%% on a CPU)",
    )
    parser.add_argument(
        "--fail-on",
        metavar="VERDICTS",
        default="regression",
        help=f"verdicts that end with exit code 1, beside a regression: {', '.join(FAIL_ON)} (comma list)",
    )


def fail_on(text: str) -> tuple[str, ...]:
    """The verdicts that `--fail-on` names. UsageError for any other, and for none."""
    names = tuple(filter(None, (word.strip() for word in text.split(","))))
    for name in names:
        if name not in FAIL_ON:
            raise unknown_name("--fail-on", name, FAIL_ON)
    if not names:
        raise UsageError(f"--fail-on: no verdict in {text!r}; choose from {', '.join(FAIL_ON)}")
    return names
