"""How a foreign file is read: it comes from anybody, so its size, depth, number of values and names are limited.

A `Node` is a value with the place where it stands, so that whatever is wrong with it can be named.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from bench.errors import UnavailableError

MAX_BYTES: Final = 64 * 2**20
"""Largest file that is read."""
MAX_VALUES: Final = 2_000_000
"""Most values in a file: a thousand samples of each of two thousand benchmarks. An object takes up to 300 bytes."""
MAX_DEPTH: Final = 32
"""Deepest nesting; the formats that are read need eight."""
MAX_NAME: Final = 1_000
"""Characters of a name."""
MAX_RUNS: Final = 10_000
"""Most runs that one file may hold (a history)."""
MAX_ROWS: Final = 200_000
"""Most measurements that one file may hold, over all of its runs."""
SHOWN: Final = 60
"""Characters of a foreign value that an error message shows."""

UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
"""Control characters, what changes the direction of text, lone surrogates: no name needs them, terminals obey them."""
BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""In an order in which none is the beginning of a later one. A shell on Windows writes UTF-16."""


class MalformedError(UnavailableError):
    """A foreign file that is not what it should be; the message begins with the field."""


@dataclass(frozen=True)
class Node:
    """A value of a foreign document and the place where it stands ("benchmarks[3].stats.median")."""

    value: Any
    place: str = ""

    @property
    def missing(self) -> bool:
        """Absent, or null."""
        return self.value is None

    def wrong(self, expected: str) -> MalformedError:
        """The error for a value that is not what is expected here."""
        return MalformedError(f"{self.place or 'the document'}: {expected} is expected, not {shown(self.value)}")

    def get(self, key: str) -> Node:
        """The field of an object; missing where it is absent. Raises MalformedError where this is no object."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return Node(self.value.get(key), f"{self.place}.{key}" if self.place else key)

    def entries(self) -> Iterator[tuple[str, Node]]:
        """The fields of an object, with their names cleaned; none where it is missing."""
        if self.missing:
            return
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        for key, value in self.value.items():
            name = cleaned(key, self.place)
            yield name, Node(value, f"{self.place}.{short(name)}" if self.place else short(name))

    def items(self) -> list[Node]:
        """The elements of an array; none where it is missing."""
        if self.missing:
            return []
        if not isinstance(self.value, list):
            raise self.wrong("an array")
        return [Node(value, f"{self.place}[{number}]") for number, value in enumerate(self.value)]

    def required(self, what: str) -> Node:
        """This, or MalformedError where it is missing."""
        if self.missing:
            raise MalformedError(f"{self.place}: is missing; {what} is expected")
        return self

    def text(self) -> str | None:
        """A name or other short text, cleaned; None where it is missing."""
        if self.missing:
            return None
        if not isinstance(self.value, str):
            raise self.wrong("text")
        return cleaned(self.value, self.place)

    def name(self) -> str:
        """A text that has to be there and hold something."""
        text = self.required("a name").text()
        if not text or not text.strip():
            raise self.wrong("a name")
        return text

    def number(self) -> float | None:
        """A finite number; None where it is missing, NaN or infinite. Digits in quotes are a number too."""
        value = self.value
        if value is None:
            return None
        if isinstance(value, str):
            return as_number(value, self)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong("a number")
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if isfinite(number) else None

    def count(self) -> int | None:
        """A number of things, not negative; None where it is missing."""
        number = self.number()
        if number is None:
            return None
        if number < 0 or number != int(number) or number > 2**53:
            raise self.wrong("a whole number, zero or more,")
        return int(number)

    def numbers(self) -> list[float]:
        """The finite numbers of an array."""
        return [number for item in self.items() if (number := item.number()) is not None]


def document(data: bytes) -> Node:
    """The JSON document in those bytes. Raises MalformedError where it is none, or passes a limit."""
    return parsed(text_of(data))


def parsed(text: str) -> Node:
    """The JSON document in that text. NaN and Infinity, which some tools write, are read as null."""
    limit_values(text, ",[{")
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # JSONDecodeError, and integers with thousands of digits
        raise MalformedError(f"the document: is not JSON: {cleaned(str(error)[:200])}") from None
    _check_depth(value)
    return Node(value)


def text_of(data: bytes) -> str:
    """The text in those bytes: UTF-8, or what the byte order mark says. Raises MalformedError for anything else."""
    if len(data) > MAX_BYTES:
        raise MalformedError(f"the file: is larger than {MAX_BYTES // 2**20} MiB, which is the limit")
    mark, encoding = next((pair for pair in BYTE_ORDER_MARKS if data.startswith(pair[0])), (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise MalformedError(f"the file: is not {encoding} text (byte {error.start})") from None


def cleaned(text: str, place: str = "") -> str:
    """A foreign name with everything replaced that is no printable character. Raises MalformedError if too long."""
    if len(text) > MAX_NAME:
        raise MalformedError(f"{short(place) or 'a name'}: is longer than {MAX_NAME:,} characters: {shown(text)}")
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def shown(value: object) -> str:
    """A foreign value in few printable characters, for an error message."""
    if isinstance(value, dict | list):
        return f"an {'object' if isinstance(value, dict) else 'array'} of {len(value)}"
    if value is None:
        return "nothing"
    # A slice first: the representation of a long integer or text costs time and memory.
    text = value[: SHOWN + 1] if isinstance(value, str) else value
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        return "a very large integer"
    return short(ascii(text))


def short(text: str) -> str:
    """At most `SHOWN` characters of a text, an ellipsis where some are left out."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def as_number(text: str, node: Node) -> float | None:
    """The finite number that a text spells; None for an empty one, NaN and infinity."""
    stripped = text.strip()
    if not stripped:
        return None
    try:
        number = float(stripped[:MAX_NAME])
    except ValueError:
        raise node.wrong("a number") from None
    return number if isfinite(number) else None


def moment(node: Node) -> datetime | None:
    """A time as ISO 8601, or as seconds or milliseconds since 1970, in UTC; None where it is missing."""
    value = node.value
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str) and not re.fullmatch(r"\s*[\d.]+\s*", value):
            found = datetime.fromisoformat(value.strip()[:64])
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        seconds = node.number()
        if seconds is None:
            return None
        # 1e11 s is the year 5138 and 1e11 ms is 1973: JavaScript's times are above, Unix times below.
        return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise node.wrong("a time") from None


def limit_values(text: str, signs: str) -> None:
    """Raises MalformedError for a text with more values than may be read, before there is an object for any.

    Each value has one of the signs before it. Text holds some too, so this is an upper bound, and costs no memory.
    """
    if sum(map(text.count, signs)) > MAX_VALUES:
        raise MalformedError(f"the file: has more than {MAX_VALUES:,} values, which is the limit")


def limit_runs(number: int) -> None:
    """Raises MalformedError for more runs than one file may hold."""
    if number > MAX_RUNS:
        raise MalformedError(f"the file: holds {number:,} runs; the limit is {MAX_RUNS:,}")


def limit_rows(number: int) -> None:
    """Raises MalformedError for more measurements than one file may hold."""
    if number > MAX_ROWS:
        raise MalformedError(f"the file: holds more than {MAX_ROWS:,} measurements, which is the limit")


def _check_depth(value: Any) -> None:
    """Raises MalformedError where a document is nested deeper than any format is."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [one for one in level if isinstance(one, dict | list)]
        if not containers:
            return
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
    raise _too_deep()


def _too_deep() -> MalformedError:
    return MalformedError(f"the document: is nested deeper than {MAX_DEPTH} levels, which is the limit")
