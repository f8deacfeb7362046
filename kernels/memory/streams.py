"""Two ways to move memory, each a kernel of its own: `memory`, the triad y = a + s·b, and `copy`, y = a.

They are two problems and not two implementations of one, for they have different answers and move their bytes in
different proportions. A case's `bytes` is what one call moves in all, read and written; each array takes its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from bench.kernel import SUITES, Call, Case, DeviceView, Field, Inputs, Kernel, Role, Work, implementation
from bench.precision import PRECISIONS
from kernels.tensors import fill, poisoned

if TYPE_CHECKING:
    import torch

ROW_BYTES: Final = 8192
"""Arrays are read as rows of so many bytes, whatever their type; one that is shorter is a single row."""
SCALAR: Final = 0.75
"""s of the triad: exact in every precision, and not one that a library has a shortcut for."""
LEAST_BYTES: Final = 1024
"""Smallest case: below, an array has only a few elements."""
CACHES: Final = 6
"""A call moves at least so many times the last-level cache: above five, no call finds the last one's data in it."""
CPU_BYTES: Final = 256 * 2**20
GPU_BYTES: Final = 2 * 2**30
"""A call moves at least so much: about ten milliseconds on a desktop's processor, one on a GPU with 2 TB/s."""
PROJECTED_ROWS: Final = 4096
"""Rows that the reference turns to float64 at a time, some tens of megabytes."""
MEMORY_SHARE: Final = 8
"""A call moves at most this part of the device's memory, for its inputs may be held several times over."""


class Stream(Kernel):
    """What the two have in common: `arrays` of the same size, of which all but the last are read."""

    role: ClassVar[Role] = Role.BANDWIDTH
    fields: ClassVar[tuple[Field, ...]] = (
        Field("bytes", "read and written by one call, all arrays together", minimum=LEAST_BYTES, maximum=2**48),
    )
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    """Memory delivers bytes whatever their type, and a 16-bit triad on a processor would measure conversions."""
    arrays: ClassVar[int]
    operations_per_element: ClassVar[int]

    def shape(self, case: Case, precision: str) -> tuple[int, int]:
        """(rows, columns) of each array: its share of the bytes, rounded down to whole rows."""
        rows = self.output_rows(case)
        return rows, int(case["bytes"]) * 8 // (self.arrays * rows * PRECISIONS[precision].bits)

    def output_rows(self, case: Case) -> int:
        return max(1, int(case["bytes"]) // (self.arrays * ROW_BYTES))

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        """quick: one size far beyond the caches; standard: twice that too; full: sizes that fit them as well."""
        size = main_bytes(device)
        sizes = ([size], [2 * size], [size >> shift for shift in range(2, 17, 2)])
        chosen = [one for part in sizes[: SUITES.index(suite) + 1] for one in part]
        most = most_bytes(device)
        return [{"bytes": one} for one in chosen if LEAST_BYTES <= one <= most]

    def work(self, case: Case, precision: str) -> Work:
        """Each element read or written counts once: what a processor fetches before it writes is not counted."""
        rows, columns = self.shape(case, precision)
        elements = rows * columns
        array_bytes = elements * PRECISIONS[precision].bits // 8
        return Work(
            operations=self.operations_per_element * elements,
            bytes_read=(self.arrays - 1) * array_bytes,
            bytes_written=array_bytes,
        )

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """The arrays that are read: `a`, then `b` where there are two."""
        shape = self.shape(case, precision)
        return {name: fill(shape, precision, data, device, generator) for name in "ab"[: self.arrays - 1]}


class Memory(Stream):
    """y = a + s·b: two arrays read, one written (McCalpin's STREAM, triad)."""

    name: ClassVar[str] = "memory"
    summary: ClassVar[str] = "memory bandwidth by STREAM's triad, y = a + s·b"
    arrays: ClassVar[int] = 3
    operations_per_element: ClassVar[int] = 2

    @implementation("torch", precisions=Stream.precisions)
    def torch_triad(self, inputs: Inputs) -> Call:
        """torch.add with a factor: one pass, into the same array each time."""
        import torch

        a, b = inputs["a"], inputs["b"]
        y = poisoned(tuple(a.shape), a.dtype, inputs.device)
        return lambda: torch.add(a, b, alpha=SCALAR, out=y)

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        a, b = (_chosen(inputs[name], rows) for name in "ab")
        return a + SCALAR * b

    def reduction_length(self, case: Case) -> int:
        return 2

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor:
        return _times(inputs["a"], vector) + SCALAR * _times(inputs["b"], vector)


class Copied(Kernel):
    """What the answer is of a kernel that copies its input `a`: the same."""

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        return _chosen(inputs["a"], rows)

    def reduction_length(self, case: Case) -> int:
        return 1

    def tolerance(self, case: Case, precision: str, accumulate: str, output: str) -> float:
        """A copy has to be equal."""
        return 0.0


class Copy(Copied, Stream):
    """y = a: one array read, one written."""

    name: ClassVar[str] = "copy"
    summary: ClassVar[str] = "memory bandwidth by a copy, y = a"
    arrays: ClassVar[int] = 2
    operations_per_element: ClassVar[int] = 0

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        """Those of the triad from `standard` on: a first look needs one figure for the memory."""
        return [] if suite == "quick" else super().cases(suite, device)

    @implementation("torch", precisions=Stream.precisions)
    def torch_copy(self, inputs: Inputs) -> Call:
        """Tensor.copy_ on one device, into the same array each time."""
        a = inputs["a"]
        y = poisoned(tuple(a.shape), a.dtype, inputs.device)
        return lambda: y.copy_(a)


def main_bytes(device: DeviceView) -> int:
    """Bytes of a call that no cache of the device helps: a power of two, within a share of its memory."""
    least = CPU_BYTES if device.type == "cpu" else GPU_BYTES
    wanted = max(least, CACHES * (device.cache_bytes or 0))
    size = 1 << (wanted - 1).bit_length()
    most = most_bytes(device)
    return size if size <= most else 1 << (most.bit_length() - 1)


def most_bytes(device: DeviceView) -> int:
    """The most that a case of a suite moves; `--case` may ask for more."""
    return 2**48 if device.memory_bytes is None else max(LEAST_BYTES, device.memory_bytes // MEMORY_SHARE)


def _chosen(array: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
    """All rows, or those given, in float64 on the CPU."""
    return (array if rows is None else array[rows.to(array.device)]).cpu().double()


def _times(array: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """array @ vector in float64, some rows at a time: the array is as large as memory allows."""
    import torch

    vector = vector.cpu().double()
    starts = range(0, array.shape[0], PROJECTED_ROWS)
    return torch.cat([array[start : start + PROJECTED_ROWS].cpu().double() @ vector for start in starts])
