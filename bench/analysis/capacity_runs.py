"""What run files say of one device of a product, for `bench.analysis.capacity`: ratings, best and effective rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from statistics import median

from bench import records
from bench.analysis.capacity import Figure
from bench.analysis.scenarios import outcomes
from bench.kernel import Role
from bench.precision import PRECISIONS


def rated_figures(ratings: Mapping[str, records.Rated]) -> list[Figure]:
    """A device's rated dense peaks, each at its precision's own accumulation."""
    found = []
    for name, precision in PRECISIONS.items():
        rated = ratings.get(f"{name}/{precision.accumulate}")
        if rated is not None and rated.operations_per_s:
            per_s = Fraction(round(rated.operations_per_s))
            found.append(Figure("rated", name, "", per_s, f"rated, {rated.kind}: {rated.source}"))
    return found


def measured_figures(files: Iterable[records.RunFile], device: str) -> list[Figure]:
    """The best rate of any compute row at each precision (measured), and the rates over whole works (effective).

    A work is a scenario that was measured completely; a kernel counts as one where the runs have no scenario: the
    operations of its cases together over their time. Of several runs the best figure counts.
    """
    best: dict[tuple[str, str, str], Figure] = {}
    for file in files:
        names = {one.device for one in file.devices if device in (one.name, one.rating_name)}
        for figure in _of_file(file, names):
            key = (figure.basis, figure.precision, figure.work)
            if key not in best or figure.operations_per_s > best[key].operations_per_s:
                best[key] = figure
    return [
        best[key]
        for key in sorted(best, key=lambda key: (key[0] != "measured", list(PRECISIONS).index(key[1]), key[2]))
    ]


def _of_file(file: records.RunFile, names: set[str]) -> list[Figure]:
    found = []
    times = _times(file, names)
    for precision in PRECISIONS:
        rows = {key: value for key, value in times.items() if key[0] == precision}
        if not rows:
            continue
        (_, kernel, _), (operations, time_s) = max(rows.items(), key=lambda entry: entry[1][0] / entry[1][1])
        source = f"best row, {kernel}, of run {file.run.id}"
        found.append(Figure("measured", precision, "", _per_s(operations, time_s), source))
        for kernel in {key[1] for key in rows} if not file.run.scenarios else ():
            parts = [value for key, value in rows.items() if key[1] == kernel]
            per_s = _per_s(sum(operations for operations, _ in parts), sum(time_s for _, time_s in parts))
            source = f"{len(parts)} cases of {kernel} together, of run {file.run.id}; no scenario was measured"
            found.append(Figure("effective", precision, f"kernel {kernel}", per_s, source))
    for outcome in outcomes(file):
        total, own = outcome.total, PRECISIONS[outcome.precision].accumulate
        if outcome.complete and total is not None and outcome.accumulate == own and outcome.planned.device in names:
            source = f"scenario {outcome.planned.suite} ({outcome.planned.size}), of run {file.run.id}"
            per_s = _per_s(total.operations, total.time_s)
            found.append(Figure("effective", outcome.precision, outcome.planned.suite, per_s, source))
    return found


def _times(file: records.RunFile, names: set[str]) -> dict[tuple[str, str, str], tuple[int, float]]:
    """(precision, kernel, case) → operations and seconds: the fastest implementation's median of launch medians."""
    launches: dict[tuple[str, str, str, str], list[float]] = {}
    operations: dict[tuple[str, str, str], int] = {}
    for row in file.measurements:
        if (
            row.device in names
            and row.status in records.USABLE
            and not row.quarantine
            and row.time is not None
            and row.work is not None
            and row.role in (None, Role.COMPUTE)
            and row.utilization_of != "bytes"
            and row.accumulate == PRECISIONS[row.precision].accumulate
        ):
            key = (row.precision, row.kernel, repr(sorted(row.case.items())))
            launches.setdefault((*key, row.implementation), []).append(row.time.median_s)
            operations[key] = row.work.operations
    found: dict[tuple[str, str, str], tuple[int, float]] = {}
    for (precision, kernel, shape, _), values in launches.items():
        case = (precision, kernel, shape)
        time_s = median(values)
        if case not in found or time_s < found[case][1]:
            found[case] = (operations[case], time_s)
    return found


def _per_s(operations: int, time_s: float) -> Fraction:
    """Exactly the quotient of what the run file says: repr is the shortest decimal that reads back as the same time."""
    return operations / Fraction(repr(time_s))
