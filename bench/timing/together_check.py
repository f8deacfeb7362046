"""Is the answer of a call right that several processes make together? Each makes the same calls, whatever it finds.

What is wrong at one rank is wrong at all: the row is theirs together. The reference and what counts as right are
`bench.timing.check`'s; the tricks that poison and zeroed inputs find are those of `bench.timing.call_check`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bench.kernel import Inputs
from bench.records import Check
from bench.timing.backend import Backend
from bench.timing.call_check import poison
from bench.timing.check import SAMPLED_ROWS, Expected, compare
from bench.timing.timers import Call
from bench.timing.together import Group

if TYPE_CHECKING:
    import torch

RANKS_NAMED: Final = 4
"""Ranks that a reason names one by one."""


def check_together(
    call: Call,
    expected: Expected,
    kept: Mapping[str, torch.Tensor],
    accumulate: str,
    backend: Backend,
    group: Group,
    *,
    inputs_matter: bool = True,
) -> tuple[Check, str]:
    """Check that a call of all ranks computes the right answer anew at each of them; the same verdict at all.

    Before each call the inputs are put back from `kept` (`copied`), for an operation in place overwrites them. The
    first output is poisoned where it is a buffer of its own, the second is set against the reference; then
    (`inputs_matter`) every input of all ranks is zero for one call, which has to give another output. The inputs are as
    in `kept` when this returns. What a call or an exchange raises is passed on: the ranks are out of step then.
    """
    import torch

    tensors = expected.inputs.tensors
    with torch.no_grad():
        _put_back(tensors, kept)
        first = call()
        backend.synchronize()
        if isinstance(first, torch.Tensor):
            poison(first, expected.inputs)
        _put_back(tensors, kept)
        second = call()
        backend.synchronize()
        check, reason = compare(expected, second, accumulate)
        before = _sampled(expected, second) if check.passed and isinstance(second, torch.Tensor) else None
        if inputs_matter:
            for tensor in tensors.values():
                tensor.zero_()
            third = call()
            backend.synchronize()
            if before is not None and _unmoved(expected, before, third):
                check = Check(error=check.error, tolerance=check.tolerance, passed=False)
                reason = "its output does not change when its inputs do: it was computed before the call"
        _put_back(tensors, kept)
        backend.synchronize()
    return _verdict(check, reason, group)


def copied(inputs: Inputs) -> dict[str, torch.Tensor]:
    """The inputs as they are now, to be put back later."""
    return {name: tensor.clone() for name, tensor in inputs.tensors.items()}


def by_rank(reasons: Mapping[int, str]) -> str:
    """Reasons with the ranks that have them: "rank 1: …; ranks 2, 3: …"; ranks of one reason stand together."""
    alike: dict[str, list[int]] = {}
    for rank, reason in reasons.items():
        alike.setdefault(reason, []).append(rank)
    return "; ".join(f"{named(ranks)}: {reason}" for reason, ranks in alike.items())


def named(ranks: Sequence[int]) -> str:
    """ "rank 3", "ranks 0, 1", "ranks 0, 1, 2, 3 and 12 more"."""
    more = f" and {len(ranks) - RANKS_NAMED} more" if len(ranks) > RANKS_NAMED else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks[:RANKS_NAMED]))}{more}"


def _verdict(check: Check, reason: str, group: Group) -> tuple[Check, str]:
    """The worst of all ranks' checks, and what went wrong at which of them."""
    error = math.nan if check.error is None else check.error
    every = group.exchange([float(check.passed), error, check.tolerance])
    words = group.exchange_words(reason)
    errors = [one[1] for one in every]
    worst = None if any(map(math.isnan, errors)) else max(errors)
    wrong = {rank: words[rank] for rank, one in enumerate(every) if not one[0]}
    return Check(error=worst, tolerance=every[0][2], passed=not wrong), by_rank(wrong)


def _put_back(tensors: Mapping[str, torch.Tensor], kept: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        tensor.copy_(kept[name])


def _unmoved(expected: Expected, before: torch.Tensor, output: Any) -> bool:
    """Whether an output of zeroed inputs is what it was; never where the right answer is zero anyway."""
    import torch

    return bool(float(expected.reference.norm())) and torch.equal(before, _sampled(expected, output))


def _sampled(expected: Expected, output: torch.Tensor) -> torch.Tensor:
    """A copy of at most 64 rows of an output, spread over all."""
    y = expected.kernel.rows(output, expected.inputs.case)
    return y[:: max(1, y.shape[0] // SAMPLED_ROWS)].clone()
