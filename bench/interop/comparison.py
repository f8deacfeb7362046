"""The document that `compare --format json` prints, read back for a CI's formats."""

from __future__ import annotations

from typing import Final

import msgspec

from bench.errors import UnavailableError

REGRESSION: Final = "regression"
IMPROVEMENT: Final = "improvement"
SAME: Final = "same"
ORDER: Final = (REGRESSION, "missing", "quarantined", "not_comparable", "ambiguous", IMPROVEMENT, SAME)
"""Verdicts as a reader of a report wants them: what broke, what could not be said, what is fine."""


class Verdict(msgspec.Struct, kw_only=True):
    """One series: what is said of it and on which evidence. The ratio is time new over time base."""

    series: str
    verdict: str
    reason: str = ""
    text: str = ""
    """The reason in a sentence, where the document has one."""
    ratio: float | None = None
    ci95_low: float | None = None
    ci95_high: float | None = None

    @property
    def words(self) -> str:
        """Why, in a sentence or at least by its code."""
        return self.text or self.reason.replace("_", " ")

    @property
    def change(self) -> float | None:
        """The change of the time as a fraction: 0.1 is 10 % slower."""
        return None if self.ratio is None else self.ratio - 1


class Comparison(msgspec.Struct, kw_only=True):
    """A whole comparison."""

    verdict: str
    series: list[Verdict]

    def sorted(self) -> list[Verdict]:
        """Regressions first, the largest change first within a verdict."""
        place = {verdict: number for number, verdict in enumerate(ORDER)}
        return sorted(
            self.series, key=lambda one: (place.get(one.verdict, len(ORDER)), -abs(one.change or 0.0), one.series)
        )


def is_comparison(data: bytes) -> bool:
    """Whether those bytes begin a comparison's document and not a run file: one JSON object with verdict and series."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # a run file has several lines
    return isinstance(document, dict) and "series" in document and "verdict" in document


def read(data: bytes) -> Comparison:
    """The comparison in those bytes. Raises UnavailableError that says what is wrong with it."""
    try:
        return msgspec.json.decode(data, type=Comparison)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnavailableError(f"is no comparison as `compare --format json` prints it: {error}") from error


def change_words(one: Verdict) -> str:
    """ "+12.3 % (10.1 … 14.6)": the change of the time, with its interval where it is known."""
    if one.change is None:
        return "n/a"
    words = f"{100 * one.change:+.1f} %"
    if one.ci95_low is not None and one.ci95_high is not None:
        words += f" ({100 * (one.ci95_low - 1):+.1f} … {100 * (one.ci95_high - 1):+.1f})"
    return words
