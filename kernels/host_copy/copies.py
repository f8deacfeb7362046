"""What the link between host and device carries, one way: a copy there and a copy back, each a kernel of its own.

`bytes` of a case is what is copied, counted once, as nvbandwidth and bandwidthTest count it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from bench.kernel import SUITES, Call, Case, DeviceView, Field, Inputs, Role, Work, implementation
from kernels.memory.streams import ROW_BYTES, Copied, most_bytes
from kernels.tensors import fill, poisoned

if TYPE_CHECKING:
    import torch

ELEMENT_BYTES: Final = 4
PINNED: Final = "pinned"
"""Page-locked memory, which the device reads and writes by itself."""
PAGEABLE: Final = "pageable"
"""Memory as programs have it: the driver copies it through pinned buffers of its own."""
SIZES: Final = ((28,), (16, 20, 24), (12, 14, 18, 22, 26, 30))
"""Bytes of the suites as powers of two: 256 MiB, where the link decides; smaller ones; and all from 4 KiB to 1 GiB."""


def host_reason(case: Case, precision: str, device: DeviceView) -> str:
    """Why there is nothing to copy between; "" where there is. The signature is that of `bench.kernel.Supports`."""
    return "a processor is the host: --kernel copy measures its memory" if device.type == "cpu" else ""


class HostCopy(Copied):
    """What both directions have in common."""

    role: ClassVar[Role] = Role.TRANSFER
    fields: ClassVar[tuple[Field, ...]] = (
        Field("bytes", "copied by one call, counted once", minimum=ELEMENT_BYTES, maximum=2**48),
        Field("memory", "the host's memory: page-locked or not", default=PINNED, choices=(PINNED, PAGEABLE)),
    )
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    """A link carries bytes whatever their type."""

    to_device: ClassVar[bool]
    """Whether it reads from the host and writes to the device, or the other way round."""

    def shape(self, case: Case) -> tuple[int, int]:
        """(rows, columns) of the array: its bytes, rounded down to whole rows."""
        rows = self.output_rows(case)
        return rows, int(case["bytes"]) // (rows * ELEMENT_BYTES)

    def output_rows(self, case: Case) -> int:
        return max(1, int(case["bytes"]) // ROW_BYTES)

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        """quick: 256 MiB; standard: three smaller too; full: from 4 KiB to 1 GiB, and 256 MiB of pageable memory.

        Never more than a share of the device's memory.
        """
        main = 1 << SIZES[0][0]
        if device.type == "cpu":
            return [{"bytes": main}]
        most = 1 << (most_bytes(device).bit_length() - 1)
        powers = [power for part in SIZES[: SUITES.index(suite) + 1] for power in part]
        found: list[Case] = [{"bytes": min(1 << power, most)} for power in powers]
        return [*found, {"bytes": min(main, most), "memory": PAGEABLE}] if suite == "full" else found

    def work(self, case: Case, precision: str) -> Work:
        """The bytes that cross the link. No operations are counted."""
        rows, columns = self.shape(case)
        return Work(operations=0, bytes_read=0, bytes_written=rows * columns * ELEMENT_BYTES)

    def input_bytes(self, case: Case, precision: str) -> int:
        """All of them: `work` counts each once."""
        return self.work(case, precision).bytes

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """The array `a`, on the side that it is read from."""
        shape = self.shape(case)
        if self.to_device:
            return {"a": _held(fill(shape, precision, data, _host(device), generator), case)}
        return {"a": fill(shape, precision, data, device, generator)}

    @implementation("torch", precisions=precisions, capturable=False, supports=host_reason)
    def torch_copy(self, inputs: Inputs) -> Call:
        """Tensor.copy_ into the same array each time; from and to pinned memory without waiting for it."""
        a, device = inputs["a"], inputs.device
        y = poisoned(tuple(a.shape), a.dtype, device if self.to_device else _host(device))
        if not self.to_device:
            y = _held(y, inputs.case)
        non_blocking = inputs.case["memory"] == PINNED
        return lambda: y.copy_(a, non_blocking=non_blocking)


class HostToDevice(HostCopy):
    """From the host's memory to the device's."""

    name: ClassVar[str] = "host_to_device"
    summary: ClassVar[str] = "bandwidth of copies from the host's memory to the device's"
    to_device: ClassVar[bool] = True


class DeviceToHost(HostCopy):
    """From the device's memory to the host's."""

    name: ClassVar[str] = "device_to_host"
    summary: ClassVar[str] = "bandwidth of copies from the device's memory to the host's"
    to_device: ClassVar[bool] = False


def _host(device: DeviceView) -> DeviceView:
    """The processor beside the device."""
    return replace(device, type="cpu", torch_device="cpu")


def _held(array: torch.Tensor, case: Case) -> torch.Tensor:
    """An array of the host in the kind of memory that the case asks for."""
    return array.pin_memory() if case["memory"] == PINNED else array
