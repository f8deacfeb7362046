"""Whether an earlier run may be taken up again here, and on what terms."""

from __future__ import annotations

import dataclasses

from bench import METHOD_VERSION, __version__, records
from bench.analysis.utilization import Denominators
from bench.analysis.words import counted
from bench.errors import UnavailableError
from bench.ratings import load, ratings_for
from bench.runner.session import Prepared


def adopt(prepared: Prepared, earlier: records.RunFile) -> Prepared:
    """The prepared run, rated as the earlier part was; UnavailableError where the two are not the same measurement.

    The clock that a processor's rating was computed from is the earlier part's: one run has one denominator.
    """
    for what, then, now in _differences(prepared, earlier):
        raise UnavailableError(f"--resume: {what} was {then!r} and is {now!r}: the rows would not be comparable")
    tables = load(prepared.options.ratings)
    denominators = {each.device: Denominators(each, ratings_for(each, tables), tables) for each in earlier.devices}
    return dataclasses.replace(prepared, devices=earlier.devices, denominators=denominators)


def _differences(prepared: Prepared, earlier: records.RunFile) -> list[tuple[str, object, object]]:
    run = earlier.run
    pairs: list[tuple[str, object, object]] = [
        ("the method version", run.method_version, METHOD_VERSION),
        ("the version of suanli-bench", run.bench_version, __version__),
        ("torch", run.software.get("torch"), prepared.software.get("torch")),
        ("the number of launches", run.launches, prepared.launches),
        ("the devices", [d.device for d in earlier.devices], [d.device for d in prepared.devices]),
    ]
    for then, now in zip(earlier.devices, prepared.devices, strict=False):
        pairs += [
            (f"{then.device}: the name", then.name, now.name),
            (f"{then.device}: the architecture", then.architecture, now.architecture),
            (f"{then.device}: the units in use", then.units.in_use, now.units.in_use),
            (f"{then.device}: the driver", then.driver, now.driver),
            (f"{then.device}: the MIG slice", then.mig, now.mig),
        ]
    planned = {f"{number:05d}" for number in range(1, prepared.rows + 1)}
    foreign = sorted({row.id for row in earlier.measurements} - planned)
    if foreign:
        pairs.append(("the plan", f"longer, with row {foreign[0]}", counted(prepared.rows, "row")))
    return [pair for pair in pairs if pair[1] != pair[2]]
