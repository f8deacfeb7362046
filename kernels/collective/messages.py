"""What the collectives have in common: sizes, ranks, the bytes that count, and how an output is read as rows.

Sizes and bytes are those of nccl-tests (doc/PERFORMANCE.md): `bytes` of a case is S, what its column "size" says; the
work is S times the factor that makes the rate the bus bandwidth. S over the time is the algorithm bandwidth.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from importlib import import_module
from math import gcd
from typing import TYPE_CHECKING, Any, ClassVar, Final

from bench.kernel import Case, DeviceView, Field, Inputs, Kernel, Role, Work
from kernels.collective.values import MAXIMUM_RANKS, Pattern, buffer

if TYPE_CHECKING:
    import torch

ELEMENT_BYTES: Final = 4
MOST_COLUMNS: Final = 1024
"""Outputs are read as rows of at most so many elements."""
SMALLEST: Final = 8
"""Bytes for each rank in the smallest message of the suite `full`."""
MOST_CPU: Final = 27
MOST_GPU: Final = 30
"""Largest messages of the suites, as powers of two: 128 MiB and 1 GiB."""
QUICK: Final = {"cpu": (16, 24), "gpu": (20, 28)}
"""Sizes of the suite `quick` as powers of two: one that latency decides and one that bandwidth does."""
STANDARD: Final = {"cpu": (10, 13, 16, 20, 24, 27), "gpu": (10, 15, 20, 24, 28, 30)}
MEMORY_SHARE: Final = 8
"""A message of a suite is at most this part of the device's memory: there are several copies of it."""


class Collective(Kernel):
    """An operation that all ranks make together on messages of the same size."""

    role: ClassVar[Role] = Role.COLLECTIVE
    fields: ClassVar[tuple[Field, ...]] = (
        Field("bytes", "size of the message as nccl-tests counts it", minimum=ELEMENT_BYTES, maximum=2**48),
        Field("ranks", "ranks that take part; 0: all that there are", default=0, minimum=0, maximum=MAXIMUM_RANKS),
    )
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    """A link carries bytes whatever their type."""

    @abstractmethod
    def bus_factor(self, ranks: int) -> Fraction:
        """Bus bandwidth over algorithm bandwidth (nccl-tests, doc/PERFORMANCE.md)."""

    def sent(self, case: Case) -> int:
        """Elements of a rank's input."""
        return self.count(case)

    def received(self, case: Case) -> int:
        """Elements of a rank's output."""
        return self.count(case)

    @abstractmethod
    def expected(self, pattern: Pattern, case: Case, rank: int, places: torch.Tensor) -> torch.Tensor:
        """What a rank has at these places (int64) of its output when the operation is done, float64."""

    def count(self, case: Case) -> int:
        """Elements of the message: the bytes of the case, down to what its ranks share evenly."""
        ranks = max(1, int(case["ranks"]))
        return int(case["bytes"]) // (ELEMENT_BYTES * ranks) * ranks

    def placed(self, case: Case, device: DeviceView) -> Case:
        """A case that leaves the ranks open is one of all that there are; its bytes are those that they share."""
        placed = {**case, "ranks": int(case["ranks"]) or device.ranks}
        return {**placed, "bytes": self.count(placed) * ELEMENT_BYTES or case["bytes"]}

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        """quick: two sizes; standard: six; full: every power of two. One rank alone has one, to say what it lacks."""
        kind = "cpu" if device.type == "cpu" else "gpu"
        most = 1 << (MOST_CPU if kind == "cpu" else MOST_GPU)
        if device.memory_bytes is not None:
            most = min(most, device.memory_bytes // MEMORY_SHARE)
        if suite == "full":
            sizes = [SMALLEST * device.ranks << shift for shift in range(MOST_GPU)]
        else:
            sizes = [1 << power for power in (QUICK if suite == "quick" else STANDARD)[kind]]
        evenly = ELEMENT_BYTES * device.ranks
        found = [{"bytes": size // evenly * evenly, "ranks": device.ranks} for size in sizes if evenly <= size <= most]
        return found[:1] if device.ranks == 1 else found

    def work(self, case: Case, precision: str) -> Work:
        """What crosses a rank's link by the operation's factor, each byte counted once. No operations are counted."""
        message_bytes = self.count(case) * ELEMENT_BYTES
        crossing = message_bytes * self.bus_factor(max(1, int(case["ranks"])))
        return Work(operations=0, bytes_read=0, bytes_written=int(crossing))

    def input_bytes(self, case: Case, precision: str) -> int:
        """Of the larger of a rank's two buffers: `work` counts what crosses the link."""
        return max(self.sent(case), self.received(case)) * ELEMENT_BYTES

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """`x`, this rank's buffer, and what all buffers are filled by."""
        pattern = Pattern.drawn(data, generator)
        x = buffer(pattern, device.rank, self.sent(case), device.torch_device)
        return {"x": x, "pattern": pattern.to_tensor()}

    def output_rows(self, case: Case) -> int:
        return self.received(case) // self._columns(case)

    def rows(self, output: torch.Tensor, case: Case) -> torch.Tensor:
        return output.reshape(-1, self._columns(case))

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        import torch

        columns = self._columns(inputs.case)
        chosen = torch.arange(self.output_rows(inputs.case)) if rows is None else rows.cpu()
        places = chosen[:, None] * columns + torch.arange(columns)
        return self.expected(Pattern.of_tensor(inputs["pattern"]), inputs.case, inputs.device.rank, places)

    def reduction_length(self, case: Case) -> int:
        return max(1, int(case["ranks"]))

    def tolerance(self, case: Case, precision: str, accumulate: str, output: str) -> float:
        """Whole numbers that FP32 sums exactly: the answer has to be equal."""
        return 0.0

    def _columns(self, case: Case) -> int:
        return gcd(self.received(case), MOST_COLUMNS)


def ranks_reason(case: Case, precision: str, device: DeviceView) -> str:
    """Why a collective can't be measured here; "" when it can. The signature is that of `bench.kernel.Supports`."""
    ranks = int(case["ranks"])
    if device.ranks < 2:
        return "needs two ranks or more, all at once: --ranks 2, or torchrun --nproc-per-node=2 -m bench run …"
    if ranks != device.ranks:
        return f"the case is of {ranks} ranks, and there are {device.ranks}"
    if int(case["bytes"]) < ELEMENT_BYTES * ranks:
        return f"{case['bytes']} bytes are less than an element of {ELEMENT_BYTES} bytes for each of {ranks} ranks"
    return ""


def distributed() -> Any:
    """torch.distributed, whose names mypy can't see: they are there only where torch was built with it."""
    return import_module("torch.distributed")
