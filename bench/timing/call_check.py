"""Does a call compute? A kept, stale or leftover output that equals the right answer is found here.

docs/method.md, "Check", says which tricks and mistakes are meant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.kernel import Inputs
from bench.records import Check
from bench.timing.backend import Backend
from bench.timing.check import SAMPLED_ROWS, Expected, as_rows, compare, output_precision, relative_error

if TYPE_CHECKING:
    import torch


def check_call(
    call: Callable[[], Any], expected: Expected, accumulate: str, backend: Backend, *, inputs_matter: bool = True
) -> tuple[Check, str]:
    """Check that a call computes the right answer anew, from its inputs, each time that it is made.

    The first output is overwritten with poison and dropped; it is the second call's that is set against the reference.
    So a result kept from before, a buffer that is not written again and memory left over from another implementation
    all show. Then (`inputs_matter`) each input is set to zero for one call: an output that no input changes was not
    computed in the call, and is wrong. The inputs are as before when this returns.
    """
    first = call()
    backend.synchronize()
    kept = _kept_rows(expected, first)
    if kept is None:
        return compare(expected, first, accumulate)
    poisoned = poison(first, expected.inputs)
    backend.synchronize()
    del first
    second = call()
    backend.synchronize()
    check, reason = compare(expected, second, accumulate)
    if not check.passed:
        first_error = relative_error(float((kept - expected.reference).norm()), float(expected.reference.norm()))
        if first_error > check.tolerance:
            return check, reason
        overwritten = " after its output was overwritten" if poisoned else ""
        return check, f"wrong when called again{overwritten}: {reason}"
    if inputs_matter and not _depends_on_inputs(call, second, expected, backend):
        reason = "its output does not change when its inputs do: it was computed before the call"
        return Check(error=check.error, tolerance=check.tolerance, passed=False), reason
    return check, ""


def poison(output: torch.Tensor, inputs: Inputs | None = None) -> bool:
    """Overwrite an output so that no check can take what is left of it for an answer: NaN, or an integer's minimum.

    False, and nothing done, where it shares memory with one of `inputs`.
    """
    import torch

    shared = inputs is not None and any(_storage(t) == _storage(output) for t in inputs.tensors.values())
    if shared or not output.numel():
        return False
    with torch.inference_mode():
        if output.dtype.is_floating_point:
            output.fill_(float("nan"))
        elif output.dtype == torch.bool:
            output.logical_not_()
        else:
            output.fill_(torch.iinfo(output.dtype).min)
    return True


def _kept_rows(expected: Expected, output: Any) -> torch.Tensor | None:
    """A float64 copy of the rows that the reference holds; None where the output can't be one at all."""
    import torch

    if output_precision(expected, output)[1]:
        return None
    y, problem = as_rows(expected, output)
    if problem:
        return None
    rows = y if expected.rows is None else y[expected.rows.to(y.device)]
    # copy: a float64 output on the CPU would be kept by reference.
    return rows.to("cpu", torch.float64, copy=True)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _depends_on_inputs(call: Callable[[], Any], output: torch.Tensor, expected: Expected, backend: Backend) -> bool:
    """Whether zeroing any one of the inputs changes the output; True where that can't be tried."""
    import torch

    if not float(expected.reference.norm()):
        return True
    before = _sampled(expected, output).clone()
    free_bytes = backend.memory_free_bytes()
    tried = False
    for tensor in expected.inputs.tensors.values():
        size_bytes = tensor.numel() * tensor.element_size()
        # Half: the clone must fit beside whatever the call itself allocates.
        if not size_bytes or (free_bytes is not None and 2 * size_bytes > free_bytes):
            continue
        with torch.inference_mode():
            kept = tensor.clone()
            try:
                tensor.zero_()
                again = call()
                backend.synchronize()  # an output on the host is there only when the device has written it
                changed = not torch.equal(_sampled(expected, again), before)
            finally:
                tensor.copy_(kept)
        if changed:
            return True
        tried = True
    return not tried


def _sampled(expected: Expected, output: torch.Tensor) -> torch.Tensor:
    """The rows that the reference holds, at most 64 of them spread over all, on the output's device."""
    y = expected.kernel.rows(output, expected.inputs.case)
    if expected.rows is not None:
        return y[expected.rows.to(y.device)]
    return y[:: max(1, y.shape[0] // SAMPLED_ROWS)]
