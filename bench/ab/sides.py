"""What may stand on one side of an `ab`, how it is written, and what it takes to run it.

Building a commit is `bench.ab.checkout`; running a side is `bench.ab.launches`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from bench.ab.checkout import check_out
from bench.errors import UnavailableError, UsageError, unknown_name
from bench.store.naming import expanded

Kind: TypeAlias = Literal["git", "python", "env", "implementation"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
FORMS: Final = "git:REF, python:PATH, env:NAME=VALUE[,NAME=VALUE] or implementation:NAME"
PROBE_TIMEOUT_S: Final = 120.0
"""For importing the command line, without torch: from a cold network disk it takes a while."""

_VARIABLE: Final = r"[A-Za-z_][A-Za-z0-9_]*="
_BETWEEN: Final = re.compile(rf",(?={_VARIABLE})")
"""The comma before another NAME=, so that a value may hold commas: CUDA_VISIBLE_DEVICES=0,1."""
_PROBE: Final = """
import json, bench
try:
    from bench.cli.main import parser_for
    flags = {flag for action in parser_for("run")._actions for flag in action.option_strings}
except Exception:
    flags = set()
print(json.dumps({"version": bench.__version__, "narrows": {"--rows", "--row-budget"} <= flags}))
"""


@dataclass(frozen=True)
class Side:
    """One side as the user wrote it: `value` is a ref, a path or a name; `variables` are an `env:` side's."""

    text: str
    kind: Kind
    value: str = ""
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Ready:
    """A side that can be launched: `PYTHON -m bench run …` with that environment in that folder."""

    label: Literal["A", "B"]
    side: Side
    python: str
    environment: Mapping[str, str]
    folder: Path
    version: str
    """Of its suanli-bench."""
    narrows: bool
    """Whether its `run` can be told which rows to measure; an older one measures all of them each time."""
    arguments: tuple[str, ...] = ()
    """What this side adds to the arguments of `run`."""
    commit: str | None = None

    @property
    def words(self) -> str:
        """ "git:main (1a2b3c4d5e6f)"."""
        return f"{self.side.text} ({self.commit[:12]})" if self.commit else self.side.text


def parse(text: str, argument: str) -> Side:
    """Read one side. UsageError names the argument, the text and what is allowed."""
    kind, colon, value = text.partition(":")
    if not colon:
        raise UsageError(f"{argument}: {text!r} is not a side; write {FORMS}")
    if kind == "env":
        return Side(text, "env", variables=_variables(value, argument))
    if kind not in KINDS:
        raise unknown_name(f"{argument}: kind of side", kind, KINDS)
    if not value.strip() or "\0" in value:
        raise UsageError(f"{argument}: nothing behind {kind}: in {text!r}; write {FORMS}")
    return Side(text, kind, value)


def _variables(text: str, argument: str) -> tuple[tuple[str, str], ...]:
    """The variables of an `env:` side; none, for the environment as it is, where nothing is given."""
    found: dict[str, str] = {}
    for part in _BETWEEN.split(text) if text else ():
        if not re.match(_VARIABLE, part) or "\0" in part:
            raise UsageError(f"{argument}: {part!r} is not NAME=VALUE; write env:NAME=VALUE[,NAME=VALUE]")
        name, _, value = part.partition("=")
        if name in found:
            raise UsageError(f"{argument}: {name} is given twice in env:{text}")
        found[name] = value
    return tuple(found.items())


@contextmanager
def ready(side: Side, label: Literal["A", "B"]) -> Iterator[Ready]:
    """The side, built and asked whether it has suanli-bench; what was laid out for it is gone afterwards.

    Raises UsageError for a commit that does not exist, UnavailableError for a build that fails, for an interpreter that
    can't be run and for one without suanli-bench.
    """
    if side.kind == "git":
        with check_out(side.value, label) as tree:
            # Its own packages before everybody else's, and never those in the folder that it is started from.
            paths = [str(tree.packages), *_absolute_python_path()]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
            one = _asked(side, label, sys.executable, environment, tree.folder, commit=tree.commit)
            yield one
        return
    if side.kind == "python":
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        yield _asked(side, label, _interpreter(side.value, label), environment, Path.cwd())
        return
    environment = {**os.environ, **dict(side.variables)}
    arguments = ("--implementation", side.value) if side.kind == "implementation" else ()
    yield _asked(side, label, sys.executable, environment, Path.cwd(), arguments=arguments)


def _absolute_python_path() -> list[str]:
    return [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]


def _interpreter(path: str, argument: str) -> str:
    """The interpreter meant: a file, a virtual environment's folder, or a name on PATH."""
    given = expanded(path)
    found = given / "bin" / "python" if given.is_dir() else given
    # Not resolved: a virtual environment is known by the path of its link.
    which = shutil.which(str(found) if os.sep in path or given.is_dir() else path)
    if which is None:
        raise UnavailableError(f"{argument}: python:{path}: {found} is not a program that can be run")
    return str(Path(which).absolute())


def _asked(
    side: Side,
    label: Literal["A", "B"],
    python: str,
    environment: Mapping[str, str],
    folder: Path,
    *,
    arguments: tuple[str, ...] = (),
    commit: str | None = None,
) -> Ready:
    """The side with what its own suanli-bench says of itself."""
    try:
        done = subprocess.run(
            [python, "-c", _PROBE],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise UnavailableError(f"{label}: {side.text}: cannot run {python}: {error.strerror or error}") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{label}: {side.text}: no answer from {python} in {PROBE_TIMEOUT_S:.0f} s") from None
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
        version, narrows = str(said["version"]), bool(said["narrows"])
    except (ValueError, LookupError, TypeError):
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UnavailableError(f"{label}: {side.text}: {python} has no suanli-bench that runs: {why}") from None
    return Ready(label, side, python, environment, folder, version, narrows, arguments, commit)
