"""`python -m bench run` as one rank of many, under torchrun or srun: its options, and what it prints."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import records
from bench.cli.log_lines import LogLines
from bench.cli.output import print_run
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.runner.plan import Item
    from bench.runner.ranks.place import Place

MAXIMUM_TIMEOUT_S = 86_400.0


def configure(group: argparse._ArgumentGroup) -> None:
    """Add the options that go with several ranks."""
    from bench.cli.run import positive

    group.add_argument(
        "--stagger",
        action="store_true",
        help="under torchrun or srun: the ranks measure one after another (default: all at once)",
    )
    group.add_argument(
        "--rank-timeout",
        type=positive("--rank-timeout", "seconds", MAXIMUM_TIMEOUT_S),
        metavar="SECONDS",
        help="how long a rank may be late or silent before it is given up (default: 120)",
    )


def place_of(args: argparse.Namespace) -> Place | None:
    """This process's place among the ranks of a run; None where it runs alone. Refuses options of the other kind."""
    from bench.runner.ranks.place import place

    found = place(os.environ)
    if found is None:
        for name in ("stagger", "rank_timeout"):
            if getattr(args, name):
                raise UsageError(f"--{name.replace('_', '-')}: is for several ranks; start them by torchrun or srun")
    elif args.resume is not None:
        raise UsageError("--resume: a run by several ranks is not taken up again; start it anew")
    return found


def run_as_rank(args: argparse.Namespace, place: Place) -> int:
    """Measure this rank's part; the one process that has the run file of all prints it."""
    if args.dry_run:
        return 0  # rank 0 shows its plan
    from bench.cli.progress import kernel_defaults, progress
    from bench.cli.run import new_run_file, options_of, send
    from bench.devices import parse_selection
    from bench.runner.ranks.session import LIMIT_S, measure

    parse_selection(args.device)
    options = options_of(args)

    def path_of() -> Path:
        return new_run_file(args.out, args.results)

    limit_s = args.rank_timeout or LIMIT_S
    with QuietProgress(place.rank) if place.rank else progress(kernel_defaults()) as screen:
        if place.rank == 0:
            screen.message(f"{place.world} ranks, started by {place.launcher}; the lines that follow are of rank 0")
        outcome = measure(options, place, path_of, screen, stagger=args.stagger, limit_s=limit_s)
    if outcome.file is not None and outcome.path is not None:
        print_run(outcome.path, outcome.file, args.format)
        print(f"bench: run file: {outcome.path}", file=sys.stderr)
        if args.out is None:
            send(outcome.path, args.results)
    return outcome.exit_code


class QuietProgress(LogLines):
    """The screen of every rank but the first: what it has to warn of, and nothing else."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def message(self, text: str) -> None:
        """A warning, with the rank that it comes from."""
        if text.startswith("warning:"):
            super().message(f"rank {self._rank}: {text}")

    def started(self, devices: Sequence[records.Device], rows: int) -> None:
        """Rank 0 tells it."""

    def row_started(self, number: int, item: Item, launch: int) -> None:
        """Rank 0 tells it."""

    def phase(self, phase: str, detail: str) -> None:
        """Rank 0 tells it."""

    def row_done(self, row: records.Measurement) -> None:
        """It is in the table."""
