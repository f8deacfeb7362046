"""Our samples handed to pytest-benchmark's fixture, so that its table, JSON, saving and comparison have them.

The only place that touches what pytest-benchmark (4 and 5) keeps to itself: `_mode`, `_make_stats`, `_max_time`.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bench import __version__, records
from bench.pytest_plugin.measuring import Asked, Place
from bench.timing import Timing

MODE: Final = "device_benchmark(...)"


def claim(benchmark: Any) -> None:
    """Take the test's `benchmark` fixture for this one measurement: it serves one, as pytest-benchmark has it."""
    from pytest_benchmark.fixture import BenchmarkFixture, FixtureAlreadyUsed

    if not isinstance(benchmark, BenchmarkFixture):
        raise TypeError(f"another plugin's `benchmark` fixture is in the way: {benchmark!r} is not pytest-benchmark's")
    if benchmark._mode:
        benchmark.has_error = True
        raise FixtureAlreadyUsed(f"Fixture can only be used once. Previously it was used in {benchmark._mode} mode.")
    benchmark._mode = MODE


def budget_s(benchmark: Any) -> float:
    """Seconds that the measurement may take: --benchmark-max-time, or the test's @pytest.mark.benchmark(max_time=…)."""
    return float(benchmark._max_time)


@contextmanager
def uninstrumented() -> Iterator[None]:
    """Without tracer and profiler of this thread, as pytest-benchmark has it from version 5: coverage is not timed."""
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
        sys.setprofile(profiler)


def hand_over(benchmark: Any, row: records.Measurement, place: Place, timing: Timing, asked: Asked) -> Any:
    """Give it the samples and `extra_info`, and return what one more call of the function returns."""
    stats = benchmark._make_stats(timing.calls_per_sample)
    stats.options |= {"timer": f"suanli-bench {timing.timer}", "disable_gc": True, "warmup": True}
    for sample_s in timing.samples_s:
        stats.update(sample_s * timing.calls_per_sample)
    # What the test itself has put there stays.
    for name, value in extra_info(row, place).items():
        benchmark.extra_info.setdefault(name, value)
    if not benchmark.cprofile:
        return asked.call()
    profile = cProfile.Profile()
    result = profile.runcall(asked.call)
    if hasattr(benchmark, "_save_cprofile"):
        benchmark._save_cprofile(profile)
    else:  # version 4
        stats.cprofile_stats = pstats.Stats(profile)
    return result


def extra_info(row: records.Measurement, place: Place) -> dict[str, Any]:
    """What pytest-benchmark's JSON says of the measurement beside its own statistics; `export` names it the same."""
    moved = row.role is not None and row.role.counts_bytes
    rate, rated = row.rate, row.rated
    unit = "B/s" if moved else "OPS" if row.precision == "int8" else "FLOPS"
    return {
        "suanli_bench": __version__,
        "device": row.device,
        "device_name": place.device.name,
        "rounds_are": "samples",
        "status": row.status,
        "reason": row.reason,
        "operations": row.work.operations if row.work else None,
        "bytes": row.work.bytes if row.work else None,
        "precision": row.precision,
        "rate": (rate.bytes_per_s if moved else rate.operations_per_s) if rate else None,
        "rate_unit": unit if row.work else None,
        "rated": (rated.bytes_per_s if moved else rated.operations_per_s) if rated else None,
        "utilization": row.utilization,
        "utilization_reason": row.utilization_reason,
        "cache": row.cache,
        "cache_reason": row.cache_reason,
        "timer": row.time.timer if row.time else None,
        "stop": row.time.stop if row.time else None,
    }
