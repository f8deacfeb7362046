"""`loops.c` compiled at run time, one small library a unit, and kept in the user's cache; no torch.

A library is code that this process will run, so it is taken from a folder and a file that only this user can have
written. Anything else is left alone, and the loop is compiled into a folder that lives for the moment.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

COMPILERS: Final = ("cc", "gcc", "clang")
NO_COMPILER: Final = f"no C compiler ({', '.join(COMPILERS)}) found"
SOURCES: Final = ("loops.c", "x86.h", "arm.h")
OPTIONS: Final = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-pthread")
COMPILE_TIMEOUT_S: Final = 60.0


def compiler() -> str | None:
    """The path of the first C compiler that is found; None where there is none."""
    return next((path for name in COMPILERS if (path := shutil.which(name))), None)


def command(path: str, loops: str, options: tuple[str, ...], output: Path) -> list[str]:
    """How one unit's library is built."""
    source = Path(__file__).with_name(SOURCES[0])
    return [path, *OPTIONS, *options, f"-DUNIT_{loops}", str(source), "-o", str(output)]


@cache
def library(loops: str, options: tuple[str, ...]) -> ctypes.CDLL:
    """The library of one unit, from the cache or compiled now.

    Raises NotImplementedError with the reason where there is no compiler, where it does not know the unit's
    instructions, or where the result can't be loaded.
    """
    path = compiler()
    if path is None:
        raise NotImplementedError(NO_COMPILER)
    name = f"{loops.lower()}-{_key(path, loops, options)}.so"
    folder = cache_folder()
    if _only_ours(folder):
        kept = folder / name
        if _is_private_file(kept):
            try:
                return ctypes.CDLL(str(kept))
            except OSError:
                pass  # of another system that shares this home: replaced below
        _compile(command(path, loops, options, kept), kept, loops)
        return _loaded(kept)
    with tempfile.TemporaryDirectory(prefix="suanli-bench-") as private:
        made = Path(private) / name
        _compile(command(path, loops, options, made), made, loops)
        return _loaded(made)  # stays mapped when the file is gone


def cache_folder() -> Path:
    """$XDG_CACHE_HOME where that is an absolute path (as its specification asks), else ~/.cache; below it, ours."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "suanli-bench" / "peak"


def _key(path: str, loops: str, options: tuple[str, ...]) -> str:
    """All that the library depends on: source, compiler, options, machine."""
    digest = hashlib.sha256()
    for source in SOURCES:
        digest.update(Path(__file__).with_name(source).read_bytes())
    digest.update(repr((path, _version(path), loops, OPTIONS, options, platform.machine(), platform.system())).encode())
    return digest.hexdigest()[:32]


@cache
def _version(path: str) -> str:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False)
    return done.stdout


def _only_ours(folder: Path) -> bool:
    """Whether the folder is there, or can be made, and nobody but this user (and root) can put anything in its place.

    Each folder above it has to be this user's or root's, and writable by nobody else unless it is sticky, as /tmp is.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = folder.lstat()
        if not stat.S_ISDIR(own.st_mode) or own.st_uid != os.geteuid() or own.st_mode & 0o022:
            return False
        above = {*folder.parents, *folder.resolve(strict=True).parents}
        return os.access(folder, os.W_OK) and all(_is_guarded(each.stat()) for each in above)
    except (OSError, RuntimeError):  # RuntimeError: a home that is not known, a loop of links
        return False


def _is_guarded(folder: os.stat_result) -> bool:
    writable_by_others = folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX
    return folder.st_uid in (0, os.geteuid()) and not writable_by_others


def _is_private_file(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _compile(words: list[str], output: Path, loops: str) -> None:
    """Build into a file beside `output` and move it there: whoever looks meanwhile sees the old one or the new one."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".so", dir=output.parent)
    os.close(descriptor)
    building = Path(name)
    try:
        words = [str(building) if word == str(output) else word for word in words]
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, env=environment, check=False
        )
        if done.returncode:
            raise NotImplementedError(
                f"{Path(words[0]).name} can't build the {loops} loop: {_first_error(done.stderr)}"
            )
        building.chmod(0o700)
        building.replace(output)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotImplementedError(f"the {loops} loop can't be built: {error}") from error
    finally:
        building.unlink(missing_ok=True)


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line.lower()] or text.strip().splitlines()
    return lines[0].rpartition("rror: ")[2] if lines else "it does not say why"


def _loaded(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NotImplementedError(f"the compiled loop can't be loaded: {error}") from error
