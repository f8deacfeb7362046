"""A command killed just before the file that it wrote got its name: nothing has that, and nothing stays for ever."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.fleets import encoded, lines

SITE = """
import os, signal, sys

def hook(event, words):
    if event == "os.rename" and str(words[1]).endswith("out.json"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_it_left_goes_when_that_file_is_written_a_day_later(cli: Cli, tmp_path: Path) -> None:
    path, hooks, out = tmp_path / "fleet.jsonl", tmp_path / "hooks", tmp_path / "out"
    path.write_bytes(encoded(lines(dict.fromkeys(range(4), 1.0))))
    for folder in (hooks, out):
        folder.mkdir()
    (hooks / "sitecustomize.py").write_text(SITE)
    command = ("fleet", str(path), "-o", "out/out.json")
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, [str(hooks), os.environ.get("PYTHONPATH", "")]))}
    assert cli(*command, env=environment).code == -signal.SIGKILL
    (left,) = out.iterdir()
    assert left.name.startswith(".out.json.") and left.suffix == ".tmp"
    assert cli(*command).code == 0
    assert set(out.iterdir()) == {left, out / "out.json"}, "as young as that, somebody may be at it"
    os.utime(left, (0, 0))
    assert cli(*command, "--force").code == 0
    assert set(out.iterdir()) == {out / "out.json"}
