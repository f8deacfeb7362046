"""`python -m bench doctor`."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from bench.cli.options import add_devices_here

if TYPE_CHECKING:
    from bench.devices.health import Finding

EXAMPLES = """\
examples:
  python -m bench doctor                   the processor, and every accelerator that torch presents
  python -m bench doctor --device cuda:0   one device and the machine around it
  python -m bench doctor --format json     for programs

It changes nothing, takes a few seconds, and exits with 0 whatever it finds (3 where the device asked for is absent).
"""
ORDER = {"warning": 0, "note": 1, "ok": 2}
WIDTH = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "Say what would make a measurement here bad, why it matters and how to mend it: clock, other load, quotas,\n"
        "missing telemetry, clashing packages, a torch without the backend of a GPU that is there."
    )
    parser.epilog = EXAMPLES
    add_devices_here(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table")


def run(args: argparse.Namespace) -> int:
    """Examine and print; 0, or by UnavailableError 3 where the device asked for is absent."""
    from bench.devices import parse_selection

    parse_selection(args.device)
    names, findings = examine(args.device)
    if args.format == "json":
        document = {"schema": 1, "devices": names, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(document, indent=2))
    else:
        print(listing(names, findings))
    return 0


def examine(selection: str) -> tuple[list[str], list[Finding]]:
    """The devices and every finding, the worst first. The machine is examined whatever the device."""
    from bench.devices import discover, health, health_gpu, pci
    from bench.devices.discovery import accelerators

    chosen = discover(selection)
    processor = next((device for device in chosen if device.kind == "cpu"), None) or discover("cpu")[0]
    findings = health.examine(processor)
    for device in chosen:
        if device.kind != "cpu":
            findings += health_gpu.examine(device)
    kinds = {kind for kind, _ in accelerators()}
    findings += health_gpu.without_backend(pci.scan(), kinds, str(processor.details["torch"]))
    return [device.device for device in chosen], sorted(findings, key=lambda finding: ORDER[finding.level])


def listing(names: list[str], findings: list[Finding]) -> str:
    """The findings as paragraphs, and a line that counts them."""
    from bench.analysis.words import counted

    counts = Counter(finding.level for finding in findings)
    words = [counted(counts[level], level) for level in ("warning", "note")]
    summary = f"{', '.join(names)}: {', '.join(words)}, {counts['ok']} fine"
    return "\n".join([*(_paragraph(finding) for finding in findings), "", summary])


def _paragraph(finding: Finding) -> str:
    label = {"ok": "ok", "note": "note", "warning": "WARNING"}[finding.level]
    device = f"{finding.device}: " if finding.device else ""
    parts = [(f"{label:<8} ", device + finding.what), ("   why:  ", finding.why), ("   mend: ", finding.mend)]
    return "\n".join(
        textwrap.fill(
            text, WIDTH, initial_indent=head, subsequent_indent=" " * 9, break_long_words=False, break_on_hyphens=False
        )
        for head, text in parts
        if text
    )
