"""The tables as data: what an entry, a rate and a microarchitecture hold, and how they are read from TOML.

Which entry a device gets is `bench.ratings.matching`; what its peaks are is `bench.ratings.peaks`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from bench.errors import UnavailableError, UsageError, unknown_name

DEVICE_FILES: Final = ("nvidia.toml", "amd.toml", "accelerators.toml")

Figure = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
"""A rated figure in the unit of its key: positive, and finite by its upper bound."""
Count = Annotated[int, msgspec.Meta(gt=0, le=2**31)]


class Entry(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One SKU: what it is, which names it is reported under, and its rated dense figures per row of the table.

    A row is `devices_per_row` torch devices (the first number is the default, the memory decides between several).
    Figures are 1e12 operations per second and 1e9 bytes per second; None means that no source gives one.
    """

    name: str
    vendor: str = ""
    torch_device: str | None = None
    architecture: str = ""
    target: str = ""
    """Compute capability ("9.0") or gfx target ("gfx942"): the key of the rates per clock."""
    form_factor: str = ""
    figures_per: str = ""
    release_year: Count | None = None
    names: tuple[str, ...] = ()
    """Whole names that frameworks report, `*` for any rest; the entry's own name is always one."""
    driver_names_seen: tuple[str, ...] = ()
    pci_ids: tuple[Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{4}:[0-9a-f]{4}$")], ...] = ()
    devices_per_row: Annotated[tuple[Count, ...], msgspec.Meta(min_length=1)] = (1,)
    units: Count | None = None
    """Multiprocessors or compute units of the row."""
    boost_clock_mhz: Figure | None = None
    tensor_clock_mhz: Figure | None = None
    """The clock that the matrix figures are rated at, where it is not the boost clock."""
    memory_gb: tuple[Figure, ...] = ()
    """Sizes that the row is sold with, as the vendor names them (GB or GiB alike)."""
    memory_type: str = ""
    memory_is_shared: bool = False
    """Memory shared with the host or set by its owner: its size tells nothing about the SKU."""
    tdp_w: Figure | None = None
    l2_mb: Figure | None = None
    last_level_cache_mb: Figure | None = None
    interconnect: str = ""
    interconnect_gb_per_s_bidirectional: Figure | None = None
    host_link_gb_per_s_bidirectional: Figure | None = None
    """Of its link to the host, where that is not PCI Express: a user's to give."""
    bandwidth_gb_per_s: Figure | None = None
    fp64_tflops: Figure | None = None
    fp64_tensor_tflops: Figure | None = None
    fp32_tflops: Figure | None = None
    fp32_matrix_tflops: Figure | None = None
    tf32_tflops: Figure | None = None
    bf16_tflops: Figure | None = None
    fp16_tflops: Figure | None = None
    fp16_accumulate_fp16_tflops: Figure | None = None
    fp16_vector_tflops: Figure | None = None
    bf16_vector_tflops: Figure | None = None
    fp8_tflops: Figure | None = None
    fp8_accumulate_fp16_tflops: Figure | None = None
    fp6_tflops: Figure | None = None
    fp4_tflops: Figure | None = None
    int8_tops: Figure | None = None
    int4_tops: Figure | None = None
    fp32_accumulate_rate: Literal["", "full", "half"] = ""
    """Whether the matrix units sum in FP32 at their full rate or at half of it (GeForce)."""
    matrix_units: bool = True
    capped: tuple[str, ...] = ()
    """Peaks held below what units and clock would give (export rules): the formula says nothing about them."""
    dense_note: str = ""
    source: str = ""
    source_kind: str = ""
    seen_as: str = ""
    confidence: str = ""
    hardware_source: str = ""
    attribution: str = ""
    notes: str = ""
    user_file: str = ""
    """The --ratings file that added or changed this entry; "" for a built-in one."""
    user_figures: frozenset[str] = frozenset()
    """Which of its figures that file gave."""


FIGURES: Final = (
    *(f for f in Entry.__struct_fields__ if f.endswith(("_tflops", "_tops"))),
    "bandwidth_gb_per_s",
    "interconnect_gb_per_s_bidirectional",
    "host_link_gb_per_s_bidirectional",
)
"""The keys that hold a rated figure."""
INTERNAL: Final = frozenset({"user_file", "user_figures"})
USER_KEYS: Final = tuple(f for f in Entry.__struct_fields__ if f not in INTERNAL)


class ClockRate(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Operations per clock of one unit of an architecture, for the figure that it explains."""

    vendor: str
    architecture: str
    target: str
    figure: str
    path: str
    operations_per_clock: Count
    rate: str = ""
    basis: str = ""
    source: str = ""
    notes: str = ""


class InstructionSet(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Operations per cycle and core that an instruction set reaches on its microarchitecture; None: no say."""

    isa: str
    flags: tuple[str, ...]
    per: Literal["core", "cluster"] = "core"
    fp64_flop_per_cycle: Count | None = None
    fp32_flop_per_cycle: Count | None = None
    bf16_flop_per_cycle: Count | None = None
    fp16_flop_per_cycle: Count | None = None
    fp16_accumulate_fp16_flop_per_cycle: Count | None = None
    int8_ops_per_cycle: Count | None = None
    unknown: tuple[str, ...] = ()
    basis: str = ""
    confidence: str = ""
    source: str = ""
    notes: str = ""


class Microarchitecture(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A processor core design and how CPUID (x86) or MIDR (Arm) numbers name it."""

    name: str
    vendor: str
    products: str = ""
    cpu_vendor: str = ""
    cpu_family: int | None = None
    cpu_models: tuple[int, ...] = ()
    cpu_steppings: tuple[int, ...] = ()
    """Empty: any."""
    cpu_implementer: str = ""
    cpu_parts: tuple[str, ...] = ()
    isa: tuple[InstructionSet, ...] = ()


class ProcessorModel(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A processor by its marketing name, with the clocks that a source prints."""

    vendor: str
    model: str
    microarchitecture: str
    cores_per_socket: Count | None = None
    base_ghz: Figure | None = None
    max_turbo_ghz: Figure | None = None
    observed_all_core_avx512_ghz: str = ""
    observed_all_core_amx_ghz: str = ""
    observed_one_core_amx_ghz: str = ""
    source: str = ""
    notes: str = ""


class Tables(msgspec.Struct, kw_only=True, frozen=True):
    """All tables together. User entries come first."""

    entries: tuple[Entry, ...]
    rates: tuple[ClockRate, ...]
    microarchitectures: tuple[Microarchitecture, ...]
    models: tuple[ProcessorModel, ...]

    def entry(self, name: str) -> Entry | None:
        """The entry of that exact name."""
        return next((e for e in self.entries if e.name == name), None)


def load(user_files: Sequence[Path] = ()) -> Tables:
    """The built-in tables, with the entries of the user's files added to them or laid over those of the same name.

    Raises UnavailableError (exit 3) for a file that can't be read, UsageError (exit 2) for one that doesn't say what
    it should: file, entry, key and what is allowed are named.
    """
    tables = _built_in()
    for path in user_files:
        tables = _with_user_file(tables, path)
    return tables


@cache
def _built_in() -> Tables:
    folder = resources.files("bench.ratings") / "data"

    def read(name: str, table: str, kind: Any) -> Any:
        return msgspec.convert(tomllib.loads((folder / name).read_text("utf-8"))[table], tuple[kind, ...])

    return Tables(
        entries=tuple(entry for name in DEVICE_FILES for entry in read(name, "device", Entry)),
        rates=read("ops-per-clock.toml", "rate", ClockRate),
        microarchitectures=read("cpu-isa.toml", "microarchitecture", Microarchitecture),
        models=read("cpu-models.toml", "model", ProcessorModel),
    )


def _with_user_file(tables: Tables, path: Path) -> Tables:
    rows = _user_rows(path)
    entries = {entry.name: entry for entry in tables.entries}
    mine: dict[str, Entry] = {}
    for number, row in enumerate(rows, start=1):
        name = _user_name(path, number, row)
        if name in mine:
            raise UsageError(f"--ratings: {path}: [[device]] {name!r} is there twice; one entry a name")
        mine[name] = _user_entry(path, name, row, entries.get(name))
    rest = tuple(entry for entry in tables.entries if entry.name not in mine)
    return msgspec.structs.replace(tables, entries=(*mine.values(), *rest))


def _user_rows(path: Path) -> list[Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UnavailableError(f"--ratings: cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--ratings: {path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # ValueError: tomllib lets Python's own refusal of a number of thousands of digits through.
        raise UsageError(f"--ratings: {path} is not TOML: {error or 'nested too deeply'}") from error
    for key in document:
        if key != "device":
            raise unknown_name(f"--ratings: {path}: table", key, ["device"])
    rows = document.get("device")
    if not isinstance(rows, list) or not rows:
        raise UsageError(f"--ratings: {path} has no [[device]] entry; see docs/ratings.md for one to copy")
    return rows


def _user_name(path: Path, number: int, row: Any) -> str:
    if not isinstance(row, dict):
        raise UsageError(f"--ratings: {path}: entry {number} is not a [[device]] table")
    name = row.get("name")
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"--ratings: {path}: entry {number}: name: {name!r} is not a text of at least one letter")
    return name


def _user_entry(path: Path, name: str, row: dict[str, Any], base: Entry | None) -> Entry:
    where = f"--ratings: {path}: {name!r}"
    for key in row:
        if key not in USER_KEYS:
            raise unknown_name(f"{where}: key", key, USER_KEYS)
    figures = frozenset(key for key in row if key in FIGURES)
    if base is None and not figures:
        raise UsageError(f"{where} has no figure; give at least one of {', '.join(FIGURES)}")
    values: dict[str, Any] = {k: v for k in USER_KEYS if base is not None and (v := getattr(base, k)) not in ((), "")}
    values.update(row)
    if base is not None:
        figures |= base.user_figures
    try:
        return msgspec.convert({**values, "user_file": str(path), "user_figures": figures}, Entry)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {_plain(str(error))}") from error


def _plain(message: str) -> str:
    """msgspec's "Expected `float`, got `str` - at `$.fp16_tflops`" with the key first."""
    reason, _, place = message.replace(" | null`", "`").partition(" - at ")
    key = place.strip("`").removeprefix("$").lstrip(".")
    return f"{key}: {reason[:1].lower()}{reason[1:]}" if key else reason
