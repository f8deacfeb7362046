"""Runs `python -m bench import` in this process on mutated files of one format; anything but 0 or one line and 3 fails.

`python -P mutating.py FORMAT COUNT SEED FOLDER`, started by test_mutations in a process of its own: that has limited
memory, watches every file that is opened for writing, and interrupts what hangs.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

MEMORY_BYTES: Final = 1_500_000_000
"""Address space that the process may have; the largest file that is accepted fits well."""
HANG_S: Final = 20
"""Longest that one small file may take, on however slow a machine."""
NASTY: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1e308, -1e308, 5e-324, 10**400, -(10**18), 2**63, 1.5, "", " ", "0", "nan", "1e999"),
    *([], {}, [[]], {"": None}, [None] * 3, "\x00", "\ud800", "../../x", "/etc/passwd", "x" * 1500, "=1+1", "\u202e"),
    *(
        {"$ref": "#"},
        {"value": {}},
        "2021-13-45",
        "9999-12-31T23:59:59+00:00",
        253402300800000,
        "window.BENCHMARK_DATA =",
    ),
)
WORDS: Final = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"null",
    b"1e999",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\\",
)
WRITING: Final = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")
FORBIDDEN: Final = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "os.fork")


class Hang(BaseException):
    """An import took too long; no handler of Exception swallows it."""


def mutated(data: bytes, random_: random.Random) -> bytes:
    """A file with a few things wrong: in its structure, where it has one, or in its bytes."""
    for _ in range(random_.randint(1, 3)):
        data = random_.choice((_structure, _structure, _bytes, _amplified))(data, random_)
    return data


def _structure(data: bytes, random_: random.Random) -> bytes:
    """One value of a JSON document, or of one of its lines, replaced, removed, renamed or repeated."""
    prefix = b"window.BENCHMARK_DATA = " if data.startswith(b"window") else b""
    lines = data[len(prefix) :].splitlines(keepends=True)
    places = range(len(lines)) if len(lines) > 1 and lines[0].startswith(b'{"type"') else [None]
    place = random_.choice(list(places))
    try:
        document = json.loads(data[len(prefix) :] if place is None else lines[place])
    except (ValueError, RecursionError):
        return _bytes(data, random_)
    holders = _holders(document)
    if not holders:
        return _bytes(data, random_)
    holder, key = random_.choice(holders)
    action = random_.randrange(4)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, list):
        holder += [holder[key]] * random_.choice((1, 50))
    elif action == 1:
        holder[str(random_.choice(NASTY))] = holder.pop(key)
    else:
        holder[key] = random_.choice(NASTY)
    new = json.dumps(document).encode("utf-8", "surrogatepass")
    if place is None:
        return prefix + new
    return b"".join([*lines[:place], new + b"\n", *lines[place + 1 :]])


def _holders(document: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value in a document."""
    found: list[tuple[Any, Any]] = []
    pending = [document]
    while pending:
        one = pending.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else []
        found += [(one, key) for key in keys]
        pending += [one[key] for key in keys]
    return found


def _bytes(data: bytes, random_: random.Random) -> bytes:
    """A piece of the file removed, repeated, moved, overwritten or flipped, or something inserted."""
    start = random_.randrange(len(data) + 1)
    end = min(len(data), start + random_.choice((1, 1, 4, 40, 4000)))
    piece = data[start:end]
    action = random_.randrange(6)
    if action == 0:
        return data[:start] + data[end:]
    if action == 1:
        return data[:end] + piece + data[end:]
    if action == 2:
        return data[:start] + random_.choice(WORDS) + data[start:]
    if action == 3:
        return data[:start] + random_.randbytes(len(piece)) + data[end:]
    if action == 4:
        return data[:start]
    return data[:start] + bytes(byte ^ (1 << random_.randrange(8)) for byte in piece[:1]) + data[start + 1 :]


def _amplified(data: bytes, random_: random.Random) -> bytes:
    """Now and then a piece repeated until it hurts: many values, deep nesting, a long number or name."""
    if random_.random() > 0.05:
        return _bytes(data, random_)
    start = random_.randrange(len(data) + 1)
    piece = random_.choice((data[start : start + 30], b"[", b'{"a":', b"9", b"x", b"{},", b",", b"\n", b'"\\u0000'))
    return data[:start] + piece * (random_.choice((1_000, 20_000, 1_000_000)) // max(len(piece), 1)) + data[start:]


def guard(folder: Path) -> None:
    """From now on this process can't write outside of the folder, start another or reach a network."""
    inside = str(folder.resolve())

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in FORBIDDEN:
            raise RuntimeError(f"the import did {event}")
        writing = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writing or event in WRITING) and isinstance(arguments[0], str | bytes | os.PathLike):
            # shutil.rmtree names files by the open folder that they are in, which is the last argument.
            opened = arguments[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
            base = os.readlink(f"/proc/self/fd/{opened}") if opened >= 0 else ""  # noqa: PTH115  # no Path in a hook
            path = os.path.abspath(os.path.join(base, os.fsdecode(arguments[0])))  # noqa: PTH100, PTH118  # as above
            if not path.startswith(inside) and path != os.devnull:
                raise RuntimeError(f"the import wrote outside: {event} {path}")

    sys.addaudithook(watch)


def once(form: str, data: bytes, folder: Path) -> str:
    """Import one file by the real command; returns what is wrong, or ""."""
    from bench.cli.main import main

    path = folder / "input"
    path.write_bytes(data)
    out, err = io.StringIO(), io.StringIO()
    signal.alarm(HANG_S)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["import", str(path), "--from", form, "--results", str(folder / "store")])
    except Exception as error:  # whatever it is, it would have been a traceback
        return f"{type(error).__name__}: {error}"
    except Hang:
        return f"took more than {HANG_S} s"
    finally:
        signal.alarm(0)
    lines = err.getvalue().splitlines()
    if code == 3 and len(lines) == 1 and lines[0].startswith(f"bench: {path}: ") and lines[0].isprintable():
        return ""
    return "" if code == 0 and not lines else f"exit code {code}, {lines!r}"


def peak_kib() -> int:
    """This program's most resident memory. getrusage would tell that of the process that started it, were it larger."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0])


def run(form: str, count: int, seed: int, folder: Path) -> int:
    """So many mutated files of a format; the exit code is 1 where one was not taken well, and the file stays."""
    from bench import records
    from tests.interop.seeds import seeds

    def interrupt(number: int, frame: object) -> None:
        raise Hang

    valid = seeds()[form]
    (folder / "store").mkdir()
    (folder / "tmp").mkdir()
    os.environ["TMPDIR"] = str(folder / "tmp")
    signal.signal(signal.SIGALRM, interrupt)
    once(form, valid[0], folder)  # imports what is imported late, before the guard
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    guard(folder)
    random_ = random.Random(seed)
    for number in range(count):
        data = mutated(random_.choice(valid), random_)
        wrong = once(form, data, folder)
        if wrong:
            print(f"{form}, seed {seed}, number {number}: {wrong}; the file is {folder / 'input'}")
            return 1
    stored = sorted((folder / "store").iterdir())
    for path in stored:
        records.read(path)  # what was taken is a run file
    print(f"{count} files, {len(stored)} runs stored, {peak_kib()} KiB")
    return 0


if __name__ == "__main__":
    # Behind the installed package, which is what is tested; -P keeps this script's folder out.
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    sys.exit(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
