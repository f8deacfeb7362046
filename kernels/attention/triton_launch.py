"""The launch of the Triton kernels of attention on given inputs. Importing this imports Triton.

What they are offered as is in `kernels.attention.triton_attention`; the kernels are in `triton_flash` beside this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import triton

from bench.kernel import Inputs
from kernels.attention.operands import score_scale, value_scale, values
from kernels.attention.shapes import integers
from kernels.attention.tiles import Widths, widths
from kernels.attention.triton_flash import FP8, INT8, PLAIN, attend, combine
from kernels.tensors import poisoned
from kernels.triton_tuning import Config
from kernels.triton_tuning import Launch as KernelLaunch

if TYPE_CHECKING:
    import torch

LOG2_E: Final = 1.4426950408889634
"""The kernels' exponentials are powers of two: scores come in units of log2(e)."""


@dataclass(frozen=True)
class Launch:
    """What every launch of one call is given: tensors, sizes and what the kernel is compiled for."""

    constants: dict[str, Any]
    sizes: tuple[int, ...]
    scale: float
    v_scale: float
    rows: int
    grid: tuple[int, int]
    widths: Widths


@dataclass(frozen=True)
class AttentionCall:
    """One call: V turned where it has to be, then the kernels one after the other; `compile` as theirs."""

    launches: tuple[KernelLaunch, ...]
    output: torch.Tensor
    given: torch.Tensor
    turned: torch.Tensor | None
    """Room for V with its keys contiguous; None where the kernel takes it as it is."""

    def __call__(self) -> torch.Tensor:
        if self.turned is not None:
            self.turned.copy_(self.given)
        for launch in self.launches:
            launch()
        return self.output

    def compile(self) -> None:
        """Compile as a call would, without launching."""
        for launch in self.launches:
            launch.compile()


def launcher(inputs: Inputs, config: Config, *, mixed: bool = False) -> AttentionCall:
    """A call that returns attention of the inputs, (batch, heads, q_len, value_dim) in a buffer that it keeps.

    `config` as `kernels.attention.tiles` makes them. `mixed`: int8 inputs whose second product is FP16. 8-bit values
    are transposed inside the call where the config says so: their products take them key by key.
    """
    import torch

    c = integers(inputs.case)
    launch = launch_of(inputs, config, mixed=mixed)
    element = inputs["q"].dtype
    out_type = torch.bfloat16 if element.itemsize == 1 else element
    out = poisoned((c["batch"], c["heads"], c["q_len"], c["value_dim"]), out_type, inputs.device)
    splits = config["splits"]
    parts = (out, out, out) if splits == 1 else _parts(launch, splits, c["value_dim"], inputs)
    q, k = inputs["q"].contiguous(), inputs["k"].contiguous()
    bias = inputs["bias"].contiguous() if c["bias"] else q
    given = values(inputs)
    turned = _room_for_transposed(given) if config["transpose"] else None
    v = given if turned is None else turned
    arguments = (q, k, v, bias, out, *parts, launch.scale, launch.v_scale, launch.rows, *launch.sizes, *v.stride()[1:])
    launches = [KernelLaunch(attend, launch.grid, arguments, launch.constants, out)]
    if splits > 1:
        sizes = {"value_dim": c["value_dim"], "value_width": launch.widths.value, "splits": splits, "num_warps": 4}
        launches.append(KernelLaunch(combine, (launch.rows,), (out, *parts, launch.v_scale, launch.rows), sizes, out))
    return AttentionCall(tuple(launches), out, given, turned)


def launch_of(inputs: Inputs, config: Config, *, mixed: bool) -> Launch:
    """The launch of the inputs with a config."""
    c = integers(inputs.case)
    element = inputs["q"].dtype
    eight_bits = element.itemsize == 1
    fit = widths(c, element.itemsize)
    how = PLAIN if mixed or not eight_bits else FP8 if element.is_floating_point else INT8
    group = c["heads"] // c["kv_heads"]
    own = {name: value for name, value in config.arguments().items() if name != "transpose"}
    constants = {
        **own,
        "group": group,
        "head_dim": c["head_dim"],
        "value_dim": c["value_dim"],
        "main": fit.main,
        "rest": fit.rest,
        "value_width": fit.value,
        "causal": bool(c["causal"]) and c["q_len"] > 1,  # a single query sees every key
        "biased": bool(c["bias"]),
        "reuse": fit.reuse,
        "mixed": mixed,
        "how": how,
        "input_precision": "tf32" if inputs.precision == "tf32" else "ieee",
    }
    rows_of_head = c["q_len"] * group
    blocks = triton.cdiv(rows_of_head, config["block_rows"]) * c["batch"] * c["kv_heads"]
    return Launch(
        constants=constants,
        sizes=(c["kv_heads"], c["q_len"], c["kv_len"]),
        scale=score_scale(inputs) * LOG2_E,
        v_scale=value_scale(inputs),
        rows=c["batch"] * c["heads"] * c["q_len"],
        grid=(blocks, config["splits"]),
        widths=fit,
    )


def _parts(launch: Launch, splits: int, value_dim: int, inputs: Inputs) -> tuple[torch.Tensor, ...]:
    """Room for the sums, totals and maxima of each split of each row."""
    import torch

    count = splits * launch.rows
    return tuple(poisoned(shape, torch.float32, inputs.device) for shape in ((count, value_dim), (count,), (count,)))


def _room_for_transposed(v: torch.Tensor) -> torch.Tensor:
    """A tensor of v's shape that lies value_dim before kv_len, each row of keys 16-byte aligned."""
    import torch

    batch, heads, kv_len, value_dim = v.shape
    aligned = triton.cdiv(kv_len, 16) * 16
    room = torch.empty(batch, heads, value_dim, aligned, dtype=v.dtype, device=v.device)
    return room.transpose(2, 3)[:, :, :kv_len]
