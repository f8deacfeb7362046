"""The operations, by torch.distributed on the default group: gloo on processors, nccl, xccl or hccl on accelerators."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from bench.kernel import Call, Case, Inputs, implementation
from kernels.collective.messages import Collective, distributed, ranks_reason
from kernels.collective.values import Pattern, of_all, of_rank
from kernels.tensors import poisoned

if TYPE_CHECKING:
    import torch

FP32 = Collective.precisions
ROOT = 0
"""The rank that broadcasts, as in nccl-tests unless told otherwise."""


class AllReduce(Collective):
    """Every rank gets the sum of all messages, in place."""

    name: ClassVar[str] = "all_reduce"
    summary: ClassVar[str] = "bus bandwidth of all-reduce (sum) over ranks"

    def bus_factor(self, ranks: int) -> Fraction:
        return Fraction(2 * (ranks - 1), ranks)

    def expected(self, pattern: Pattern, case: Case, rank: int, places: torch.Tensor) -> torch.Tensor:
        return of_all(pattern, int(case["ranks"]), places)

    @implementation("torch", precisions=FP32, capturable=False, supports=ranks_reason)
    def torch_all_reduce(self, inputs: Inputs) -> Call:
        """torch.distributed.all_reduce, in place as it is."""
        library, x = distributed(), inputs["x"]

        def call() -> torch.Tensor:
            library.all_reduce(x)
            return x

        return call


class AllGather(Collective):
    """Every rank gets the parts of all, one after another; S is all of them together."""

    name: ClassVar[str] = "all_gather"
    summary: ClassVar[str] = "bus bandwidth of all-gather over ranks"

    def bus_factor(self, ranks: int) -> Fraction:
        return Fraction(ranks - 1, ranks)

    def sent(self, case: Case) -> int:
        """Elements of a rank's input: its part."""
        return self.count(case) // max(1, int(case["ranks"]))

    def expected(self, pattern: Pattern, case: Case, rank: int, places: torch.Tensor) -> torch.Tensor:
        return _from_each(pattern, self.sent(case), 0, places)

    @implementation("torch", precisions=FP32, capturable=False, supports=ranks_reason)
    def torch_all_gather(self, inputs: Inputs) -> Call:
        """torch.distributed.all_gather_single (all_gather_into_tensor before torch 2.13)."""
        library, x = distributed(), inputs["x"]
        gather = getattr(library, "all_gather_single", None) or library.all_gather_into_tensor
        y = poisoned((self.received(inputs.case),), x.dtype, inputs.device)

        def call() -> torch.Tensor:
            gather(y, x)
            return y

        return call


class ReduceScatter(Collective):
    """Every rank gets its part of the sum of all messages."""

    name: ClassVar[str] = "reduce_scatter"
    summary: ClassVar[str] = "bus bandwidth of reduce-scatter (sum) over ranks"

    def bus_factor(self, ranks: int) -> Fraction:
        return Fraction(ranks - 1, ranks)

    def received(self, case: Case) -> int:
        """Elements of a rank's output: its part."""
        return self.count(case) // max(1, int(case["ranks"]))

    def expected(self, pattern: Pattern, case: Case, rank: int, places: torch.Tensor) -> torch.Tensor:
        return of_all(pattern, int(case["ranks"]), rank * self.received(case) + places)

    @implementation("torch", precisions=FP32, capturable=False, supports=ranks_reason)
    def torch_reduce_scatter(self, inputs: Inputs) -> Call:
        """torch.distributed.reduce_scatter_single (reduce_scatter_tensor before torch 2.13)."""
        library, x = distributed(), inputs["x"]
        scatter = getattr(library, "reduce_scatter_single", None) or library.reduce_scatter_tensor
        y = poisoned((self.received(inputs.case),), x.dtype, inputs.device)

        def call() -> torch.Tensor:
            scatter(y, x)
            return y

        return call


class AllToAll(Collective):
    """Every rank gets one part of each rank's message: a transposition over ranks."""

    name: ClassVar[str] = "all_to_all"
    summary: ClassVar[str] = "bus bandwidth of all-to-all over ranks"

    def bus_factor(self, ranks: int) -> Fraction:
        return Fraction(ranks - 1, ranks)

    def expected(self, pattern: Pattern, case: Case, rank: int, places: torch.Tensor) -> torch.Tensor:
        part = self.count(case) // int(case["ranks"])
        return _from_each(pattern, part, rank * part, places)

    @implementation("torch", precisions=FP32, capturable=False, supports=ranks_reason)
    def torch_all_to_all(self, inputs: Inputs) -> Call:
        """torch.distributed.all_to_all_single, even parts."""
        library, x = distributed(), inputs["x"]
        y = poisoned(tuple(x.shape), x.dtype, inputs.device)

        def call() -> torch.Tensor:
            library.all_to_all_single(y, x)
            return y

        return call


class Broadcast(Collective):
    """Every rank gets rank 0's message, in place."""

    name: ClassVar[str] = "broadcast"
    summary: ClassVar[str] = "bus bandwidth of a broadcast from rank 0"

    def bus_factor(self, ranks: int) -> Fraction:
        return Fraction(int(ranks > 1))

    def expected(self, pattern: Pattern, case: Case, rank: int, places: torch.Tensor) -> torch.Tensor:
        return of_rank(pattern, ROOT, places)

    @implementation("torch", precisions=FP32, capturable=False, supports=ranks_reason)
    def torch_broadcast(self, inputs: Inputs) -> Call:
        """torch.distributed.broadcast from rank 0, in place as it is."""
        library, x = distributed(), inputs["x"]

        def call() -> torch.Tensor:
            library.broadcast(x, ROOT)
            return x

        return call


class SendRecv(Collective):
    """Every rank sends its message to the next and receives that of the one before it, the last to the first."""

    name: ClassVar[str] = "send_recv"
    summary: ClassVar[str] = "bandwidth of sending to the next rank and receiving from the one before, all at once"

    def bus_factor(self, ranks: int) -> Fraction:
        return Fraction(int(ranks > 1))

    def expected(self, pattern: Pattern, case: Case, rank: int, places: torch.Tensor) -> torch.Tensor:
        return of_rank(pattern, (rank - 1) % int(case["ranks"]), places)

    @implementation("torch", precisions=FP32, capturable=False, supports=ranks_reason)
    def torch_send_recv(self, inputs: Inputs) -> Call:
        """torch.distributed.batch_isend_irecv: one send and one receive a rank, in a ring."""
        library, x = distributed(), inputs["x"]
        rank, ranks = inputs.device.rank, int(inputs.case["ranks"])
        y = poisoned(tuple(x.shape), x.dtype, inputs.device)
        both = [
            library.P2POp(library.isend, x, (rank + 1) % ranks),
            library.P2POp(library.irecv, y, (rank - 1) % ranks),
        ]

        def call() -> torch.Tensor:
            for work in library.batch_isend_irecv(both):
                work.wait()
            return y

        return call


def _from_each(pattern: Pattern, part: int, first: int, places: torch.Tensor) -> torch.Tensor:
    """An output that has `part` elements of each rank, one after another: those from its place `first` on."""
    import torch

    found = torch.empty(places.shape, dtype=torch.float64)
    sender = places // part
    for rank in range(int(sender.min()), int(sender.max()) + 1):
        from_it = sender == rank
        found[from_it] = of_rank(pattern, rank, first + places[from_it] % part)
    return found
