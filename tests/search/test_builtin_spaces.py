"""The spaces that the built-in kernels bring hold together, on a processor and on a GPU."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from bench import plugins
from bench.kernel import DeviceView
from bench.search.space import Axis, Space, checked_axes

DEVICES = (
    DeviceView(type="cpu", torch_device="cpu", memory_bytes=8 * 2**30),
    DeviceView(type="cuda", torch_device="cuda:0", vendor="nvidia", capability=(9, 0), memory_bytes=80 * 2**30),
)


def spaces() -> Iterator[tuple[str, str, str]]:
    for kernel in map(plugins.load().kernel, plugins.load().kernels):
        for device in DEVICES:
            yield from ((kernel.name, device.type, name) for name in kernel.search_spaces(device))


@pytest.mark.parametrize(("kernel_name", "device_type", "name"), list(spaces()))
def test_a_built_in_space_has_thousands_of_shapes_that_fit(kernel_name: str, device_type: str, name: str) -> None:
    kernel = plugins.load().kernel(kernel_name)
    device = next(device for device in DEVICES if device.type == device_type)
    fields = kernel.search_spaces(device)[name]
    axes = checked_axes(kernel, [Axis(field, tuple(values)) for field, values in fields.items()])
    assert all(list(axis.values) == sorted(set(axis.values)) for axis in axes if axis.ordered)
    space = Space(axes, kernel.complete_case, lambda case, implementation: "")
    assert space.combinations >= 2000
    draw = random.Random(0)
    points = [space.any_point(draw) for _ in range(100)]
    assert all(map(space.valid, points))
    assert device.memory_bytes is not None
    # What does not fit is left out of a search; a space of which much did not would be the wrong one.
    fitting = sum(kernel.work(space.case(point), "fp16").bytes < device.memory_bytes / 4 for point in points)
    assert fitting >= 90


def test_the_kernels_that_people_ask_about_have_one() -> None:
    assert {kernel for kernel, _, _ in spaces()} >= {"gemm", "conv", "attention"}
