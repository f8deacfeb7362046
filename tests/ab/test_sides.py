"""The sides of an `ab`: how they are written, what is refused, and what is asked of an interpreter and of a commit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ab.checkout import cache_folder, forget_unused
from bench.ab.sides import parse, ready
from bench.errors import UnavailableError, UsageError

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.dictionaries(NAMES, VALUES.filter(lambda text: "," not in text), min_size=1, max_size=4))
def test_variables_are_read_as_they_are_written(variables: dict[str, str]) -> None:
    side = parse("env:" + ",".join(f"{name}={value}" for name, value in variables.items()), "A")
    assert (side.kind, dict(side.variables)) == ("env", variables)


@given(st.text(max_size=30))
def test_any_text_is_a_side_or_a_usage_error_that_names_it(text: str) -> None:
    try:
        side = parse(text, "B")
    except UsageError as error:
        assert str(error).startswith("B: ")
    else:
        assert side.text == text and side.kind in ("git", "python", "env", "implementation")


def test_a_value_may_hold_commas_and_equal_signs() -> None:
    side = parse("env:CUDA_VISIBLE_DEVICES=0,1,KMP_AFFINITY=granularity=fine,compact,EMPTY=", "A")
    assert side.variables == (
        ("CUDA_VISIBLE_DEVICES", "0,1"),
        ("KMP_AFFINITY", "granularity=fine,compact"),
        ("EMPTY", ""),
    )


def test_an_empty_environment_is_this_one_as_it_is() -> None:
    assert parse("env:", "A").variables == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("main", ["'main'", "git:REF", "python:PATH", "env:", "implementation:NAME"]),
        ("gti:main", ["'gti'", "Did you mean 'git'?"]),
        ("git:", ["nothing behind git:"]),
        ("python: ", ["nothing behind python:"]),
        ("env:SLOW", ["'SLOW'", "NAME=VALUE"]),
        ("env:1X=2", ["'1X=2'", "NAME=VALUE"]),
        ("env:X=1,X=2", ["X is given twice"]),
    ],
)
def test_what_is_no_side_is_refused_with_what_is_allowed(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        parse(text, "A")
    assert all(word in str(error.value) for word in ["A: ", *words]), error.value


def test_an_environment_side_is_this_interpreter_with_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "yes")
    with ready(parse("env:SLOW=0.3", "B"), "B") as side:
        assert side.python == sys.executable
        assert (side.environment["SLOW"], side.environment["KEPT"]) == ("0.3", "yes")
        assert side.narrows and side.arguments == ()


def test_an_implementation_side_adds_its_name_to_the_arguments() -> None:
    with ready(parse("implementation:torch", "A"), "A") as side:
        assert side.arguments == ("--implementation", "torch")


def test_an_interpreter_may_be_named_by_its_environments_folder(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "python"
    link.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    link.chmod(0o755)
    with ready(parse(f"python:{tmp_path}", "A"), "A") as side:
        assert side.python == str(link)


def test_an_interpreter_that_is_not_there_or_has_no_bench_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="not a program"), ready(parse("python:/no/such/python", "A"), "A"):
        pass
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')  # without any site-packages
    bare.chmod(0o755)
    with (
        pytest.raises(UnavailableError, match=r"B: python:.*no suanli-bench.*No module named 'bench'"),
        ready(parse(f"python:{bare}", "B"), "B"),
    ):
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require) -> Path:
    """A small project with two commits (the second is broken), its cache in a folder of its own."""
    require("git")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = tmp_path / "project"
    top.mkdir()
    _git(top, "init", "--quiet", "--initial-branch=main")
    (top / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=65"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "a-project-for-ab"\nversion = "1"\n[tool.setuptools]\npy-modules = ["project_for_ab"]\n'
    )
    (top / "project_for_ab.py").write_text("VALUE = 'good'\n")
    _commit(top, "good")
    _git(top, "tag", "good")
    (top / "pyproject.toml").write_text("[project]\nname = 'a project for ab'\nversion = '1'\n")
    _commit(top, "broken")
    monkeypatch.chdir(top)
    return top


def test_a_commit_is_built_beside_what_is_installed_and_its_tree_is_removed(repository: Path) -> None:
    (repository / "project_for_ab.py").write_text("VALUE = 'not committed'\n")
    with ready(parse("git:good", "A"), "A") as side:
        assert side.words == f"git:good ({side.commit[:12]})"
        said = _python(side, "import project_for_ab, bench; print(project_for_ab.VALUE, bench.__name__)")
        assert said == "good bench"
        assert _git(side.folder, "rev-parse", "HEAD") == side.commit
        tree = side.folder
    assert not tree.exists()
    assert len(_git(repository, "worktree", "list").splitlines()) == 1
    assert [entry.is_dir() for entry in cache_folder().iterdir()] == [True], "one commit, built once, and nothing else"


def test_a_commit_is_built_once(repository: Path) -> None:
    with ready(parse("git:good", "A"), "A"):
        (kept,) = cache_folder().iterdir()
    marked = kept / "project_for_ab.py"
    marked.write_text("VALUE = 'from the cache'\n")
    with ready(parse("git:good", "B"), "B") as side:
        assert _python(side, "import project_for_ab; print(project_for_ab.VALUE)") == "from the cache"


def test_a_build_that_fails_is_told_by_its_cause_and_leaves_its_log(repository: Path) -> None:
    with (
        pytest.raises(UnavailableError, match=r"B: git:main does not build: .*name") as error,
        ready(parse("git:main", "B"), "B"),
    ):
        pass
    assert len(str(error.value).splitlines()) == 1
    (log,) = cache_folder().iterdir()
    assert str(log) in str(error.value) and log.read_text()
    assert len(_git(repository, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("ref", ["no-such-branch", "--all", "main:pyproject.toml", "HEAD~40"])
def test_a_commit_that_does_not_exist_is_a_usage_error(repository: Path, ref: str) -> None:
    with pytest.raises(UsageError, match="no such commit"), ready(parse(f"git:{ref}", "A"), "A"):
        pass


def test_outside_a_repository_a_commit_can_not_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnavailableError, match="A: git:main: "), ready(parse("git:main", "A"), "A"):
        pass


def test_what_nobody_has_used_for_a_month_is_thrown_away(tmp_path: Path) -> None:
    for name, age_days in (("used", 3), ("forgotten", 40)):
        (tmp_path / name).mkdir()
        moment = 1e9 - age_days * 86_400
        os.utime(tmp_path / name, (moment, moment))
    forget_unused(tmp_path, 1e9)
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def _python(side, code: str) -> str:
    done = subprocess.run(
        [side.python, "-c", code],
        cwd=side.folder,
        env=dict(side.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _commit(folder: Path, message: str) -> None:
    _git(folder, "add", ".")
    _git(folder, "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", message)


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
