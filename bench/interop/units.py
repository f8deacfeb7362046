"""Units of foreign files: which are times, which are rates, and how many seconds or things each is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["time", "operations", "bytes", "calls"]

SECONDS: Final[dict[str, float]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs", "usec", "usecs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nsecs", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
}
DECIMAL: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15}
BINARY: Final = {"ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "ti": 2.0**40}
PER_CALL: Final = re.compile(r"\s*(?:/|per )\s*(?:iter|iteration|op|operation|call|run)s?$", re.IGNORECASE)
"""What Go, Rust and others put behind a time: "ns/op", "ns/iter"."""
LONGEST: Final = 40
"""Characters of a unit: patterns are slow on what is long and none."""
RATE: Final = re.compile(
    r"(?P<prefix>[kmgtp]i?)?(?:"
    r"(?P<operations>flops|flop/s|flop/sec|ops(?!/)|op/s)"
    r"|(?P<bytes>b/s|b/sec|bytes?/s|bytes?/sec|bytes?/second|bps)"
    r"|(?P<calls>(?:iter|iters|iterations|ops|calls|req|requests|i|hz)(?:/s|/sec|/second)|hz))",
    re.IGNORECASE,
)
"""Rates, with an SI or binary prefix. "ops/s" counts calls, as benchmark.js and others mean it; "TOPS" operations."""


@dataclass(frozen=True)
class Unit:
    """What one of a unit is: seconds, or operations, bytes or calls per second."""

    kind: Kind
    factor: float


def parse(text: str) -> Unit | None:
    """The unit that a text names; None for one that is neither a time nor a rate."""
    if len(text) > LONGEST:
        return None
    word = PER_CALL.sub("", text.strip()).strip()
    # Case is kept apart only where it means something: "Ms" would be megaseconds, which nobody writes.
    seconds = SECONDS.get(word.lower())
    if seconds is not None:
        return Unit("time", seconds)
    found = RATE.fullmatch(word.replace(" ", ""))
    if found is None:
        return None
    prefix = (found["prefix"] or "").lower()
    factor = BINARY.get(prefix) or DECIMAL.get(prefix)
    if factor is None:
        return None
    kind: Kind = "operations" if found["operations"] else "bytes" if found["bytes"] else "calls"
    if kind == "bytes" and "bps" in word.lower():
        return None  # bits per second to some, bytes to others
    return Unit(kind, factor)
