"""`device_benchmark`, and the hooks that end a session: the run file, the comparison, the tables.

Imports pytest and the standard library; torch and pytest-benchmark come with the first measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

if TYPE_CHECKING:
    from bench import records
    from bench.pytest_plugin.measuring import Place
    from bench.pytest_plugin.session import Session

INSTALL: Final = "python -m pip install 'suanli-bench[pytest]'"
OPTIONS: Final = ("bench_out", "bench_append", "bench_save", "bench_compare", "bench_threshold")
"""Options that mean nothing without pytest-benchmark."""


def register(config: pytest.Config) -> None:
    """Add the fixture: the real one beside pytest-benchmark, else one that says what is missing."""
    if not hasattr(config.option, "benchmark_only"):
        asked = next((name for name in OPTIONS if config.getoption(name)), None)
        if asked is not None:
            raise pytest.UsageError(f"--{asked.replace('_', '-')}: needs pytest-benchmark: {INSTALL}")
        config.pluginmanager.register(_Missing(), "suanli-bench-missing")
        return
    plugin = _Plugin(config)
    if any(config.getoption(name) for name in OPTIONS):
        from bench.errors import BenchError

        try:
            plugin.session()  # what is wrong with the options is said before anything runs
        except BenchError as error:
            raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(plugin, "suanli-bench-session")


class DeviceBenchmark:
    """What a test calls: `device_benchmark(function, *args, operations=…, bytes=…, precision=…)`."""

    def __init__(self, benchmark: Any, item: pytest.Item, session: Callable[[], Session]) -> None:
        self._benchmark = benchmark
        self._item = item
        self._session = session
        self.row: records.Measurement | None = None
        """The run file's record of the measurement: time, rate, rating, utilisation, status."""
        self.place: Place | None = None
        """The device that it was measured on."""

    @property
    def extra_info(self) -> dict[str, Any]:
        """pytest-benchmark's `extra_info` of this test."""
        info: dict[str, Any] = self._benchmark.extra_info
        return info

    def __call__(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        operations: float | None = None,
        bytes: float | None = None,
        precision: str | None = None,
        accumulate: str | None = None,
        device: str | None = None,
        cache: Literal["cold", "warm"] | None = None,
        capturable: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Time `function(*args, **kwargs)` on its device and return what one more call of it returns.

        Parameters
        ----------
        operations, bytes
            Of one call: multiply-adds count two; bytes are those read plus written. For rate and utilisation.
        precision, accumulate
            What the operations are rated by; by default that of the tensors among the arguments.
        device
            "cuda:0", "cpu", …; by default where the tensors of the arguments and of the result are.
        cache
            "cold" or "warm"; by default cold where that is cheap (docs/pytest.md).
        capturable
            Whether the call may be recorded in a device graph: calls under 50 µs are timed so.

        A wrong argument fails the test with one line. What the function raises is passed on.
        """
        from bench.errors import BenchError
        from bench.pytest_plugin.measuring import request
        from bench.pytest_plugin.recording import claim, hand_over

        claim(self._benchmark)
        if not self._benchmark.enabled:
            return function(*args, **kwargs)
        try:
            asked = request(function, args, kwargs, operations, bytes, precision, accumulate, cache, capturable)
            self.row, self.place, timing = self._session().measured(self._item, asked, device, self._benchmark)
            return hand_over(self._benchmark, self.row, self.place, timing, asked)
        except BenchError as error:
            wrong = str(error)
        except BaseException:
            self._benchmark.has_error = True
            raise
        self._benchmark.has_error = True
        return pytest.fail(f"device_benchmark: {wrong}", pytrace=False)


class _Missing:
    """Where pytest-benchmark is not installed, or blocked."""

    @pytest.fixture
    def device_benchmark(self) -> None:
        """Times a call on its device; needs pytest-benchmark."""
        pytest.fail(f"device_benchmark needs pytest-benchmark: {INSTALL}", pytrace=False)


class _Plugin:
    """The fixture, and what is done with the measurements when all tests have run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._begun: Session | None = None

    def session(self) -> Session:
        """The session's measurements; begun by whoever asks first."""
        if self._begun is None:
            from bench.pytest_plugin.session import Session

            self._begun = Session(self._config)
        return self._begun

    @pytest.fixture
    def device_benchmark(self, benchmark: Any, request: pytest.FixtureRequest) -> DeviceBenchmark:
        """Times a call on its device and sets it against the device's rated peak (docs/pytest.md)."""
        return DeviceBenchmark(benchmark, request.node, self.session)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, None]:
        """Judge when all tests have been measured: how launches scatter is known from all series together."""
        outcome = yield
        if self._begun is None or not self._begun.file.measurements:
            return
        self._begun.cut_short = outcome.excinfo is not None
        if not self._begun.cut_short:
            self._begun.judge()

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the run file."""
        from bench.errors import BenchError

        if self._begun is not None and self._begun.file.measurements:
            try:
                self._begun.finish(exitstatus)
            except (BenchError, OSError) as error:
                self._begun.trouble = str(error)
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The table of rates and ratings, the verdicts, and where the run file is."""
        if self._begun is not None and (self._begun.file.measurements or self._begun.baseless):
            terminalreporter.section("device benchmarks")
            for line in self._begun.summary(terminalreporter._tw.fullwidth):
                terminalreporter.write_line(line)
