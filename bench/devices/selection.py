"""What `--device` may say, read without torch: the parent process checks the word before it starts a worker.

Whether the device is there is `discovery`'s question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bench.errors import UsageError, unknown_name

KNOWN_TYPES: Final[dict[str, str]] = {
    # torch's device types, and the names under which vendors' packages register theirs (PrivateUse1).
    "cpu": "the host processor",
    "cuda": "NVIDIA GPU, or another vendor's that torch presents as cuda",
    "gcu": "Enflame",
    "hpu": "Intel Gaudi",
    "mlu": "Cambricon",
    "mps": "Apple GPU",
    "mtia": "Meta MTIA",
    "musa": "Moore Threads",
    "npu": "Huawei Ascend",
    "privateuseone": "whatever backend is registered with torch under PrivateUse1",
    "sdaa": "Tecorigin",
    "supa": "Biren",
    "xpu": "Intel GPU",
}

VENDOR_PACKAGES: Final[dict[str, str]] = {
    # The package that brings the type where torch doesn't; imported by hand only for a user who asks for the type.
    "gcu": "torch_gcu",
    "hpu": "habana_frameworks.torch",
    "mlu": "torch_mlu",
    "musa": "torch_musa",
    "npu": "torch_npu",
    "sdaa": "torch_sdaa",
    "supa": "torch_br",
}

ALIASES: Final[dict[str, str]] = {"rocm": "cuda", "hip": "cuda"}
"""A HIP build of torch presents AMD's GPUs as cuda."""

_GPU_WORDS: Final = ("gpu", "nvidia", "amd", "intel", "apple", "metal")

_SYNTAX = re.compile(r"([a-z][a-z0-9_]*)(?::([0-9]{1,6}))?", re.ASCII)


@dataclass(frozen=True)
class Selection:
    """A parsed `--device`. `type` is "auto", "all" or a device type; without an `index` the first device is meant."""

    type: str
    index: int | None = None
    text: str = ""
    """As the user wrote it, for messages."""

    @property
    def wants_hip(self) -> bool:
        """Whether the user said rocm or hip, and so would be misled by an NVIDIA device."""
        return self.text.strip().lower().partition(":")[0] in ALIASES


def known_types() -> tuple[str, ...]:
    """`KNOWN_TYPES` and the types of installed backends that torch loads by itself (entry points `torch.backends`).

    Such an entry point is called after its package (`torch_foo`) or its type (`foo`); both name the type foo.
    """
    from importlib.metadata import entry_points

    installed = {point.name.removeprefix("torch_").lower() for point in entry_points(group="torch.backends")}
    return tuple(sorted({*KNOWN_TYPES, *installed}))


def parse_selection(text: str) -> Selection:
    """Read `auto`, `all`, TYPE or TYPE:INDEX, in any case; `rocm` and `hip` stand for cuda.

    Raises UsageError, naming the value and the choices, for anything else.
    """
    word = text.strip().lower()
    choices = ("auto", "all", *known_types(), *ALIASES)
    match = _SYNTAX.fullmatch(word)
    if match is None:
        raise UsageError(
            f"--device: {text!r} is not TYPE or TYPE:INDEX, such as cuda:0; choose from {', '.join(sorted(choices))}"
        )
    kind, index = match.group(1), match.group(2)
    if kind in _GPU_WORDS and kind not in choices:
        raise UsageError(
            f"--device: {kind!r} is no device type: say cuda for NVIDIA, rocm for AMD, xpu for Intel, mps for "
            f"Apple, auto for the best device here; choose from {', '.join(sorted(choices))}"
        )
    if kind not in choices:
        raise unknown_name("--device", kind, choices)
    if kind in ("auto", "all") and index is not None:
        raise UsageError(f"--device: {text!r}: {kind} takes no index; say auto, all, TYPE or TYPE:INDEX")
    return Selection(type=ALIASES.get(kind, kind), index=None if index is None else int(index), text=text)
