"""Asking each call of a management library once, so that what a device refuses is known before the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from bench.telemetry.model import NotAvailableError, Sample
from bench.telemetry.reasons import decode

Read = Callable[[], Any]
"""Reads one field. It may return None for "not said", and raises what its library raises."""

_MAXIMA = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
"""A field of all ones is how drivers say that they do not know."""


@dataclass(frozen=True)
class Reader:
    """How one field is read. `slow` ones are asked seldom: they cost much or change little."""

    field: str
    read: Read
    slow: bool = False


class ProbedSource:
    """A source made of one call a field. A subclass probes them when it is made; what refuses is left out for good."""

    name: ClassVar[str]
    period_s: ClassVar[float]
    slow_every: ClassVar[int] = 1
    """Slow readers are asked at every so-manieth sample."""
    bit_names: ClassVar[Mapping[int, str]] = {}

    def __init__(self, version: str) -> None:
        self.version = version
        self.refused: dict[str, str] = {}
        self._readers: list[Reader] = []
        self._samples = 0

    @property
    def fields(self) -> frozenset[str]:
        """The fields that are read, and the names of the bits where those are."""
        found = frozenset(reader.field for reader in self._readers)
        return found | {"throttle_reasons"} if "throttle_bits" in found else found

    def probe(self, field: str, *candidates: tuple[str, Read], slow: bool = False) -> str:
        """Take the first candidate (call's name, how it is read) that answers; returns its name, "" where none does.

        A stranger's library may raise anything: every exception is a refusal, and its text the reason.
        """
        reasons = []
        for call, read in candidates:
            try:
                if read() is not None:
                    self._readers.append(Reader(field, read, slow))
                    return call
                reasons.append(f"{call}: says nothing")
            except Exception as error:
                reasons.append(f"{call}: {error or type(error).__name__}")
        self.refused[field] = "; ".join(reasons)
        return ""

    def require_some(self) -> None:
        """Raises NotAvailableError where every call was refused."""
        if not self._readers:
            raise NotAvailableError(f"every call is refused: {next(iter(self.refused.values()), 'none was known')}")

    def sample(self) -> Sample:
        """Every field that is due. A call that fails once leaves its field None; NotAvailableError when all fail."""
        with_slow = self._samples % self.slow_every == 0
        self._samples += 1
        due = [reader for reader in self._readers if with_slow or not reader.slow]
        values: dict[str, Any] = {}
        errors: list[str] = []
        time_s = time.monotonic()
        for reader in due:
            try:
                values[reader.field] = reader.read()
            except Exception as error:
                errors.append(f"{reader.field}: {error or type(error).__name__}")
        if due and len(errors) == len(due):
            raise NotAvailableError(f"no call answers any more ({errors[0]})")
        found = Sample(time_s, **values)
        if found.throttle_bits is None:
            return found
        return replace(found, throttle_reasons=decode(found.throttle_bits, self.bit_names))


def answers(calls: Iterable[tuple[str, Read]]) -> dict[str, Any]:
    """What each call returns, by key. A call that says nothing leaves its key out, one that raises its reason too."""
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for key, read in calls:
        try:
            value = read()
        except Exception as error:
            refused[key] = str(error) or type(error).__name__
            continue
        if value is not None:
            found[key] = value
    return {**found, "refused": refused} if refused else found


def quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call returns, None where it refuses: for calls whose absence has a stand-in."""
    try:
        return call(*arguments)
    except Exception:
        return None


def number(values: Mapping[str, Any], *keys: str) -> int | float | None:
    """The first of the keys that holds a number; libraries put "N/A" or all ones where they know nothing."""
    for key in keys:
        value = values.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value not in _MAXIMA:
            return value
    return None
