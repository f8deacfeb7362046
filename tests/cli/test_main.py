"""The frame: help that teaches, one line for an error, exit codes, pipes and encodings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import records
from bench.cli.main import COMMANDS, main, parser_for
from tests.conftest import Cli
from tests.factories import run_file

H100 = ["--device", "NVIDIA H100 80GB HBM3", "--precision", "fp16"]


def test_help_names_every_command_and_the_exit_codes(cli: Cli) -> None:
    result = cli("--help")
    assert result.code == 0
    assert all(name in result.out for name in COMMANDS)
    assert "Exit codes" in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    parser = parser_for(command)
    assert parser.description
    assert all(action.help for action in parser._actions if action.dest not in ("format", "debug", "launches"))


@pytest.mark.parametrize("command", ["show", "compare", "history", "import", "export", "results", "report", "fleet"])
def test_a_store_may_be_a_url_and_the_help_says_so(command: str) -> None:
    words = " ".join(parser_for(command).format_help().split())
    assert "--results FOLDER|URL" in words and "a folder or a URL such as s3://bucket/runs" in words


def test_no_command_prints_the_help_and_is_a_usage_error(cli: Cli) -> None:
    result = cli()
    assert result.code == 2
    assert "COMMAND" in result.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], ["rum", "run"]),
        (["--nonsense"], ["--nonsense"]),
        (["run", "--nonsense"], ["--nonsense"]),
        (["show"], ["RUN"]),
        (["run", "--form", "json"], ["--form"]),  # abbreviations would bind users to names we may need
        (["run", "--format", "yaml"], ["--format", "yaml", "json"]),
    ],
)
def test_wrong_usage_is_exit_2_and_one_line(cli: Cli, arguments: list[str], words: list[str]) -> None:
    result = cli(*arguments)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    assert all(word in result.err for word in words)
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["results", "check", "--format", "csv", "a.jsonl"],
        ["results", "--format", "csv", "check", "a.jsonl"],
        ["results", "check", "a.jsonl", "--format", "csv", "b.jsonl"],
        ["show", "--format", "csv", "a.jsonl"],
    ],
)
def test_words_may_stand_on_both_sides_of_an_option(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(b"".join(map(records.encode, [run_file([]).run])))
    result = cli(*arguments)
    assert result.code in (0, 1), result.err
    assert "unrecognized" not in result.err


def test_a_word_too_many_is_refused_wherever_it_stands(cli: Cli) -> None:
    for arguments in (["show", "a", "b", "--format", "csv"], ["show", "a", "--format", "csv", "b"]):
        result = cli(*arguments)
        assert result.code == 2
        assert result.err.startswith("bench: unrecognized arguments: b")


@pytest.mark.parametrize("command", ["show", "compare", "export", "report", "fleet", "plan"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.jsonl", None),
        ("empty.jsonl", b""),
        ("binary.jsonl", bytes(range(256)) * 4),
        ("other.jsonl", b'{"type":"run"}\n'),
        ("deep.jsonl", b"[" * 100_000 + b"\n"),
        ("two\nlines.jsonl", None),
        ("folder/" + "long" * 200 + ".jsonl", None),
    ],
)
def test_what_is_no_run_file_is_exit_3_and_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    name: str,
    content: bytes | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    words = {"compare": [name, name], "export": [name, "--to", "csv"], "plan": [name, "--need", "1 P", *H100]}
    assert main([command, *words.get(command, [name])]) == 3
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and said.startswith("bench: "), said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "~nobody-of-that-name/x.jsonl"], 3, "~nobody-of-that-name"),
        (["results", "--results", "~nobody-of-that-name/x"], 3, "~nobody-of-that-name"),
        (["plan", "--need", f"{'1' * 400} P", *H100], 2, "--need"),
        (["plan", "--need", f"{'1' * 5000} P", *H100], 2, "--need"),
        (["fleet", "x.jsonl", "--rules", "digits.toml"], 2, "digits.toml is not TOML"),
        (["compare", "x.jsonl", "y.jsonl"], 2, "pyproject.toml: cannot be read as TOML"),
    ],
)
def test_an_impossible_value_is_named_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("digits.toml", "pyproject.toml"):
        (tmp_path / name).write_text(f"x = {'9' * 5000}\n")
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and words in said, said


def test_debug_shows_the_traceback(cli: Cli) -> None:
    result = cli("show", "absent.jsonl", "--debug")
    assert "Traceback" in result.err
    assert result.code == 3


def test_version(cli: Cli) -> None:
    from bench import __version__

    assert cli("--version").out.strip() == f"suanli-bench {__version__}"


def test_a_reader_that_leaves_early_gets_no_complaint(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m bench ratings | true",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""


def test_a_terminal_without_utf8_is_no_obstacle(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "--help"], env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0 and done.stdout.isascii()
