"""A report's page read back: the text of a section, and every figure with the record's own value beside it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = ("br", "meta", "input", "link")
FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "m": 1e-3, "µ": 1e-6, "n": 1e-9}
FIGURE = re.compile(r"([\d.]+)(?: ± [\d.]+)? ([PTGMkmµn]?)(FLOPS|OPS|B/s|FLOP/J|OP/J|s)")


class Section(HTMLParser):
    """The text of one section, and its elements with a value: (what the record has, what is shown)."""

    def __init__(self, page: str, section: str) -> None:
        super().__init__()
        self.text = ""
        self.values: list[tuple[str, str]] = []
        self.addresses: list[str] = []
        self.alternatives: list[str] = []
        """Names of the pictures."""
        self._section = section
        self._depth = 0
        self._open: list[tuple[str, str | None, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id") == self._section and tag == "section":
            self._depth = 1
        if not self._depth or tag in VOID:
            return
        if tag == "a":
            self.addresses.append(given.get("href") or "")
        if tag == "svg" and given.get("aria-label"):
            self.alternatives.append(given["aria-label"] or "")
        self._open.append((tag, given.get("data-value"), ""))

    def handle_endtag(self, tag: str) -> None:
        if not self._depth or tag in VOID:
            return
        while self._open:
            opened, value, text = self._open.pop()
            if value is not None:
                self.values.append((value, text))
            if self._open:
                before = self._open[-1]
                self._open[-1] = (before[0], before[1], before[2] + text)
            if opened == tag:
                break
        if not self._open:
            self._depth = 0

    def handle_data(self, data: str) -> None:
        if self._depth and self._open:
            self.text += data
            tag, value, text = self._open[-1]
            self._open[-1] = (tag, value, text + data)


def agrees(value: str, shown: str) -> bool:
    """Whether what is shown is the value to the digits shown; an unknown value has to be shown as n/a or a dash."""
    if value == "":
        return shown.startswith(("n/a", "–"))
    share = re.match(r"([\d.]+) %", shown)
    if share:
        return f"{100 * float(value):.{_decimals(share[1])}f}" == share[1]
    found = FIGURE.search(shown)
    if found is None:
        return False
    return f"{float(value) / FACTORS[found[2]]:.{_decimals(found[1])}f}" == found[1]


def _decimals(digits: str) -> int:
    return len(digits.partition(".")[2])
