"""What a run says of where it was measured from, and what of that stays where it is to be anonymous."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench
from tests.checkouts import BRANCH, checked_out

STATE = "import json; from bench.runner.host import git_state; print(json.dumps([git_state(), git_state(True)]))"


@pytest.fixture
def repository(tmp_path: Path, require: Callable[[str], str]) -> Path:
    """A checkout of somebody's project."""
    checked_out(require("git"), tmp_path)
    return tmp_path


def states(folder: Path) -> list[dict[str, Any] | None]:
    """What is said in that folder, openly and anonymously; `bench` there comes before any that is installed."""
    done = subprocess.run([sys.executable, "-c", STATE], cwd=folder, capture_output=True, text=True, check=True)
    found: list[dict[str, Any] | None] = json.loads(done.stdout)
    return found


def test_somebodys_commit_is_theirs(repository: Path) -> None:
    openly, anonymously = states(repository)
    assert openly is not None and (openly["branch"], openly["dirty"]) == (BRANCH, False)
    assert anonymously is None


def test_an_environment_in_their_checkout_does_not_make_it_ours(repository: Path) -> None:
    shutil.copytree(Path(bench.__file__).parent, repository / "env" / "bench")
    assert states(repository / "env")[1] is None


def test_the_commit_of_bench_itself_stays_and_the_branch_does_not(repository: Path) -> None:
    shutil.copytree(Path(bench.__file__).parent, repository / "bench")
    openly, anonymously = states(repository)
    assert openly is not None and anonymously == {"commit": openly["commit"], "branch": None, "dirty": False}
    (repository / "README").write_text("changed")
    assert anonymously | {"dirty": True} == states(repository)[1]


def test_outside_a_checkout_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert states(tmp_path) == [None, None]
