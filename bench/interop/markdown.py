"""GitHub-flavoured markdown out of foreign words: nothing in them is markup, mentions somebody or links anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

SPECIAL: Final = re.compile(r"[\\`*_{}\[\]<>|~&$@]|://|#(?=\d)|www\.", re.IGNORECASE)
"""Markup, mentions, addresses that would become links, and numbers of issues."""


def cell(text: str) -> str:
    """A text for a cell of a table, on one line."""
    one_line = " ".join(text.split())
    return SPECIAL.sub(_entity, one_line)


def row(cells: Iterable[str]) -> str:
    """A line of a table, of cells that are escaped already."""
    return f"| {' | '.join(cells)} |"


def table(header: Sequence[str], alignment: Sequence[str]) -> list[str]:
    """The two first lines of a table; an alignment is "left" or "right"."""
    return [row(header), row("---:" if one == "right" else "---" for one in alignment)]


def _entity(found: re.Match[str]) -> str:
    if found[0] == "@":
        return "@\u200b"  # a zero-width space: nobody is notified
    return "".join(f"&#{ord(character)};" for character in found[0])
