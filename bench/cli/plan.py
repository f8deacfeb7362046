"""`python -m bench plan`: what a list of devices is rated at, measured at and delivers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from bench import records
from bench.cli.output import speaks_utf8, width
from bench.errors import UnavailableError, UsageError
from bench.precision import PRECISIONS

if TYPE_CHECKING:
    from bench.analysis.capacity import Asked, Basis, Known, Need, Plan
    from bench.analysis.capacity_seen import Seen
    from bench.ratings import Tables

DESCRIPTION: Final = """\
Work out a list of devices or sites (TOML): P rated by nameplate, P measured from run files, P effective over scenarios,
each by precision. The three are never mixed, nothing is summed over precisions, and a nameplate without a precision
stays without one. Every figure says where it comes from.
"""

EPILOG: Final = """\
examples:
  python -m bench plan site.toml                              a list of devices: docs/centre.md
  python -m bench plan site.toml results/run.jsonl            with what was measured on such devices
  python -m bench plan --device "NVIDIA H100 80GB HBM3" --need "100 P" --precision fp16
  python -m bench plan site.toml run.jsonl --report report.md

Exit codes: 0 done · 2 usage · 3 unreadable, or no figure for what is asked
"""

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e15)]


class Row(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One `[[devices]]` of the list."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    kind: Literal["installed", "contracted", "planned"] = "installed"
    count: Annotated[int, msgspec.Meta(gt=0, le=10**9)] | None = None
    precision: str = "undisclosed"
    nameplate: str | None = None
    application_level: str | None = None
    device: str = ""
    power_w: Positive | None = None
    pue: Annotated[float, msgspec.Meta(ge=1, le=10)] | None = None
    price: Positive | None = None
    currency: str = ""
    year: Annotated[int, msgspec.Meta(ge=1900, le=2200)] | None = None
    growth_per_year: str | None = None


class Site(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole list."""

    devices: list[Row]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `plan`."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("files", metavar="SITE.toml RUN", nargs="*", help="the device list (.toml), and run files")
    parser.add_argument("--device", metavar="NAME", help="with --need: the device, by its rated name")
    parser.add_argument("--need", metavar="P", help='how many of --device for this: "100 P", 3 E, 百亿亿次')
    parser.add_argument("--precision", choices=tuple(PRECISIONS), help="with --need: at which precision")
    parser.add_argument(
        "--basis", choices=("rated", "measured", "effective"), default="rated", help="with --need (default: rated)"
    )
    parser.add_argument("--work", metavar="NAME", default="", help="with --basis effective: the scenario or kernel")
    parser.add_argument("--year", type=int, metavar="YEAR", help="take entries with growth_per_year to this year")
    parser.add_argument("--ratings", type=Path, metavar="FILE", help="rated peaks of your own, over the built-in ones")
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write a capability report there as well")
    parser.add_argument("--force", action="store_true", help="replace the file that --report names")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def run(args: argparse.Namespace) -> int:
    """Print the plan; 0, or an error in one line."""
    from bench.analysis.capacity import plan
    from bench.ratings import load

    if (args.need is None) != (args.device is None) or (args.need is None) != (args.precision is None):
        raise UsageError("--need: goes with --device NAME and --precision, all three")
    if args.year is not None and not 1900 <= args.year <= 2200:
        raise UsageError(f"--year: {args.year} is not a year from 1900 to 2200")
    lists = [Path(name) for name in args.files if name.endswith(".toml")]
    if not lists and args.need is None:
        raise UsageError("SITE.toml: name a device list, or ask with --need")
    if args.report is not None:
        from bench.cli.files import refuse_existing

        refuse_existing([args.report], args.force, "--report")
    asked = [one for path in lists for one in device_list(path)]
    files = [records.read(records.find(Path(name))) for name in args.files if not name.endswith(".toml")]
    tables = load([args.ratings] if args.ratings is not None else [])
    names = {one.device or one.name for one in asked}
    known = {name: known_of(name, files, tables) for name in sorted(names)}
    found = replace(plan(asked, known, args.year), seen={name: seen_of(name, files, tables) for name in known})
    if args.need is not None:
        found = replace(found, needs=(_need(args, known_of(args.device, files, tables)),))
    _print(found, args)
    return 0


def device_list(path: Path) -> list[Asked]:
    """The entries of a device list. UsageError names the file and what is wrong with it."""
    import tomllib

    try:
        site = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Site)
        return [_asked(row) for row in site.devices]
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error


def _asked(row: Row) -> Asked:
    from bench.analysis.capacity import UNDISCLOSED, Asked
    from bench.analysis.units import parse, parse_share

    if row.precision != UNDISCLOSED and row.precision not in PRECISIONS:
        raise ValueError(f"{row.name}: precision {row.precision!r} is none of {', '.join(PRECISIONS)}, {UNDISCLOSED}")
    if row.nameplate is None and row.count is None:
        raise ValueError(f"{row.name}: give a count or a nameplate")
    if row.growth_per_year is not None and row.year is None:
        raise ValueError(f"{row.name}: growth_per_year needs the year of the nameplate")
    nameplate = parse(row.nameplate) if row.nameplate is not None else None
    if nameplate == 0:
        raise ValueError(f"{row.name}: a nameplate of nothing")
    return Asked(
        name=row.name,
        kind=row.kind,
        count=row.count,
        precision=row.precision,
        nameplate=nameplate,
        application_level=parse_share(row.application_level) if row.application_level is not None else None,
        device=row.device,
        power_w=_exact(row.power_w),
        pue=_exact(row.pue),
        price=_exact(row.price),
        currency=row.currency,
        year=row.year,
        growth=parse_share(row.growth_per_year) if row.growth_per_year is not None else None,
    )


def _exact(value: float | None) -> Fraction | None:
    """The decimal that was written: repr gives the shortest that reads back as the same float."""
    return None if value is None else Fraction(repr(value))


def known_of(name: str, files: Sequence[records.RunFile], tables: Tables) -> Known:
    """What the ratings and the runs know of a device of that name."""
    from bench.analysis.capacity import Known
    from bench.analysis.capacity_runs import measured_figures, rated_figures
    from bench.ratings import match, peaks_of

    entry = match(tables, name)
    called = entry.name if entry is not None else name
    ratings = peaks_of(entry) if entry is not None else {}
    for file in files:
        for device in file.devices:
            if name in (device.name, device.rating_name) and not ratings:
                ratings = device.ratings
    figures = [*rated_figures(ratings), *measured_figures(files, called)]
    if called != name and not any(figure.basis == "measured" for figure in figures):
        figures += measured_figures(files, name)
    power = Fraction(repr(entry.tdp_w)) / entry.devices_per_row[0] if entry is not None and entry.tdp_w else None
    return Known(tuple(figures), power, "the rated TDP of the devices" if power is not None else "")


def seen_of(name: str, files: Sequence[records.RunFile], tables: Tables) -> Seen:
    """What the runs tell of a device of that name beside its rates, and what the tables say of its links."""
    from bench.analysis.capacity_seen import RatedLink, seen
    from bench.ratings import match

    entry = match(tables, name)
    rated = None
    if entry is not None and entry.interconnect_gb_per_s_bidirectional is not None:
        per_s = 1e9 * entry.interconnect_gb_per_s_bidirectional / entry.devices_per_row[0]
        rated = RatedLink(entry.interconnect, per_s, entry.hardware_source or entry.source)
    return seen(files, {name, entry.name} if entry is not None else {name}, rated)


def _need(args: argparse.Namespace, known: Known) -> Need:
    from bench.analysis.capacity import need
    from bench.analysis.units import parse

    basis: Basis = args.basis
    try:
        wanted = parse(args.need)
    except ValueError as error:
        raise UsageError(f"--need: {error}") from error
    works = sorted({f.work for f in known.figures if f.basis == basis and f.precision == args.precision})
    work = works[0] if not args.work and len(works) == 1 else args.work
    if basis == "effective" and work not in works:
        raise UnavailableError(f"--work: {work!r} was not measured at {args.precision}; there are: {', '.join(works)}")
    found = need(args.device, known, wanted, basis, args.precision, work)
    if found is None:
        raise UnavailableError(
            f"--need: no {basis} figure of {args.device!r} at {args.precision} is known; `python -m bench ratings` "
            "lists the rated names, and a run file on the command line brings measured ones"
        )
    return found


def _print(plan: Plan, args: argparse.Namespace) -> None:
    from bench.report import plan as report

    if args.report is not None:
        from bench.cli.files import write_whole
        from bench.report.plan_report import markdown

        write_whole(args.report, markdown(plan).encode("utf-8", "backslashreplace"), "--report")
    if args.format == "json":
        print(json.dumps(report.document(plan), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(report.terminal(plan, width(), ascii_only=not speaks_utf8()))
