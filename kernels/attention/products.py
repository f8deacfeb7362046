"""What multiplies int8 for attention, exactly: the FP32 units, torch._int_mm, oneDNN's quantised linear.

Each is a `Products`; what is multiplied when, and the softmax between, is in `int8`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch


class Products(Protocol):
    """What multiplies int8: `n` KV heads at once, `m` query rows, `s` keys, `d` the head dimension."""

    def keys(self, k: torch.Tensor) -> Any:
        """K of one block, int8 (n, s, d), in the form that `scores` takes."""

    def values(self, v: torch.Tensor) -> Any:
        """V of one block, int8 (n, s, d), in the form that `weighted` takes."""

    def queries(self, q: torch.Tensor) -> Any:
        """Q of one block, int8 (n, m, d), in the form that `scores` takes."""

    def scores(self, q: Any, keys: Any) -> torch.Tensor:
        """q·kᵀ, shape (n, m, s): exact integers, held as int32 or FP32."""

    def weighted(self, weights: torch.Tensor, values: Any) -> torch.Tensor:
        """weights·v, shape (n, m, d), exact; `weights` (n, m, s) are the integers 0 … 255 in FP32, free to spoil."""


class Fp32Products:
    """int8 values multiplied by the FP32 units: exact, since every partial sum is an integer below 2**24."""

    def keys(self, k: torch.Tensor) -> torch.Tensor:
        return k.float().transpose(1, 2)

    def values(self, v: torch.Tensor) -> torch.Tensor:
        return v.float()

    def queries(self, q: torch.Tensor) -> torch.Tensor:
        return q.float()

    def scores(self, q: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        return q @ keys

    def weighted(self, weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return weights @ values


class IntMmProducts:
    """torch._int_mm, one head at a time: s8·s8 with int32 sums.

    The weights w = 0 … 255 go in as w − 128, and 128 times the column sums of V are added back: exact integers all.
    """

    def keys(self, k: torch.Tensor) -> torch.Tensor:
        return k.transpose(1, 2)

    def values(self, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        return v, v.sum(1, keepdim=True, dtype=torch.int32).mul_(128)

    def queries(self, q: torch.Tensor) -> torch.Tensor:
        return q

    def scores(self, q: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        import torch

        return torch.stack([torch._int_mm(a, b) for a, b in zip(q, keys, strict=True)])

    def weighted(self, weights: torch.Tensor, values: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        import torch

        v, correction = values
        signed = weights.sub_(128).to(torch.int8)
        return torch.stack([torch._int_mm(a, b) for a, b in zip(signed, v, strict=True)]).add_(correction)


class OnednnProducts:
    """oneDNN's quantised linear, one head at a time, K and V as its packed weights: s8·s8 and u8·s8.

    Its output is FP32 and exact: |q·k| ≤ 128·128·head_dim stays below 2**24 up to head_dim 1024, and a block of
    weights·v by its length. It takes the weights as unsigned bytes, so that no correction is needed.
    """

    def keys(self, k: torch.Tensor) -> list[_Packed]:
        return [_packed(head) for head in k]

    def values(self, v: torch.Tensor) -> list[_Packed]:
        return [_packed(head.T.contiguous()) for head in v]

    def queries(self, q: torch.Tensor) -> torch.Tensor:
        return q

    def scores(self, q: torch.Tensor, keys: list[_Packed]) -> torch.Tensor:
        import torch

        return torch.stack([_linear(a, packed) for a, packed in zip(q, keys, strict=True)])

    def weighted(self, weights: torch.Tensor, values: list[_Packed]) -> torch.Tensor:
        import torch

        unsigned = weights.to(torch.uint8)
        return torch.stack([_linear(a, packed) for a, packed in zip(unsigned, values, strict=True)])


@dataclass(frozen=True)
class _Packed:
    """A weight of oneDNN's quantised linear, with unit scales and zero points."""

    weight: torch.Tensor
    scales: torch.Tensor
    zero_points: torch.Tensor


def _packed(weight: torch.Tensor) -> _Packed:
    """Pack an int8 weight (outputs, inputs)."""
    import torch

    return _Packed(
        torch.ops.onednn.qlinear_prepack(weight, None),
        torch.ones(weight.shape[0]),
        torch.zeros(weight.shape[0], dtype=torch.int32),
    )


def _linear(x: torch.Tensor, packed: _Packed) -> torch.Tensor:
    """x · weightᵀ in FP32, without bias or scale."""
    import torch

    product: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
        x, 1.0, 0, packed.weight, packed.scales, packed.zero_points, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return product
