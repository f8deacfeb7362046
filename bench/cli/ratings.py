"""`python -m bench ratings`: searches the rated peaks, says which row a reported name gets, checks rows by formula."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.errors import UsageError

EXIT_OK: Final = 0

DESCRIPTION: Final = """\
Search the tables of rated peaks that utilisation is set against.

Every figure is dense, per torch device (a card of two dies shows as two), and counts a multiply-add as two operations.
Without an argument all rows are listed; NAME keeps the rows whose name holds it. --match says which one row a device
gets by the name that its driver reports, or that it gets none (an answer, too: exit 0; JSON has "match": null): an
unlisted SKU never gets its neighbour's figures.
--check lists the rows whose figure differs from units × operations per clock × clock by more than 3 %.
"""

EPILOG: Final = """\
examples:
  python -m bench ratings h100                                     every row with "h100" in its name
  python -m bench ratings --match "NVIDIA H100 80GB HBM3"          the row that this name gets
  python -m bench ratings --match Orin --memory-gb 32              a name that two modules share
  python -m bench ratings --match "NVIDIA X9" --ratings my.toml    with ratings of your own
  python -m bench ratings --check --format csv

How to write my.toml, and how far to trust a figure: docs/ratings.md.
"""

PLAIN: Final = {
    # What a plain precision name stands for (bench.precision): its own accumulation.
    "fp64": "fp64/fp64",
    "fp32": "fp32/fp32",
    "tf32": "tf32/fp32",
    "bf16": "bf16/fp32",
    "fp16": "fp16/fp32",
    "fp8": "fp8/fp32",
    "int8": "int8/int32",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ratings`."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("name", nargs="?", metavar="NAME", help="part of a row's name, in any case")
    parser.add_argument("--match", metavar="REPORTED_NAME", help="the name that the driver or torch reports")
    parser.add_argument("--torch-device", metavar="TYPE", help="with --match: cuda, xpu, mps, npu, …")
    parser.add_argument("--memory-gb", type=float, metavar="GB", help="with --match: memory of the device, GB or GiB")
    parser.add_argument("--units", type=int, metavar="N", help="with --match: multiprocessors or compute units")
    parser.add_argument("--pci-id", metavar="10de:2330", help="with --match: PCI vendor and device")
    parser.add_argument("--check", action="store_true", help="rows where data sheet and formula disagree")
    parser.add_argument("--ratings", type=Path, action="append", default=[], metavar="FILE", help="your own, in TOML")
    parser.add_argument("--format", choices=("table", "json", "markdown", "csv"), default="table")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for; returns the exit code."""
    _refuse_mixtures(args)
    from bench.ratings import load

    tables = load(args.ratings)
    if args.match is not None:
        return _print_match(args, tables)
    if args.check:
        return _print_check(args, tables)
    return _print_rows(args, tables)


def _refuse_mixtures(args: argparse.Namespace) -> None:
    asked = [flag for flag, given in (("NAME", args.name), ("--match", args.match), ("--check", args.check)) if given]
    if args.match is not None and not args.match.strip():
        raise UsageError("--match: '' is no name; give the one that the driver reports")
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)}: give one of NAME, --match and --check")
    for flag, value in (("--memory-gb", args.memory_gb), ("--units", args.units)):
        if value is not None and not 0 < value <= 1e9:
            raise UsageError(f"{flag}: {value} is not a number above 0, at most 1e9")
    hints = {"--torch-device": args.torch_device, "--memory-gb": args.memory_gb}
    hints |= {"--units": args.units, "--pci-id": args.pci_id}
    stray = [flag for flag, value in hints.items() if value is not None and args.match is None]
    if stray:
        raise UsageError(f"{stray[0]}: only goes with --match REPORTED_NAME")


def _print_match(args: argparse.Namespace, tables: Any) -> int:
    from bench.ratings import match, why_no_match
    from bench.ratings.peaks import HOW_TO_ADD

    hints: dict[str, Any] = {"torch_device": args.torch_device, "units": args.units, "pci_id": args.pci_id}
    # Drivers print GiB, data sheets GB, and both call it GB: read it the first way, else the second.
    sizes = [int(args.memory_gb * unit) for unit in (2**30, 10**9)] if args.memory_gb is not None else [None]
    entry = next((e for size in sizes if (e := match(tables, args.match, memory_bytes=size, **hints))), None)
    reason = "" if entry else why_no_match(tables, args.match, memory_bytes=sizes[0], **hints)
    if args.format == "json":
        _print_json({"match": _row(entry) if entry else None, **({"reason": reason} if reason else {})})
    elif entry is None:
        how = HOW_TO_ADD.format(name=args.match, figure="fp16_tflops = 100")
        print(f"No row: {reason}.\nTo rate it, {how} (docs/ratings.md).")
    else:
        _print_table([[k, v] for k, v in _facts(entry)], ["", entry.name], args.format)
    return EXIT_OK


def _print_check(args: argparse.Namespace, tables: Any) -> int:
    from bench.ratings.formula import TOLERANCE, check, comparisons

    found = check(tables)
    total = len(comparisons(tables))
    if args.format == "json":
        rows = [
            {
                "name": d.name,
                "figure": d.figure,
                "rated_operations_per_s": d.rated_operations_per_s,
                "formula_operations_per_s": d.formula_operations_per_s,
                "ratio": d.ratio,
                "formula": d.formula,
                "basis": d.basis,
            }
            for d in found
        ]
        _print_json({"compared": total, "tolerance": TOLERANCE, "disagreements": rows})
        return EXIT_OK
    table = [
        [d.name, d.figure, d.rated_operations_per_s / 1e12, d.formula_operations_per_s / 1e12, d.ratio, d.formula]
        for d in found
    ]
    _print_table(table, ["row", "figure", "rated (1e12/s)", "formula", "formula / rated", "formula is"], args.format)
    if args.format == "table":
        print(f"\n{len(found)} of {total} figures with a formula differ by more than {TOLERANCE:.0%}.")
    return EXIT_OK


def _print_rows(args: argparse.Namespace, tables: Any) -> int:
    rows = tables.entries
    if args.name:
        rows = [e for e in rows if args.name.casefold() in e.name.casefold()]
        if not rows:
            raise _nothing_found(args.name, [e.name for e in tables.entries])
    if args.format == "json":
        _print_json({"ratings": [_row(e) for e in rows]})
        return EXIT_OK
    table = []
    for entry in rows:
        row = _row(entry)
        peaks = [_tera(row["peaks"][p]) for p in PLAIN]
        bandwidth = row["bandwidth_bytes_per_s"]
        table.append([entry.vendor, entry.name, *peaks, bandwidth / 1e9 if bandwidth else None, _origin(entry)])
    _print_table(table, ["vendor", "row", *PLAIN, "GB/s", "from"], args.format)
    if args.format == "table":
        print(
            "\nDense 1e12 operations per second and 1e9 bytes per second, per torch device; blank: no source gives it."
        )
    return EXIT_OK


def _nothing_found(name: str, names: Sequence[str]) -> Exception:
    import difflib

    from bench.errors import UnavailableError

    lowered = {n.casefold(): n for n in names}
    # get_close_matches compares whole strings; a word of a name counts as near too.
    near = difflib.get_close_matches(name.casefold(), lowered, n=3, cutoff=0.4)
    hint = f"; nearest: {', '.join(lowered[n] for n in near)}" if near else ""
    return UnavailableError(f"NAME: no row's name holds {name!r}{hint}")


def _row(entry: Any) -> dict[str, Any]:
    """One entry as the JSON contract has it: peaks by plain precision name, per torch device, null where unknown."""
    from bench.ratings import KEYS, interconnect_of, peaks_of

    peaks = peaks_of(entry)
    figures = {key: peaks[key].operations_per_s if key in peaks else None for key in KEYS if key != "bandwidth"}
    bandwidth, links = peaks.get("bandwidth"), interconnect_of(entry)
    return {
        "vendor": entry.vendor,
        "name": entry.name,
        "peaks": {plain: figures[key] for plain, key in PLAIN.items()},
        "peaks_by_accumulation": figures,
        "bandwidth_bytes_per_s": bandwidth.bytes_per_s if bandwidth else None,
        "interconnect_bytes_per_s": links.bytes_per_s if links else None,
        "interconnect_source": links.source if links else "",
        "devices_per_row": entry.devices_per_row[0],
        "torch_device": entry.torch_device,
        "architecture": entry.architecture,
        "units_per_device": entry.units // entry.devices_per_row[0] if entry.units else None,
        "memory_gb": list(entry.memory_gb),
        "kind": "user" if entry.user_file else "datasheet",
        "source": entry.source or entry.user_file,
        "source_kind": entry.source_kind,
        "seen_as": entry.seen_as,
        "confidence": entry.confidence,
        "attribution": entry.attribution,
        "notes": entry.notes,
    }


def _facts(entry: Any) -> list[tuple[str, str]]:
    """One entry as lines for a reader."""
    row = _row(entry)
    facts = [(key, f"{_digits(rate / 1e12)} T/s") for key, rate in row["peaks_by_accumulation"].items() if rate]
    if row["bandwidth_bytes_per_s"]:
        facts.append(("bandwidth", f"{_digits(row['bandwidth_bytes_per_s'] / 1e9)} GB/s"))
    if row["interconnect_bytes_per_s"]:
        one_way = f"{_digits(row['interconnect_bytes_per_s'] / 1e9)} GB/s in one direction"
        facts.append(("interconnect", f"{one_way} ({row['interconnect_source']})"))
    undisclosed = [key for key, rate in row["peaks_by_accumulation"].items() if not rate]
    if undisclosed:
        facts.append(("no source for", ", ".join(undisclosed)))
    if row["devices_per_row"] > 1:
        facts.append(("per", f"torch device, one of {row['devices_per_row']} of the row"))
    told = ("source", "source_kind", "seen_as", "confidence", "attribution", "notes")
    return facts + [(key.replace("_", " "), row[key]) for key in told if row[key]]


def _origin(entry: Any) -> str:
    return "user" if entry.user_file else entry.source_kind


def _tera(rate: float | None) -> float | None:
    return rate / 1e12 if rate else None


def _digits(value: float) -> str:
    return f"{value:,.5g}" if value < 1e5 else f"{value:,.0f}"


def _print_json(document: dict[str, Any]) -> None:
    import json

    print(json.dumps({"schema": 1, **document}, ensure_ascii=False, indent=2))


def _print_table(rows: list[list[Any]], headers: list[str], form: str) -> None:
    if form == "csv":
        import csv
        import sys

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([headers, *rows])
        return
    from tabulate import tabulate

    style = "github" if form == "markdown" else "simple"
    width = [None] * (len(headers) - 1) + [80] if form == "table" and len(headers) == 2 else None
    print(tabulate(rows, headers=headers, tablefmt=style, floatfmt=".5g", maxcolwidths=width))
