"""The plugin contract: all that the author of a kernel imports.

A kernel is a class that says which cases it has, how much work a case is, what its inputs are and what the right
answer is, and that carries implementations: methods marked with `@implementation`, each of which takes the inputs
and returns a zero-argument callable that returns the output. The harness does everything else: it checks the answer,
times the callable, sets the rate against the device's rating and writes the record.

Nothing here imports torch, and a kernel's module should not either at its top: the parent process plans without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from bench import precision as precisions
from bench.errors import UsageError, unknown_name
from bench.precision import PRECISIONS

if TYPE_CHECKING:
    import torch

Case: TypeAlias = Mapping[str, int | str]
"""One problem: lower-case field names to integers or words, such as {"m": 4096, "n": 4096, "k": 4096}."""

SUITES = ("quick", "standard", "full")
"""quick: minutes, for a first look. standard: what reference results are made of. full: every case worth a figure."""

DATA = ("normal", "uniform", "zeros", "ones")
"""What fills the inputs. Data change the power drawn and so the clock: an axis of its own, never mixed."""


class Role(StrEnum):
    """What a kernel's figure is for, and so what it is rated against."""

    COMPUTE = "compute"  # operations per second, against the rated peak of its precision
    BANDWIDTH = "bandwidth"  # bytes per second, against the rated memory bandwidth
    COLLECTIVE = "collective"  # bytes per second between devices; several ranks measure it together
    TRANSFER = "transfer"  # bytes per second between host and device, against the rated link of the two
    CEILING = "ceiling"  # a measured peak that other rows are set against

    @property
    def counts_bytes(self) -> bool:
        """Whether what counts is bytes per second and not operations."""
        return self in (Role.BANDWIDTH, Role.COLLECTIVE, Role.TRANSFER)


@dataclass(frozen=True)
class Work:
    """The nominal work of one call: multiply-adds count two operations; each byte of input and output counts once."""

    operations: int
    bytes_read: int
    bytes_written: int

    @property
    def bytes(self) -> int:
        """Bytes read and written together."""
        return self.bytes_read + self.bytes_written


@dataclass(frozen=True)
class Executed:
    """What the hardware really does where that is not the nominal work: Winograd, FP16 carried by the FP32 units.

    `operations` is per call; `precision` names the rating of the unit that executes them. The plausibility check uses
    it; the rate never does. `note` is one sentence for the reader.
    """

    operations: int
    precision: str
    note: str = ""


@dataclass(frozen=True)
class DeviceView:
    """The small read-only view of a device that a plugin may decide by."""

    type: str
    """torch's device type: cpu, cuda (also AMD's, see `vendor`), xpu, mps, or a PrivateUse1 name."""
    torch_device: str
    """What `torch.device()` takes, such as "cuda:0"."""
    vendor: str = ""
    """nvidia, amd, intel, apple, arm, … in lower case; "" when unknown."""
    name: str = ""
    architecture: str = ""
    """sm_90, gfx942, or a CPU's microarchitecture such as "Zen 3"."""
    capability: tuple[int, int] | None = None
    """CUDA's compute capability; None elsewhere."""
    isa: frozenset[str] = frozenset()
    """A CPU's flags as Linux spells them: avx2, avx512_vnni, amx_int8, asimddp, …"""
    units: int = 1
    """Multiprocessors, compute units or cores in use."""
    memory_bytes: int | None = None
    cache_bytes: int | None = None
    """The last-level cache that a cold measurement has to get past: L2 on a GPU, L3 on most CPUs."""
    torch_version: str = ""
    rank: int = 0
    """This process's number among those that measure together."""
    ranks: int = 1
    """How many processes measure together, all at once; 1 where this one measures alone."""


@dataclass(frozen=True)
class Inputs:
    """One case made concrete on a device: `inputs["a"]` is a tensor that the kernel's `inputs` made."""

    case: Case
    precision: str
    device: DeviceView
    tensors: Mapping[str, torch.Tensor]

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]


Call: TypeAlias = Callable[[], Any]
"""One call of the work: no arguments, returns the output tensor, does not synchronise."""

Supports: TypeAlias = Callable[[Case, str, DeviceView], str]
"""(case, precision, device) → why the implementation can't take it, or "" when it can."""


@dataclass(frozen=True)
class Implementation:
    """One way to do a kernel's work. Made by `@implementation`; `build(kernel, inputs)` returns the timed callable."""

    name: str
    build: Callable[[Any, Inputs], Call]
    precisions: tuple[str, ...]
    devices: tuple[str, ...] = ()
    """torch device types it runs on; empty for any."""
    accumulate: Mapping[str, str] = field(default_factory=dict)
    """precision → accumulation, where it is not the precision's own."""
    capturable: bool = True
    """Whether a call may be recorded in a device graph."""
    in_best: bool = True
    """Whether `--implementation best` tries it; not where setting it up takes longer than the measurement."""
    supports: Supports | None = None
    executed: Callable[[Case, str, DeviceView], Executed | None] | None = None
    kernel: str = ""
    """For an implementation from another package (`bench.implementations`): the kernel that it belongs to."""
    summary: str = ""

    def accumulates(self, precision: str) -> str:
        """The accumulation that results of this implementation have at `precision`."""
        return self.accumulate.get(precision, PRECISIONS[precision].accumulate)

    def reason_not_best(self, precision: str) -> str:
        """Why `--implementation best` leaves it out of a row at `precision`; "" where it is a candidate.

        One that accumulates otherwise has another rating: it is no faster way to the same answer.
        """
        if self.accumulates(precision) != PRECISIONS[precision].accumulate:
            return f"accumulates in {self.accumulates(precision)}: ask for it by name, --implementation {self.name}"
        return "" if self.in_best else f"is slow to set up: ask for it by name, --implementation {self.name}"

    def reason_unsupported(self, case: Case, precision: str, device: DeviceView) -> str:
        """Why this implementation can't run the case at the precision on the device; "" when it can."""
        if precision not in self.precisions:
            return f"{self.name} has no {precision}; it has {', '.join(self.precisions)}"
        if self.devices and device.type not in self.devices:
            return f"{self.name} runs on {', '.join(self.devices)}, not on {device.type}"
        return self.supports(case, precision, device) if self.supports else ""


def implementation(
    name: str,
    *,
    precisions: Sequence[str],
    devices: Sequence[str] = (),
    accumulate: Mapping[str, str] | None = None,
    capturable: bool = True,
    in_best: bool = True,
    supports: Supports | None = None,
    executed: Callable[[Case, str, DeviceView], Executed | None] | None = None,
    kernel: str = "",
) -> Callable[[Callable[[Any, Inputs], Call]], Implementation]:
    """Mark a method of a Kernel, or with `kernel=` a function of another package, as an implementation.

    The function takes (kernel, inputs), does all set-up, packing and autotuning, and returns the zero-argument
    callable that is timed. It is called once for each rotated copy of the inputs. Quantising activations is part of
    the work and belongs inside the returned callable; packing weights is not and belongs before it.
    """
    unknown = [p for p in precisions if p not in PRECISIONS]
    if unknown:
        raise unknown_name(f"implementation {name!r}: precisions", unknown[0], PRECISIONS)

    def mark(build: Callable[[Any, Inputs], Call]) -> Implementation:
        return Implementation(
            name=name,
            build=build,
            precisions=tuple(precisions),
            devices=tuple(devices),
            accumulate=MappingProxyType(dict(accumulate or {})),
            capturable=capturable,
            in_best=in_best,
            supports=supports,
            executed=executed,
            kernel=kernel,
            summary=(build.__doc__ or "").strip().split("\n")[0],
        )

    return mark


@dataclass(frozen=True)
class Field:
    """One field of a kernel's case: `default` None means that `--case` has to give it."""

    name: str
    help: str
    default: int | str | None = None
    minimum: int = 1
    maximum: int = 2**31 - 1
    choices: tuple[str, ...] = ()
    """For a field of words; an integer field has none."""


class Kernel(ABC):
    """One kind of work. Subclass it, register it under the entry-point group `bench.kernels`.

    Class attributes: `name` (lower case), `summary` (one line), `role`, `fields` (the case vocabulary) and
    `precisions` (those it has a meaning at).
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    role: ClassVar[Role] = Role.COMPUTE
    fields: ClassVar[tuple[Field, ...]] = ()
    precisions: ClassVar[tuple[str, ...]] = tuple(PRECISIONS)

    # --- what there is to run -------------------------------------------------------------------------------------

    @abstractmethod
    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        """The cases of a suite (`SUITES`), sized for the device: a processor and a GPU differ a thousandfold."""

    @abstractmethod
    def work(self, case: Case, precision: str) -> Work:
        """Nominal operations and bytes of one call."""

    def search_spaces(self, device: DeviceView) -> Mapping[str, Mapping[str, Sequence[int | str]]]:
        """The spaces that `python -m bench find` searches, by name, the default first; {} for none.

        A space is field → its values, ascending; every combination that `rejects` lets through is a shape. Fields that
        go together share a name, "h=w"; fields that are left out keep their defaults. At least some thousand shapes,
        sized so that one call takes well below a second on the device.
        """
        return {}

    def rejects(self, case: Case) -> str:
        """Why a well-formed case makes no sense (channels that groups don't divide); "" when it does."""
        return ""

    def placed(self, case: Case, device: DeviceView) -> Case:
        """A case that a user gave, with what only the device can tell filled in (how many ranks measure together)."""
        return case

    # --- what goes in and what must come out ----------------------------------------------------------------------

    @abstractmethod
    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """The input tensors, on `device.torch_device`, filled as `data` (`DATA`) says from a CPU `generator`."""

    @abstractmethod
    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        """The right answer in float64 on the CPU, shape (rows, columns): all rows, or those whose indices are given.

        int8 answers are integers held in float64, exact below 2**53.
        """

    @abstractmethod
    def output_rows(self, case: Case) -> int:
        """Number of rows of the output when it is read as (rows, columns)."""

    @abstractmethod
    def reduction_length(self, case: Case) -> int:
        """k: how many products each element of the output sums; the tolerance grows with its square root."""

    def rows(self, output: torch.Tensor, case: Case) -> torch.Tensor:
        """The output read as (rows, columns), in the order in which `reference` numbers its rows."""
        return output.reshape(-1, output.shape[-1])

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor | None:
        """reference @ vector in float64, shape (rows,), computed without the reference where the kernel is linear.

        Freivalds' check: it covers all of a large output for the price of a matrix-vector product. None where there
        is no cheap way; then only sampled rows of a large case are checked.
        """
        return None

    def tolerance(self, case: Case, precision: str, accumulate: str, output: str) -> float:
        """Largest relative error allowed; `output` names the output's own precision. See `bench.precision`."""
        return precisions.tolerance(output, accumulate, self.reduction_length(case), precision=precision)

    def input_bytes(self, case: Case, precision: str) -> int:
        """Bytes of one copy of the inputs: what rotating them against the cache costs."""
        return self.work(case, precision).bytes_read

    # --- implementations and cases: derived, seldom overridden ----------------------------------------------------

    @classmethod
    def implementations(cls) -> dict[str, Implementation]:
        """The implementations that this class carries, by name, in the order in which they are written."""
        found: dict[str, Implementation] = {}
        for base in reversed(cls.__mro__):
            for value in vars(base).values():
                if isinstance(value, Implementation):
                    found[value.name] = value
        return found

    @classmethod
    def parse_case(cls, text: str) -> dict[str, int | str]:
        """Read "m=4096,n=4096,k=4096" into a complete case; UsageError names field, value and what is allowed."""
        given: dict[str, str] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not value:
                raise UsageError(f"--case: {part!r} is not FIELD=VALUE; {cls.name} takes {cls._usage()}")
            if name in given:
                raise UsageError(f"--case: {name!r} is given twice")
            given[name] = value
        return cls.complete_case(given)

    @classmethod
    def complete_case(cls, given: Mapping[str, int | str]) -> dict[str, int | str]:
        """A case with every field, defaults filled in and values checked."""
        known = {f.name: f for f in cls.fields}
        for name in given:
            if name not in known:
                raise unknown_name(f"--case: {cls.name} has no such field", name, known)
        case = {f.name: _field_value(cls.name, f, given.get(f.name)) for f in cls.fields}
        reason = cls().rejects(case)
        if reason:
            raise UsageError(f"--case: {reason}")
        return case

    @classmethod
    def _usage(cls) -> str:
        return ",".join(f"{f.name}={'|'.join(f.choices) or 'INTEGER'}" for f in cls.fields)


def _field_value(kernel: str, spec: Field, given: int | str | None) -> int | str:
    if given is None:
        if spec.default is None:
            raise UsageError(f"--case: {kernel} needs {spec.name}= ({spec.help})")
        return spec.default
    if spec.choices:
        if given not in spec.choices:
            raise unknown_name(f"--case: {spec.name}", str(given), spec.choices)
        return given
    try:
        value = int(given)
    except ValueError:
        raise UsageError(f"--case: {spec.name}={given!r} is not an integer ({spec.help})") from None
    if not spec.minimum <= value <= spec.maximum:
        raise UsageError(f"--case: {spec.name}={value} is outside {spec.minimum} … {spec.maximum} ({spec.help})")
    return value


def iterate_cases(kernel: Kernel, suites: Sequence[str], device: DeviceView) -> Iterator[dict[str, int | str]]:
    """Every case of the suites once, complete, in order."""
    seen: set[tuple[tuple[str, int | str], ...]] = set()
    for suite in suites:
        for case in kernel.cases(suite, device):
            complete = kernel.complete_case(case)
            key = tuple(sorted(complete.items()))
            if key not in seen:
                seen.add(key)
                yield complete
