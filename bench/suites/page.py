"""docs/scenarios.md, made from the scenarios' own data: `python -m bench.suites.page > docs/scenarios.md` writes it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from bench.suites.scenarios import TAGS, Entry, Scenario, load

INTRODUCTION: Final = """\
# Scenarios: which application asks for what

<!-- Made by `python -m bench.suites.page > docs/scenarios.md`; a test holds the two together. -->

One large square product says little of an application: attention with narrow heads, products of one row, sums of 16 or
48 terms are where devices differ. A scenario is an application's step as weighted kernel calls, and its figure is

    Σ(weight · operations) / Σ(weight · time)

for each precision, with its share of the rated figure: what a device delivers on that application's arithmetic.

```
python -m bench run --suite llm_pretrain            # one application; on a CPU its tiny size, elsewhere its own
python -m bench run --suite chat_decode:tiny        # a size by name: tiny or full
python -m bench run --suite scenarios --budget 900  # all of them
python -m bench run --suite weather --precision fp32 --dry-run
```

- **tiny** divides some sizes by powers of two, so that a processor or a test gets through; every row says which size it
  is, and a tiny figure is not the application's.
- Each call is measured at the precisions that the application uses for it (`--precision` leaves some of them out). A
  figure is of one precision, over the calls that have it, and says how many of the scenario's calls those are.
- A call without a usable row (no such unit, too little memory, disturbed, not reached within the budget) makes the
  scenario **incomplete** at that precision: the missing calls are named and no figure is given for the whole.
- Where two precisions were measured on the same calls, the last lines say how much faster one is.
- The share of the rated figure is the time that the rated figure allows over the time taken.
- Weights are calls a step. The column beside them says where they come from: a count of layers in a source that was
  read, or one recalled, or 1 for want of any.
- Products of layers have `trans_b=1`, as weights lie in memory; convolutions are channels-last.
- What single rows of a scenario reach, and why not more, is in the table above its figure, as in any run. In the run
  file each row has its [`scenario`](run-file.md#measurement), and the run line has what was asked for.

## The kernels they need

Most calls are those of `gemm`, `conv` and [`attention`](kernels-attention.md). Two more kernels serve the others; their
own cases are in the `full` suite alone.

- `grouped_gemm`: a mixture of experts, one product for each expert over the tokens routed to it. Routing is even at
  random from a fixed seed that belongs to the case, so that operations and bytes are exact and the same in every run;
  experts that no token chose are not read. `loop` is torch.mm an expert; `grouped_mm` and `scaled_grouped_mm` are
  torch's one kernel for all of them (compute capability 9.0 and 10.0, gfx942, gfx950); `scaled_mm` loops at FP8,
  `int_mm` and `fp32-exact` at INT8, `upcast` carries 16 bits on a processor's FP32 units. Checked on a CPU: all but
  `scaled_grouped_mm`, which torch has for GPUs only; no GPU has run any of them yet.
- `conv3d`: a stride and a padding for each axis. `torch` is the library's; `patches` is one product where patches do
  not overlap, as in Pangu-Weather's embedding; `upcast` as above. No INT8. Checked on a CPU; no GPU has run it yet.

## The figure's sources

Tags of a source: """

HEADERS: Final = ("call", "kernel and case", "tiny", "precisions", "weight", "weight from", "source", "tags")


def text() -> str:
    """The page as it stands in docs/scenarios.md."""
    tags = "; ".join(f"**{tag}** {meaning}" for tag, meaning in TAGS.items())
    return INTRODUCTION + tags + ".\n\n" + "\n".join(_section(one) for one in load().values())


def _section(one: Scenario) -> str:
    rows = [HEADERS, ("---",) * len(HEADERS), *map(_row, one.entry)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = "".join(f"\n- `{entry.id}`: {entry.note}." for entry in one.entry if entry.note)
    return f"## {one.name}\n\n{one.title}. A step is {one.step}.\n\n{table}\n" + (notes + "\n" if notes else "")


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        f"`{entry.id}`",
        f"{entry.kernel} `{_fields(entry.case)}`",
        f"`{_fields(entry.tiny)}`" if entry.tiny else "the same",
        ", ".join(entry.precisions),
        str(entry.weight),
        _escaped(entry.weight_from),
        _escaped(entry.source),
        " ".join(entry.tags),
    )


def _fields(case: Mapping[str, int | str]) -> str:
    return ",".join(f"{name}={value}" for name, value in case.items())


def _escaped(words: str) -> str:
    return words.replace("|", "\\|").replace("**", "\\*\\*")


if __name__ == "__main__":
    sys.stdout.write(text())
