"""What a scenario holds, how it is read from TOML (`data/`, one file a scenario), and how one is asked for."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec

from bench.errors import UsageError, unknown_name
from bench.precision import PRECISIONS

ALL: Final = "scenarios"
"""The name that stands for every scenario."""
Size: TypeAlias = Literal["tiny", "full"]
SIZES: Final[tuple[Size, ...]] = get_args(Size)
"""full: the application's own sizes. tiny: some of them divided by powers of two, for a processor."""
Tag: TypeAlias = Literal["R", "M", "D", "+"]
TAGS: Final[dict[Tag, str]] = {
    "R": "the configuration named was read",
    "M": "recalled from the paper or the code, not re-read",
    "D": "derived by arithmetic from what was read",
    "+": "a batch or a length chosen here",
}


class Entry(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One kernel call of the application: its full case, its tiny one, and how often a step makes it."""

    id: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_]*$")]
    kernel: str
    case: dict[str, int | str]
    """Fields that are left out have the kernel's defaults."""
    tiny: dict[str, int] = {}
    """Fields that differ in the tiny size."""
    precisions: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """Those that the application uses for this call."""
    weight: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Calls a step."""
    weight_from: Annotated[str, msgspec.Meta(min_length=1)]
    """Where the weight comes from, or that it is 1 for want of a source."""
    source: Annotated[str, msgspec.Meta(min_length=1)]
    tags: Annotated[tuple[Tag, ...], msgspec.Meta(min_length=1)]
    note: str = ""

    def at(self, size: Size) -> dict[str, int | str]:
        """The case in one of the sizes."""
        return {**self.case, **self.tiny} if size == "tiny" else dict(self.case)


class Scenario(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An application's step as weighted entries."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$")]
    title: Annotated[str, msgspec.Meta(min_length=1)]
    step: Annotated[str, msgspec.Meta(min_length=1)]
    """What one step is: what the weights count calls of."""
    entry: Annotated[tuple[Entry, ...], msgspec.Meta(min_length=1)]

    @property
    def precisions(self) -> tuple[str, ...]:
        """Every precision that an entry has, in the order of `bench.precision`."""
        return tuple(name for name in PRECISIONS if any(name in entry.precisions for entry in self.entry))


class Request(msgspec.Struct, frozen=True):
    """A `--suite` that names scenarios."""

    scenarios: tuple[Scenario, ...]
    size: Size | None
    """None: by the device."""

    def size_on(self, device_type: str) -> Size:
        """The size asked for; where none was, tiny on a processor and full elsewhere."""
        return self.size or ("tiny" if device_type == "cpu" else "full")


@cache
def load() -> dict[str, Scenario]:
    """Every scenario by name, in the order of its file's number."""
    folder = resources.files("bench.suites").joinpath("data")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    read = [scenario(file.read_text(encoding="utf-8")) for file in files]
    return {one.name: one for one in read}


def scenario(text: str) -> Scenario:
    """A scenario from its TOML; msgspec.ValidationError or ValueError says what is wrong with it."""
    found = msgspec.convert(tomllib.loads(text), Scenario)
    names = [entry.id for entry in found.entry]
    if len(set(names)) < len(names):
        raise ValueError(f"{found.name}: two entries have the same id")
    for entry in found.entry:
        unknown = set(entry.precisions) - set(PRECISIONS)
        if unknown:
            raise ValueError(f"{found.name}/{entry.id}: no such precision: {', '.join(sorted(unknown))}")
        if not set(entry.tiny) <= set(entry.case):
            raise ValueError(f"{found.name}/{entry.id}: tiny changes fields that the case does not give")
    return found


def parse(text: str, others: tuple[str, ...] = ()) -> Request | None:
    """Read "llm_pretrain", "llm_pretrain:tiny" or "scenarios:full"; None for one of `others`, which have no size.

    UsageError for a name that is neither, and for a size that there is not.
    """
    if text in others:
        return None
    name, colon, size = text.partition(":")
    known = load()
    if name != ALL and name not in known:
        if name in others:
            raise UsageError(f"--suite: {text}: {name} has no sizes; {', '.join(SIZES)} are those of the scenarios")
        raise unknown_name("--suite", text, (*others, ALL, *known))
    if colon and size not in SIZES:
        raise unknown_name(f"--suite: size of {name}", size, SIZES)
    chosen = tuple(known.values()) if name == ALL else (known[name],)
    return Request(chosen, next((each for each in SIZES if each == size), None))
