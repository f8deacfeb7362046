"""A commit made runnable: its own worktree, and its own packages in front of the present environment's torch.

The package is built from the worktree without isolation, index or dependencies and unpacked into a folder that goes in
front of the path; whatever else is installed here stays visible behind it. Built packages are kept by commit.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from bench.errors import UnavailableError, UsageError

GIT_TIMEOUT_S: Final = 120.0
BUILD_TIMEOUT_S: Final = 1800.0
"""A project with compiled kernels builds for a while."""
UNUSED_S: Final = 30 * 86_400.0
"""Built commits that nobody has measured for so long are thrown away (ours)."""
PROJECT_FILES: Final = ("pyproject.toml", "setup.py")


@dataclass(frozen=True)
class Tree:
    """A commit that can be run."""

    commit: str
    folder: Path
    """The project in its worktree: where the side is launched, so that its run files name its commit."""
    packages: Path
    """What the build installed."""


@contextmanager
def check_out(ref: str, argument: str) -> Iterator[Tree]:
    """The commit that `ref` names in the repository of the working directory, built. Its worktree goes afterwards.

    Raises UsageError where there is no such commit, UnavailableError where there is no repository or no project, or the
    build fails.
    """
    what = f"{argument}: git:{ref}"
    top = Path(_git(what, Path.cwd(), "rev-parse", "--show-toplevel"))
    try:
        commit = _git(what, top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except UnavailableError:
        raise UsageError(
            f"{what}: no such commit in {top}; name a branch, a tag or a commit that `git log` shows"
        ) from None
    inside = _project(what, top).relative_to(top)
    with _worktree(what, top, commit) as tree:
        project = tree / inside
        if not any((project / name).is_file() for name in PROJECT_FILES):
            raise UnavailableError(f"{what}: {commit[:12]} has no {' or '.join(PROJECT_FILES)} in {inside.as_posix()}/")
        yield Tree(commit, project, _built(what, commit, inside, project))


def cache_folder() -> Path:
    """Where built commits are kept: XDG_CACHE_HOME, else ~/.cache."""
    above = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(above) / "suanli-bench" / "ab"


def forget_unused(folder: Path, now_s: float) -> None:
    """Throw away what has not been used for a month."""
    for one in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            if now_s - one.stat().st_mtime > UNUSED_S:
                shutil.rmtree(one) if one.is_dir() else one.unlink()


def _project(what: str, top: Path) -> Path:
    """The project that the user stands in: the nearest folder with a project file, up to the repository's top."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents):
        if any((folder / name).is_file() for name in PROJECT_FILES):
            return folder
        if folder == top:
            break
    raise UnavailableError(f"{what}: no {' or '.join(PROJECT_FILES)} in {here} or above it, up to {top}")


@contextmanager
def _worktree(what: str, top: Path, commit: str) -> Iterator[Path]:
    above = Path(tempfile.mkdtemp(prefix="bench-ab-"))
    tree = above / "source"
    try:
        _git(what, top, "worktree", "add", "--quiet", "--force", "--detach", str(tree), commit)
        yield tree.resolve()
    finally:
        with suppress(UnavailableError):
            _git(what, top, "worktree", "remove", "--force", "--force", str(tree))
        shutil.rmtree(above, ignore_errors=True)
        with suppress(UnavailableError):
            _git(what, top, "worktree", "prune")


def _built(what: str, commit: str, inside: Path, project: Path) -> Path:
    """The folder with the commit's packages: from the cache, else built into it."""
    cache = cache_folder()
    kept = cache / f"{commit[:16]}-{_surroundings(inside)}"
    forget_unused(cache, time.time())
    if kept.is_dir():
        kept.touch()
        return kept
    try:
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
    except OSError as error:
        raise UnavailableError(f"{what}: cannot write {cache}: {error.strerror or error}") from None
    log = cache / f"{kept.name}.log"
    try:
        _pip(what, log, "wheel", "--no-build-isolation", "--wheel-dir", str(fresh / "wheel"), str(project))
        wheels = [str(wheel) for wheel in (fresh / "wheel").glob("*.whl")]
        _pip(what, log, "install", "--target", str(fresh / "packages"), *wheels)
        # Whoever else built the same commit meanwhile has built the same: the first one stays.
        with suppress(OSError):
            (fresh / "packages").rename(kept)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    log.unlink(missing_ok=True)
    return kept


def _surroundings(inside: Path) -> str:
    """What a build depends on beside the commit: the interpreter, its torch, and which project of the repository."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    words = "\n".join((sys.executable, sys.version, torch, inside.as_posix()))
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def _pip(what: str, log: Path, command: str, *arguments: str) -> None:
    """One pip command, without an index: what is not here is not fetched. Its output is kept where it fails."""
    words = [sys.executable, "-m", "pip", command, "--no-deps", "--no-index", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
        said, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired:
        said, code = f"error: not built in {BUILD_TIMEOUT_S:.0f} s", 1
    if code == 0:
        return
    log.write_text(said, encoding="utf-8")
    raise UnavailableError(f"{what} does not build: {_cause(said)} (all that pip said: {log})")


def _cause(said: str) -> str:
    """The line that tells most: the last of an exception or an error that is not pip's own frame around it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    frame = ("× ", "╰", "note:", "hint:", "[end of output]", "error: subprocess-exited", "error: metadata-generation",
             "ERROR: Failed to build", "error: failed-wheel-build")  # fmt: skip
    telling = [line for line in lines if "rror" in line and not line.startswith(frame)]
    return (telling or lines or ["pip said nothing"])[-1][:300]


def _git(what: str, folder: Path, *arguments: str) -> str:
    """git's answer. Without hooks, and without the variables that bind git to another repository than the folder's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-c", f"core.hooksPath={os.devnull}", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise UnavailableError(f"{what}: git is not installed") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{what}: git {arguments[0]} took longer than {GIT_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"git {arguments[0]} ended with code {done.returncode}"])[-1]
        raise UnavailableError(f"{what}: {said}")
    return done.stdout.strip()
