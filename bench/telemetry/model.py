"""What a sample of a device's state is, and what a source of samples offers. No source lives here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of a device at one moment. None is what the source did not say: never 0, never clean.

    `time_s` is time.monotonic(), on Linux and macOS the same clock in every process.
    """

    time_s: float
    clock_hz: float | None = None
    """SM, compute or core clock."""
    memory_clock_hz: float | None = None
    power_w: float | None = None
    energy_j: float | None = None
    """A counter that only grows; where it starts means nothing."""
    temperature_c: float | None = None
    throttle_bits: int | None = None
    """As the driver gave it: bits unknown today can be decoded later."""
    throttle_reasons: tuple[str, ...] | None = None
    """Decoded names (`bench.telemetry.reasons`); () is "asked, and nothing holds the clock", None is "not known"."""
    utilization: float | None = None
    """Share of the time in which the device had work, 0–1, as the driver reckons it."""
    memory_used_bytes: int | None = None
    other_processes: int | None = None
    """Processes of others with a context on the device."""
    ecc_errors: int | None = None
    """A counter: corrected and uncorrected together."""
    violation_s: Mapping[str, float] | None = None
    """Counters by kind: seconds for which a limit held the clock down."""
    steal_share: float | None = None
    """Share of the CPU time that the hypervisor gave to others, since the sample before."""
    busy_share_other: float | None = None
    """Share of the CPU time that processes of others took, since the sample before."""
    steal_s: float | None = None
    """A counter, summed over the CPUs; what `steal_share` is the slope of."""
    busy_other_s: float | None = None
    """A counter, summed over the CPUs. It may fall by a few clock ticks: two clocks that tick apart are subtracted."""
    cpu_total_s: float | None = None
    """A counter: all the time that the CPUs had, summed over them."""
    pressure_cpu: float | None = None
    """Share of the time in which some task waited for a CPU (PSI "some"), since the sample before."""
    involuntary_switches: int | None = None
    """A counter: how often a thread of the measurement was taken off its CPU."""


FIELDS: Final = frozenset(field.name for field in fields(Sample)) - {"time_s"}
"""The names that a source may support or refuse."""


class Source(Protocol):
    """Something that can be asked, many times a second or once, how a device is.

    A source probes each of its calls when it is opened; what was refused stands in `refused` with the reason. `sample`
    is called by one thread only. It may raise: the sampler then retires the source.
    """

    @property
    def name(self) -> str:
        """ "nvml", "rapl", …: the word that stands beside each value in a record."""

    @property
    def version(self) -> str:
        """Of the library or driver that answers; "" where it has none."""

    @property
    def fields(self) -> frozenset[str]:
        """The fields of `Sample` that this source can fill on this device."""

    @property
    def refused(self) -> Mapping[str, str]:
        """Field → why this device, driver or system does not tell it."""

    @property
    def period_s(self) -> float:
        """How often asking makes sense: the source's own update period, and what asking costs."""

    def static(self) -> dict[str, Any]:
        """What does not change during a run: limits, modes. JSON-serialisable; what is not known is absent."""

    def sample(self) -> Sample:
        """The state now."""

    def close(self) -> None:
        """Give the library back. Harmless when repeated."""


class NotAvailableError(Exception):
    """A source can't be opened here; the message says why. Not the user's error, and never the run's."""
