"""Options that several commands have, each in one wording. What a single command has stands there."""

from __future__ import annotations

import argparse


def add_results(parser: argparse._ActionsContainer, what: str = "the store") -> None:
    """The --results option; `what` is what the command looks for there."""
    parser.add_argument(
        "--results",
        metavar="FOLDER|URL",
        help=f"{what}: a folder or a URL such as s3://bucket/runs (default: BENCH_RESULTS, else results/)",
    )


def add_devices_here(parser: argparse._ActionsContainer) -> None:
    """The --device option of a command that tells of the devices of this machine."""
    parser.add_argument(
        "--device",
        default="all",
        metavar="auto|all|TYPE[:i]",
        help="all (default), auto for the best one, or a type such as cpu, cuda, rocm, xpu, mps, npu",
    )
