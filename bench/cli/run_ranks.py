"""`python -m bench run` by several ranks: its options, which of them to start here, and what one of them prints."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import records
from bench.cli.log_lines import LogLines
from bench.cli.output import print_run
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.runner.plan import Item
    from bench.runner.ranks.place import Place
    from bench.runner.session import Options

MAXIMUM_TIMEOUT_S = 86_400.0
MAXIMUM_RANKS = 1024


def configure(group: argparse._ArgumentGroup) -> None:
    """Add the options that go with several ranks."""
    from bench.cli.run import integer, positive

    group.add_argument(
        "--ranks",
        type=integer("--ranks", 1, MAXIMUM_RANKS),
        metavar="N",
        help="so many processes at once, a device each, without torchrun (default: with --device all one a device)",
    )
    group.add_argument(
        "--stagger", action="store_true", help="of several ranks: measure one after another (default: all at once)"
    )
    group.add_argument(
        "--rank-timeout",
        type=positive("--rank-timeout", "seconds", MAXIMUM_TIMEOUT_S),
        metavar="SECONDS",
        help="how long a rank may be late or silent before it is given up (default: 120)",
    )


def place_of(args: argparse.Namespace) -> Place | None:
    """This process's place among the ranks of a run; None where it runs alone. Refuses options of the other kind."""
    from bench.devices import parse_selection
    from bench.runner.ranks.place import place

    found = place(os.environ)
    if found is None:
        several = args.ranks > 1 if args.ranks else parse_selection(args.device).type == "all"
        for name in ("stagger", "rank_timeout"):
            if getattr(args, name) and not several:
                how = "--ranks N, --device all, or start them by torchrun or srun"
                raise UsageError(f"--{name.replace('_', '-')}: is for several ranks: {how}")
    elif args.resume is not None:
        raise UsageError("--resume: a run by several ranks is not taken up again; start it anew")
    elif args.ranks is not None and found.launcher != "bench":
        by = "its environment" if found.launcher == "environment" else found.launcher
        raise UsageError(f"--ranks: {args.ranks}: this is rank {found.rank} of {found.world} already, by {by}")
    return found


def refuse_resume(path: Path, earlier: records.RunFile) -> None:
    """UsageError where a run file is of several ranks."""
    if (earlier.run.pinning or {}).get("ranks"):
        raise UsageError(f"--resume: {path} is of several ranks, and is not taken up again; start it anew")


def for_plan(options: Options, args: argparse.Namespace, place: Place | None) -> Options:
    """The options with which a run's plan is laid out before there are ranks: its collectives are over all of them."""
    from bench.runner.protocol import Together

    ranks = place.world if place else args.ranks or 1
    if ranks == 1 or args.stagger:
        return options
    return replace(options, together=Together(rank=0, ranks=ranks, address="", port=0, job="", limit_s=0.0))


def to_start(args: argparse.Namespace, devices: Sequence[records.Device]) -> list[str | None]:
    """The device of each rank to start here, None for that of its number; none at all for a run in this process.

    `devices` are those that --device means. UsageError where --device all and --ranks contradict each other.
    """
    from bench.devices import parse_selection

    if args.ranks == 1:
        return []
    if parse_selection(args.device).type != "all":
        return [None] * (args.ranks or 0)
    names = _to_measure(args, [device.device for device in devices])
    if args.ranks not in (None, len(names)):
        allowed = "1, one after another in one process" + (f", or {len(names)}, all at once" if len(names) > 1 else "")
        raise UsageError(f"--ranks: {args.ranks}: --device all is {', '.join(names)} here; choose {allowed}")
    return list(names) if len(names) > 1 else []


def _to_measure(args: argparse.Namespace, names: list[str]) -> list[str]:
    """All of them; for collectives alone not the processor, which exchanges nothing with accelerators."""
    from bench import plugins
    from bench.kernel import Role

    kernels = plugins.load().kernels
    asked = [name.strip() for name in (args.kernel or "").split(",") if name.strip()]
    together = asked and all(name in kernels and kernels[name].role is Role.COLLECTIVE for name in asked)
    accelerators = [name for name in names if name != "cpu"]
    return accelerators if together and accelerators else names


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
