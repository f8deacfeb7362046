"""The two ways in which a user's request can end without a result, each with its exit code.

Everything a user can cause is raised as one of these and printed as one line; a traceback means a bug in bench.
"""

from __future__ import annotations

from collections.abc import Iterable


class BenchError(Exception):
    """A failure with a message for the user and an exit code (design: `0 done, 2 usage, 3 could not measure`)."""

    exit_code = 3


class UsageError(BenchError):
    """An unknown name, bad syntax or an impossible value: exit 2."""

    exit_code = 2


class UnavailableError(BenchError):
    """Well-formed but not to be had: an absent device, an unreadable file, an unwritable folder: exit 3."""

    exit_code = 3


def unknown_name(argument: str, value: str, choices: Iterable[str]) -> UsageError:
    """A UsageError that names the argument, the value and what is allowed, with the nearest name as a suggestion."""
    import difflib

    allowed = sorted(choices)
    nearest = difflib.get_close_matches(value.lower(), allowed, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return UsageError(f"{argument}: unknown value {value!r}; choose from {', '.join(allowed) or '(none)'}.{hint}")
