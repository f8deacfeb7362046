"""Computing power as the field writes it, read and printed exactly: 100 P, 3 E, 1.2 EFLOPS, 百亿亿次.

A figure is an exact fraction of operations per second; nothing here is a float, so that sums and products of what was
published stay what was published.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

LETTERS: Final = {"M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18, "Z": 10**21}
CHINESE: Final = {"十": 10, "百": 10**2, "千": 10**3, "万": 10**4, "亿": 10**8}
"""Read as factors of each other: 百亿亿 = 10² · 10⁸ · 10⁸ = 10¹⁸, one E."""
_NUMBER: Final = r"(?P<number>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?)"
_LATIN: Final = re.compile(_NUMBER + r"\s*(?P<letter>[MGTPEZ])(?:FLOPS|FLOP/s|OPS|OP/s)?")
_CHINESE: Final = re.compile(r"(?:每秒)?\s*" + _NUMBER + r"?\s*(?P<words>[十百千万亿]+)次(?:/秒|每秒)?")
_PERCENT: Final = re.compile(_NUMBER + r"\s*%")
MOST: Final = 10**30
"""Operations per second: a million million E. What is above it is a slip of the hand, and no float of a document."""
EXAMPLES: Final = "100 P, 3 E, 1.2 EFLOPS, 989.4 TFLOPS, 百亿亿次"


def parse(text: str) -> Fraction:
    """Operations per second. Raises ValueError that says what is allowed."""
    product = _parsed(text)
    if product > MOST:
        raise ValueError(f"{text[:40]!r} is more computing power than there is; write it as {EXAMPLES}")
    return product


def _parsed(text: str) -> Fraction:
    found = _LATIN.fullmatch(text.strip())
    if found:
        return _number(found["number"]) * LETTERS[found["letter"]]
    found = _CHINESE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no computing power; write it as {EXAMPLES}")
    product = Fraction(1) if found["number"] is None else _number(found["number"])
    for word in found["words"]:
        product *= CHINESE[word]
    return product


def parse_share(text: str) -> Fraction:
    """ "52.3 %" → 523/1000. Raises ValueError for anything else."""
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no percentage; write it as 52.3 %")
    return _number(found["number"]) / 100


def decimal(value: Fraction, digits: int = 4) -> str:
    """The value in full where it has at most 12 decimals, else to `digits` significant ones behind a "≈"."""
    scaled = value * 10**12
    if scaled.denominator == 1:
        sign, whole = "-" if value < 0 else "", abs(int(scaled))
        text = f"{sign}{whole // 10**12}.{whole % 10**12:012d}"
        return text.rstrip("0").rstrip(".")
    return f"≈{float(value):.{digits}g}" if 1e-4 <= abs(value) < 10**digits else f"≈{float(value):,.0f}"


def text(value: Fraction) -> str:
    """ "100 P", "989.4 T": with the largest letter that leaves at least 1."""
    letter = next((name for name, size in reversed(LETTERS.items()) if abs(value) >= size), "M")
    return f"{decimal(value / LETTERS[letter])} {letter}"


def _number(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))
