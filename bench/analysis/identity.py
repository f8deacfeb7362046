"""What may be compared with what: the name of a series, and the class of machine and method that its figures belong to.

Nothing measured is part of either: a clock or a temperature differs between two runs of the same thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench import records

GIB: Final = 2**30


@dataclass(frozen=True, order=True)
class SeriesKey:
    """What was measured, on which kind of device; the same in every run that measures it again."""

    kernel: str
    case: tuple[tuple[str, int | str], ...]
    """In the kernel's own order: m, n, k."""
    precision: str
    accumulate: str
    implementation: str
    """"best" where the run chose among them, so that a better choice is an improvement and not another series."""
    mode: str
    data: str
    cache: str
    device: str
    """The device as the user names it, without its index ("cuda:0" and "cuda:1" of one class are one series)."""

    @property
    def text(self) -> str:
        """One line, for tables and for naming the series on a command line; no two series of a class share it."""
        case = ",".join(f"{name}={value}" for name, value in self.case)
        precision = self.precision if self.accumulate in ("", self.precision) else f"{self.precision}/{self.accumulate}"
        what = (precision, self.implementation, self.mode, self.data, self.cache, self.device)
        return f"{self.kernel}[{case}] {' '.join(what)}"


def key_of(row: records.Measurement, run: records.Run) -> SeriesKey:
    """The series that a row belongs to."""
    return SeriesKey(
        kernel=row.kernel,
        case=tuple(row.case.items()),
        precision=row.precision,
        accumulate=row.accumulate or "",
        implementation="best" if run.implementation == "best" else row.implementation,
        mode=row.mode,
        data=row.data,
        cache=row.cache,
        device=row.device.partition(":")[0],
    )


def by_series(file: records.RunFile) -> dict[SeriesKey, list[records.Measurement]]:
    """A run's rows by series, in the order in which they were first measured.

    A row that was never timed has no cache state of its own: it joins the timed rows of its series, if any.
    """
    timed: dict[SeriesKey, list[records.Measurement]] = {}
    untimed: dict[SeriesKey, list[records.Measurement]] = {}
    for row in file.measurements:
        (untimed if row.time is None else timed).setdefault(key_of(row, file.run), []).append(row)
    for key, rows in untimed.items():
        alike = next((other for other in timed if _without_cache(other) == _without_cache(key)), key)
        timed.setdefault(alike, []).extend(rows)
    return timed


def comparison_class(file: records.RunFile, device: records.Device) -> dict[str, str]:
    """Field → value of all that must agree before two runs' figures may be set side by side; unknown is "unknown".

    Of a GPU: product, memory, count, MIG profile, driver and runtime major. Of a CPU: the model and the cores used. Of
    both: torch major.minor, system, architecture, method version. Not in it: host, the device's id, clocks.
    """
    run = file.run
    common = {
        "method version": str(run.method_version),
        "device": device.name or "unknown",
        "torch": _leading(run.software.get("torch"), 2),
        "operating system": str(run.host.get("os") or "unknown"),
        "architecture": str(run.host.get("arch") or "unknown"),
    }
    if device.kind == "cpu":
        model = "/".join(str(device.details.get(f"cpu_{part}", "unknown")) for part in ("family", "model"))
        threads = (run.pinning or {}).get("torch_threads")
        return common | {
            "processor family/model": model,
            "cores in use": str(device.units.in_use or "unknown"),
            "threads": str(threads or "unknown"),
        }
    alike = sum(other.name == device.name for other in file.devices)
    return common | {
        "memory": f"{round(device.memory_bytes / GIB)} GiB" if device.memory_bytes else "unknown",
        "devices of that name": str(alike),
        "MIG profile": device.mig or "none",
        "driver major": _leading(device.driver, 1),
        "runtime major": _leading(device.runtime, 1),
    }


def differences(base: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(field, base's value, new's value) of each field in which two classes differ."""
    fields = [*base, *(field for field in new if field not in base)]
    pairs = ((field, base.get(field, "unknown"), new.get(field, "unknown")) for field in fields)
    return [(field, one, other) for field, one, other in pairs if one != other]


def reason_code(field: str) -> str:
    """A field of the class as a code: "processor family/model" → "processor_family_model"."""
    return field.lower().replace(" ", "_").replace("/", "_")


def usable(row: records.Measurement) -> bool:
    """Whether a row may be compared: timed, and neither disturbed nor in quarantine."""
    return row.status in records.USABLE and not row.quarantine and row.time is not None


def launch_medians(rows: Iterable[records.Measurement]) -> dict[int, float]:
    """Launch → seconds a call, of the rows that may be compared.

    Several devices of one class make several rows a launch; their median stands for the launch.
    """
    found: dict[int, list[float]] = {}
    for row in rows:
        if usable(row) and row.time is not None:
            found.setdefault(row.launch, []).append(row.time.median_s)
    return {launch: median(values) for launch, values in sorted(found.items())}


def _without_cache(key: SeriesKey) -> tuple[object, ...]:
    return (key.kernel, key.case, key.precision, key.implementation, key.mode, key.data, key.device)


def _leading(version: str | None, parts: int) -> str:
    """The first numbers of a version: "2.13" of "2.13.0+cpu"."""
    return ".".join(version.partition("+")[0].split(".")[:parts]) if version else "unknown"
