"""What telemetry says of the rows of one device: sampled here in the parent, joined to each row by its time window."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from bench import records
from bench.analysis import observed
from bench.telemetry import Opened, Sampler, summarize
from bench.telemetry.canary import Canary
from bench.telemetry.over_time import over_time

IDLE_S: Final = 1.0
"""Ten updates of a slow power sensor."""


class Watch:
    """The telemetry of one device over a run: a sampler thread a source, and the canaries of the launch so far."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._sampler = Sampler(opened.sources)
        self._launch: list[Canary] = []
        self._idle_power_w: float | None = None

    def start(self, *, idle: bool = False) -> None:
        """Begin to sample; with `idle`, a second before anything runs, for the power that is drawn without work."""
        self._sampler.start()
        if idle and any({"power_w", "energy_j"} & source.fields for source in self._opened.sources):
            begin_s = time.monotonic()
            time.sleep(IDLE_S)
            window_s = (begin_s, time.monotonic())
            energy = summarize(self._sampler.window(*window_s), window_s).get("energy")
            self._idle_power_w = energy["mean_power_w"] if energy else None

    def stop(self) -> None:
        """End the threads and close their sources."""
        self._sampler.stop()

    def new_launch(self, canaries: Sequence[Canary]) -> None:
        """A new worker process: its canaries are set against one another and not against the last one's."""
        self._launch = list(canaries)

    def of_row(
        self, window_s: tuple[float, float], canaries: Sequence[Canary], sustained_s: float | None = None
    ) -> dict[str, Any]:
        """A record's `telemetry` over the window of its timed calls; canaries are those before and after it.

        `sustained_s`: seconds of calls back to back, up to the window's end; how clock and power went then is kept.
        """
        self._launch.extend(canaries)
        samples = self._sampler.window(*window_s)
        found = summarize(samples, window_s, canaries=canaries)
        if sustained_s is not None and (went := over_time(samples, window_s[1] - sustained_s, window_s[1])):
            found["over_time"] = went
        reference = observed.canary_reference([canary.to_record() for canary in self._launch])
        if reference:
            found["canary_reference"] = reference
        if self._idle_power_w is not None:
            found["idle_power_w"] = self._idle_power_w
        return found


def described(device: records.Device, opened: Opened) -> dict[str, Any]:
    """For the device's line: which source tells what, what each refused, the settings that explain a figure later."""
    sources = opened.sources
    found: dict[str, Any] = {
        "sources": {source.name: sorted(source.fields) for source in sources},
        "versions": {source.name: source.version for source in sources if source.version},
        "refused": {source.name: dict(source.refused) for source in sources if source.refused},
        "settings": {source.name: values for source in sources if (values := dict(source.static()))},
        "absent": dict(opened.absent),
    }
    return {**device.details, "telemetry": {key: value for key, value in found.items() if value}}
