"""`compare` through the real command line: exit codes, the document, the table, thresholds, names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import records
from tests.conftest import Cli
from tests.factories import measurement, run_file
from tests.test_imports import HEAVY, imported_by

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a run file whose series m=1, 2, … have these launches: `write("new", [[1.0, 1.1], [2.0, 2.1]])`."""

    def file(
        name: str, times_s: list[list[float]], folder: str = "", run: dict[str, Any] | None = None, **changes: Any
    ) -> Path:
        rows = [
            measurement(launch=launch, median_s=t, low_s=0.99 * t, high_s=1.01 * t, case={"m": m}, **changes)
            for m, series in enumerate(times_s, start=1)
            for launch, t in enumerate(series)
        ]
        content = run_file(rows)
        head = msgspec.structs.replace(content.run, id=name, **(run or {}))
        path = tmp_path / folder / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        assert content.end is not None
        lines = [head, *content.devices, *content.measurements, content.end]
        path.write_bytes(b"".join(map(records.encode, lines)))
        return path

    return file


STEADY = [1.0, 1.01, 0.99]
BASE = [STEADY] * 8
SLOWER = [*[STEADY] * 7, [1.3, 1.31, 1.29]]


def test_nothing_worse_is_0(cli: Cli, write: Write) -> None:
    done = cli("compare", str(write("base", BASE)), str(write("new", BASE)))
    assert done.code == 0, done.err
    assert "8 same" in done.out
    assert done.err == ""


def test_a_regression_is_1_and_an_improvement_0(cli: Cli, write: Write) -> None:
    base, new = str(write("base", BASE)), str(write("new", SLOWER))
    done = cli("compare", base, new)
    assert done.code == 1
    assert re.search(r"^regression +gemm\[m=8\] fp32.* 1\.30 ", done.out, flags=re.M)
    back = cli("compare", new, base)
    assert back.code == 0
    assert "1 improvement, 7 same" in back.out


def test_the_document_has_the_keys_of_the_contract(cli: Cli, write: Write) -> None:
    done = cli("compare", str(write("base", BASE)), str(write("new", SLOWER)), "--format", "json")
    assert done.code == 1
    document = json.loads(done.out)
    assert document["schema"] == 1
    assert document["verdict"] == "regression"
    first = document["series"][0]
    assert list(first)[:6] == ["series", "verdict", "reason", "ratio", "ci95_low", "ci95_high"]
    assert (first["verdict"], first["reason"]) == ("regression", "slower")
    assert 1.05 < first["ci95_low"] < first["ratio"] < first["ci95_high"]
    assert first["ratio"] == pytest.approx(1.3)
    assert (first["base_launches"], first["new_launches"], first["threshold_asked"]) == (3, 3, 0.05)
    assert document["counts"] == {"regression": 1, "same": 7}


def test_ambiguous_is_0_unless_fail_on_names_it(cli: Cli, write: Write) -> None:
    base, new = str(write("base", [[1.0]])), str(write("new", [[1.1]]))
    done = cli("compare", base, new)
    assert done.code == 0
    assert "one_launch" in done.out
    assert "single launches are weak evidence" in done.out
    assert cli("compare", base, new, "--fail-on", "ambiguous").code == 1
    assert cli("compare", base, new, "--fail-on", "missing").code == 0


def test_a_missing_series_is_0_unless_fail_on_names_it(cli: Cli, write: Write) -> None:
    base, new = str(write("base", BASE)), str(write("new", BASE[:7]))
    done = cli("compare", base, new)
    assert done.code == 0
    assert "1 missing, 7 same" in done.out
    assert cli("compare", base, new, "--fail-on", "regression,missing").code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--fail-on", "regresion"],
            "--fail-on: unknown value 'regresion'; choose from ambiguous, missing, regression",
        ),
        (["--threshold", "3"], "--threshold: '3' is not a change above 0 % and below 100 %"),
        (["--threshold", "-3%"], "--threshold"),
        (["--threshold", "nan"], "--threshold: 'nan'"),
        (["--threshold", "much"], "--threshold: 'much'"),
        (["--explain", "no such series"], "--explain: no series holds 'no such series'; nearest: gemm[m="),
        (["--explain", "gemm", "--format", "json"], "--explain: goes with --format table, not json"),
        (["--format", "xml"], "--format"),
    ],
)
def test_a_wrong_argument_is_2_and_named(cli: Cli, write: Write, arguments: list[str], said: str) -> None:
    done = cli("compare", str(write("base", BASE)), str(write("new", BASE)), *arguments)
    assert done.code == 2, done.out
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_another_class_is_3_and_the_field_named(cli: Cli, write: Write) -> None:
    new = write("new", BASE, run={"software": {"torch": "2.9.0"}})
    done = cli("compare", str(write("base", BASE)), str(new))
    assert done.code == 3
    assert "torch differs: 2.13 in the base, 2.9 in the new run" in done.out


def test_a_file_that_is_not_there_or_is_no_run_is_3(cli: Cli, write: Write, tmp_path: Path) -> None:
    new = str(write("new", BASE))
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text("{}\n")
    for base in ("absent.jsonl", str(foreign)):
        done = cli("compare", base, new)
        assert done.code == 3
        assert Path(base).name in done.err
        assert len(done.err.splitlines()) == 1
        assert cli("compare", new, base).code == 3


def test_disturbed_runs_are_4(cli: Cli, write: Write) -> None:
    new = write("new", BASE, status="contended", reason="a neighbour")
    done = cli("compare", str(write("base", BASE)), str(new))
    assert done.code == 4
    assert "8 quarantined; unstable: 24 of 48 measured rows were disturbed" in done.out


def test_no_baseline_is_0_and_5_where_one_is_required(cli: Cli, write: Write, tmp_path: Path) -> None:
    new = str(write("new", BASE))
    (tmp_path / "empty").mkdir()
    for base in ("empty", "main"):
        done = cli("compare", base, new)
        assert done.code == 0, done.err
        assert "no baseline" in done.out
        assert cli("compare", base, new, "--require-baseline").code == 5
    assert cli("compare", "absent.jsonl", new, "--require-baseline").code == 5
    assert json.loads(cli("compare", "empty", new, "--format", "json").out)["verdict"] == "not_comparable"


def test_a_folder_stands_for_its_newest_run(cli: Cli, write: Write) -> None:
    base = write("base", BASE, folder="before")
    done = cli("compare", str(base.parent), str(write("new", SLOWER)))
    assert done.code == 1


def test_names_are_looked_up_in_the_store(cli: Cli, write: Write) -> None:
    write("base", BASE, folder="results", run={"started": "2026-01-01T00:00:00+00:00"})
    write("other", SLOWER, folder="results", run={"started": "2026-01-02T00:00:00+00:00"})
    done = cli("compare", "base", "latest")
    assert done.code == 1, done.err
    assert "base base → new other" in done.out
    elsewhere = cli("compare", "base", "latest", env={"BENCH_RESULTS": "nowhere"})
    assert elsewhere.code == 3
    assert cli("compare", "base", "latest", "--results", "results", env={"BENCH_RESULTS": "nowhere"}).code == 1


def test_explain_shows_the_evidence_of_one_series(cli: Cli, write: Write) -> None:
    done = cli("compare", str(write("base", BASE)), str(write("new", SLOWER)), "--explain", "m=8")
    assert done.code == 1
    assert done.out.startswith("gemm[m=8] fp32 best burst normal cold cpu\n")
    for line in (
        "regression (slower): 30 % slower",
        "1, 1.01, 0.99 s; median 1 s, 3 launches",
        "1.3, 1.31, 1.29 s; median 1.3 s, 3 launches",
        "threshold ",
        "launches of 8 series",
        "Some CPU",
    ):
        assert line in done.out
    assert "m=7" not in done.out


def test_thresholds_come_from_the_project_and_the_command_line(cli: Cli, write: Write, tmp_path: Path) -> None:
    base, new = str(write("base", BASE)), str(write("new", SLOWER))
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.bench.compare]\nthreshold = "50%"\n')
    assert cli("compare", base, new).code == 0
    project.write_text('[tool.bench.compare]\nthreshold = 0.5\n[tool.bench.compare.thresholds]\ngemm = "3 %"\n')
    assert cli("compare", base, new).code == 1
    assert cli("compare", base, new, "--threshold", "40%").code == 0
    project.write_text("[tool.other]\nx = 1\n")
    assert cli("compare", base, new).code == 1


def test_markdown_is_a_table_that_github_shows(cli: Cli, write: Write) -> None:
    done = cli("compare", str(write("base", BASE)), str(write("new", SLOWER)), "--format", "markdown")
    assert done.code == 1
    assert done.out.startswith("**1 regression, 7 same**\n")
    assert re.search(r"^\| regression +\| gemm\[m=8\]", done.out, flags=re.M)


def test_a_narrow_terminal_and_one_without_utf_8_are_served(cli: Cli, write: Write) -> None:
    base, new = str(write("base", BASE)), str(write("new", SLOWER))
    done = cli("compare", base, new, env={"COLUMNS": "80"})
    assert max(map(len, done.out.splitlines())) <= 80
    plain = cli("compare", base, new, env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert plain.code == 1
    assert plain.out.isascii()
    assert "?" not in plain.out


def test_comparing_imports_no_torch(write: Write, tmp_path: Path) -> None:
    modules = imported_by(tmp_path, "compare", str(write("base", BASE)), str(write("new", SLOWER)))
    assert "msgspec" in modules
    assert not modules & HEAVY
