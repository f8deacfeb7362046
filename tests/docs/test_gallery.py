"""The gallery's pictures are what its commands draw today."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType

import pytest

from bench.cli.main import main

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPT = CHECKOUT / "docs" / "gallery.py"
PAGE = CHECKOUT / "docs" / "gallery.md"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery_script", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GALLERY = script()
COMMANDS: list[list[str]] = GALLERY.commands(PAGE.read_text("utf-8"))


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: GALLERY.output(arguments).name)
def test_a_picture_is_what_its_command_draws(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CHECKOUT)
    kept = GALLERY.output(arguments)
    drawn = tmp_path / kept.name
    assert main([str(drawn) if one == str(kept) else one for one in arguments]) == 0
    assert drawn.read_bytes() == (CHECKOUT / kept).read_bytes(), "run: python docs/gallery.py"


def test_every_picture_has_a_command_and_is_shown() -> None:
    kept = {path.name for path in (CHECKOUT / "docs" / "gallery").iterdir()}
    assert kept == {GALLERY.output(arguments).name for arguments in COMMANDS}
    shown = re.findall(r"^!\[[^\]]{20,}\]\(gallery/([^)]+)\)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(shown) == sorted(kept)


def test_commands_are_found_in_shell_blocks_alone() -> None:
    block = "```{}\npython -m bench report {} -o {}\n```\n"
    page = (
        "`python -m bench report a -o b.svg`\n"
        + block.format("bash", "'a b'", "c.svg")
        + block.format("text", "d", "e")
    )
    assert GALLERY.commands(page) == [["report", "a b", "-o", "c.svg"]]
    assert GALLERY.output(GALLERY.commands(page)[0]) == Path("c.svg")
    assert os.fspath(GALLERY.CHECKOUT) == os.fspath(CHECKOUT)
