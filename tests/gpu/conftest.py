"""The GPU under test: found once, or every test here skips with the reason (fails with BENCH_REQUIRE=gpu)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from bench.devices import Backend, backend, discover
from bench.records import Device

GPUS = ("cuda", "xpu", "mps")


FIRST = (
    *("test_identity.py", "test_timers.py", "test_telemetry.py", "test_faults.py"),
    *("test_command_line.py", "test_answers.py"),
)
"""Files in the order of what their seconds tell: a rented machine may be gone before the suite ends."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if "tests/gpu/" in item.path.as_posix()]
    for item in ours:
        item.add_marker(pytest.mark.gpu)
    places = iter(sorted(ours, key=_turn))
    items[:] = [next(places) if "tests/gpu/" in item.path.as_posix() else item for item in items]


def _turn(item: pytest.Item) -> int:
    return FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST)


@pytest.fixture(scope="session")
def gpu(absent: Callable[[str, str], NoReturn]) -> Device:
    """The first GPU that torch presents."""
    import torch

    current = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if current is None or current.type not in GPUS:
        absent("gpu", f"torch {torch.__version__} sees no GPU")
    (device,) = discover(f"{current.type}:0")
    return device


@pytest.fixture(scope="session")
def nvidia(gpu: Device) -> Device:
    """The same, where it is NVIDIA's."""
    if gpu.vendor != "nvidia":
        pytest.skip(f"{gpu.name} is not an NVIDIA GPU")
    return gpu


@pytest.fixture(scope="session")
def gpu_backend(gpu: Device) -> Backend:
    return backend(gpu)


@pytest.fixture
def strict(gpu_backend: Backend) -> Iterator[Backend]:
    """The backend with FP32 that is really FP32, before and after."""
    gpu_backend.strict_fp32()
    yield gpu_backend
    gpu_backend.strict_fp32()
    gpu_backend.empty_cache()
