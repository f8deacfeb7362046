"""`results check` and `results add`: a line a failure, and the way of a run among the reference results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import records
from bench.cli.main import main
from bench.report.reference_table import BEGIN, END
from tests.conftest import Cli
from tests.store.reference_runs import fit, row

NAME = "cpu-some-cpu-zen3-2c-torch2.13.0-20260101.jsonl"


def write(path: Path, file: records.RunFile) -> Path:
    assert file.end is not None
    path.write_bytes(b"".join(map(records.encode, [file.run, *file.devices, *file.measurements, file.end])))
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return write(tmp_path / "mine.jsonl", fit())


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reference folder of a checkout, empty but for its page."""
    folder = tmp_path / "checkout" / "results" / "reference"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(f"# Reference results\n\n{BEGIN}\n{END}\n\nBy hand.\n")
    monkeypatch.setattr("bench.__file__", str(tmp_path / "checkout" / "bench" / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    return folder


# --- check ------------------------------------------------------------------------------------------------------------


def test_a_fit_file_is_exit_0(cli: Cli, mine: Path) -> None:
    mine.rename(mine.with_name(NAME))
    done = cli("results", "check", NAME)
    assert (done.code, done.out, done.err) == (0, f"{NAME}: ok\n", "")


def test_each_failure_is_one_line_and_exit_1(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = write(tmp_path / "bad.jsonl", fit(row(host="node17"), suite=None))
    assert main(["results", "check", str(mine), str(bad)]) == 1
    out, err = capsys.readouterr()
    assert [line.partition(": ")[2].partition(":")[0] for line in out.splitlines()] == [
        "name",
        "provenance",
        "host",
        "name",
    ]
    assert err == "2 of 2 not fit to be a reference result\n"


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"type":"run","schema":99}\n', b"\xff\n"])
def test_what_is_no_run_file_fails_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    assert main(["results", "check", str(tmp_path / "a.jsonl")]) == 1
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'a.jsonl'}: schema: ")


def test_as_json_and_csv_it_says_the_same(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "check", str(mine), "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    problem = f"name: the rule makes it {NAME}"
    assert document == {"schema": 1, "files": [{"file": str(mine), "name": NAME, "problems": [problem]}]}
    assert main(["results", "check", str(mine), "--format", "csv"]) == 1
    assert capsys.readouterr().out == f"file,problem\n{mine},{problem}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check"], 2, ["FILE", "results check"]),
        (["check", "absent.jsonl"], 3, ["absent.jsonl"]),
        (["check", "."], 3, ["."]),
        (["list", "a.jsonl"], 2, ["FILE", "results check"]),
        (["check", "a.jsonl", "--results", "x"], 2, ["--results"]),
        (["check", "a.jsonl", "--force"], 2, ["--force", "results add"]),
        (["add", "a.jsonl", "--rebuild"], 2, ["--rebuild"]),
        (["check", "a.jsonl", "--dry-run"], 2, ["--dry-run"]),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], code: int, words: list[str], reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["results", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert all(word in err for word in words), err


# --- add --------------------------------------------------------------------------------------------------------------


def test_added_it_has_its_name_its_bytes_and_its_line_on_the_page(reference: Path, mine: Path) -> None:
    assert main(["results", "add", str(mine)]) == 0
    assert (reference / NAME).read_bytes() == mine.read_bytes()
    page = (reference / "README.md").read_text("utf-8")
    assert f"]({NAME})" in page and page.endswith("By hand.\n")
    assert main(["results", "check", str(reference / NAME)]) == 0


def test_what_is_there_is_replaced_only_by_force(
    reference: Path, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["results", "add", str(mine)]) == 0
    write(mine, fit(seed=7))
    assert main(["results", "add", str(mine)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["results", "add", str(mine), "--force"]) == 0
    assert records.read(reference / NAME).run.seed == 7


def test_one_that_is_not_fit_keeps_all_out(
    reference: Path, mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write(tmp_path / "bad.jsonl", fit(suite=None))
    assert main(["results", "add", str(mine), str(bad)]) == 1
    assert "provenance" in capsys.readouterr().out
    assert list(reference.glob("*.jsonl")) == []


def test_two_that_would_have_one_name_are_refused(
    reference: Path, mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other.jsonl", fit(seed=7))
    assert main(["results", "add", str(mine), str(other)]) == 2
    assert NAME in capsys.readouterr().err
    assert list(reference.glob("*.jsonl")) == []


def test_outside_a_checkout_there_is_nowhere_to_add_to(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.__file__", str(tmp_path / "site-packages" / "bench" / "__init__.py"))
    assert main(["results", "add", str(mine)]) == 3
    assert "clone" in capsys.readouterr().err
