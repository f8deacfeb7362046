"""`import` and `export` through the real command line: what they write, where, and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import records
from bench.cli.main import main
from bench.interop.importing import encoded
from bench.interop.registry import FORMATS
from tests.conftest import Cli, Result
from tests.factories import measurement, run_file
from tests.interop import seeds
from tests.interop.seeds import a_run, dumped


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    path.write_bytes(encoded(a_run()))
    return path


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """As `cli`, without a process for each of many commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    def run(*arguments: str) -> Result:
        code = main(arguments)
        return Result(code, *capsys.readouterr())

    return run


@pytest.mark.parametrize("command", ["import", "export"])
def test_the_list_names_every_format_and_its_direction(cli: Cli, command: str) -> None:
    shown = cli(command, "--list")
    assert shown.code == 0
    for one in FORMATS.values():
        (line,) = [line for line in shown.out.splitlines() if line.startswith(f"{one.name} ")]
        assert one.direction in line.split() and one.suffix in line
    document = json.loads(cli(command, "--list", "--format", "json").out)
    assert document["schema"] == 1
    assert [one["name"] for one in document["formats"]] == list(FORMATS)


@pytest.mark.parametrize("name", [one.name for one in FORMATS.values() if one.exported and one.shape == "file"])
def test_a_single_file_goes_to_stdout_or_to_a_file_and_is_the_same(inside: Cli, run_path: Path, name: str) -> None:
    out = run_path.with_name("out")
    written = inside("export", str(run_path), "--to", name, "-o", str(out))
    assert (written.code, written.out) == (0, "")
    assert f"wrote {out}" in written.err
    printed = inside("export", str(run_path), "--to", name)
    assert printed.code == 0
    assert printed.out == out.read_text(encoding="utf-8")


def test_what_is_left_out_is_named(cli: Cli, run_path: Path) -> None:
    result = cli("export", str(run_path), "--to", "bmf")
    assert len(json.loads(result.out)) == 4
    lines = result.err.splitlines()
    assert len(lines) == 5
    assert "left out: conv[n=1] fp32 torch burst normal cold cpu: unsupported: no | unit <here>" in lines


def test_nothing_is_replaced_without_force_and_nothing_is_left_behind(cli: Cli, run_path: Path) -> None:
    out = run_path.with_name("out.json")
    out.write_text("mine")
    refused = cli("export", str(run_path), "--to", "bmf", "-o", str(out))
    assert refused.code == 2
    assert refused.err == f"bench: -o: {out} exists; --force replaces it\n"
    assert out.read_text() == "mine"
    assert cli("export", str(run_path), "--to", "bmf", "-o", str(out), "--force").code == 0
    assert json.loads(out.read_text())
    assert {path.name for path in out.parent.iterdir()} == {"run.jsonl", "out.json"}
    assert out.stat().st_mode & 0o044 == 0o044 & ~_umask(), "a collector of another user reads it"


def test_a_target_that_can_t_be_written_is_exit_3(cli: Cli, run_path: Path) -> None:
    result = cli("export", str(run_path), "--to", "bmf", "-o", str(run_path / "below" / "a file"))
    assert result.code == 3
    assert "cannot write" in result.err and "Traceback" not in result.err


def test_github_action_benchmark_is_two_files_beside_each_other(cli: Cli, run_path: Path) -> None:
    result = cli("export", str(run_path), "--to", "github-action-benchmark", "-o", "out.json")
    assert result.code == 0
    assert {path.name for path in run_path.parent.glob("out*")} == {"out.bigger.json", "out.smaller.json"}
    again = cli("export", str(run_path), "--to", "github-action-benchmark", "-o", "out.json")
    assert again.code == 2 and "out.bigger.json exists (and 1 more)" in again.err
    assert cli("export", str(run_path), "--to", "github-action-benchmark").code == 2, "stdout can't hold two files"


def test_asv_results_of_several_runs_gather_in_one_folder(cli: Cli, run_path: Path) -> None:
    other = run_path.with_name("other.jsonl")
    file = run_file([measurement(precision="fp64")])
    file.run.git = {"commit": "f" * 40}
    file.run.host = {"name": "box"}
    other.write_bytes(encoded(file))
    for path in (run_path, other):
        assert cli("export", str(path), "--to", "asv", "-o", "tree").code == 0
    tree = run_path.parent / "tree"
    benchmarks = json.loads((tree / "benchmarks.json").read_text())
    assert any("fp64" in name for name in benchmarks) and any("int8" in name for name in benchmarks)
    assert len(list((tree / "box").glob("*-suanli-bench-*.json"))) == 2
    assert cli("export", str(other), "--to", "asv", "-o", "tree").code == 2, "those of a commit are not replaced"


def test_a_job_summary_is_added_to_and_never_overfilled(cli: Cli, run_path: Path) -> None:
    summary = run_path.with_name("summary")
    summary.write_text("# of an earlier tool\n")
    assert cli("export", str(run_path), "--to", "github-summary", "-o", str(summary)).code == 0
    text = summary.read_text()
    assert text.startswith("# of an earlier tool\n") and "## Benchmark" in text
    summary.write_text("x" * 999_000)
    full = cli("export", str(run_path), "--to", "github-summary", "-o", str(summary))
    assert full.code == 3 and "is full" in full.err


def test_annotations_are_printed_inside_github_actions_only(cli: Cli, run_path: Path) -> None:
    outside = cli("export", str(run_path), "--to", "github-annotations", env={"GITHUB_ACTIONS": ""})
    assert (outside.code, outside.out) == (0, "") and "no annotations are printed" in outside.err
    inside = cli("export", str(run_path), "--to", "github-annotations", env={"GITHUB_ACTIONS": "true"})
    assert inside.out.startswith("::error title=")


def test_what_compare_prints_goes_through_a_pipe_into_junit(cli: Cli, run_path: Path, tmp_path: Path) -> None:
    base, slow = run_path.with_name("base.jsonl"), run_path.with_name("slow.jsonl")
    for path, median_s in ((base, 1e-3), (slow, 2e-3)):
        rows = [measurement(median_s=median_s, launch=launch) for launch in range(8)]
        file = run_file(rows)
        file.run.id = path.stem
        path.write_bytes(encoded(file))
    compared = cli("compare", str(base), str(slow), "--format", "json")
    assert compared.code == 1, compared.err
    document = tmp_path / "compared.json"
    document.write_text(compared.out)
    piped = subprocess.run(
        [sys.executable, "-m", "bench", "export", "-", "--to", "junit"],
        input=compared.out.encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    from_file = cli("export", str(document), "--to", "junit")
    assert piped.stdout.decode() == from_file.out
    assert 'failures="1"' in from_file.out and "+100.0 %" in from_file.out
    assert "🔴 regression" in cli("export", str(document), "--to", "github-summary").out
    refused = cli("export", str(document), "--to", "bmf")
    assert refused.code == 2 and "junit" in refused.err


def test_names_of_the_store_are_understood(cli: Cli, run_path: Path) -> None:
    assert cli("import", str(run_path), "--from", "bench").code == 0
    assert cli("export", "latest", "--to", "bmf").out == cli("export", str(run_path), "--to", "bmf").out
    unknown = cli("export", "nonesuch", "--to", "bmf")
    assert unknown.code == 3 and "nonesuch" in unknown.err


def test_an_import_lies_in_the_store_and_shows(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "theirs.json"
    source.write_bytes(dumped(seeds.PYTEST_BENCHMARK))
    result = cli("import", str(source), "--from", "pytest-benchmark", "--results", "store", "--format", "json")
    assert result.code == 0, result.err
    (one,) = json.loads(result.out)["runs"]
    assert (one["rows"], one["counts"], one["commit"]) == (1, {"ok": 1}, seeds.COMMIT)
    path = tmp_path / one["stored"]
    assert records.read(path).run.host["imported"]["file"] == "theirs.json"
    shown = cli("show", str(path))
    assert shown.code == 0 and "test_sort" in shown.out
    again = cli("import", str(source), "--from", "pytest-benchmark", "--results", "store", "--format", "json")
    assert json.loads(again.out)["runs"][0]["stored"] == one["stored"]
    assert [file.name for file in (tmp_path / "store").glob("*.jsonl")] == [path.name], "once"


def test_every_imported_run_passes_through_every_reader_of_ours(inside: Cli, tmp_path: Path) -> None:
    for name, found in seeds.seeds().items():
        for number, data in enumerate(found):
            source = tmp_path / f"{name}-{number}"
            source.write_bytes(data)
            result = inside("import", str(source), "--from", name, "--results", f"store-{name}", "--format", "json")
            assert result.code == 0, f"{name}: {result.err}"
            stored = json.loads(result.out)["runs"][0]["stored"]
            for form in ("table", "markdown", "csv"):
                assert inside("show", stored, "--format", form).code == 0, f"{name} as {form}"
        assert inside("history", "--results", f"store-{name}").code == 0, name


def test_a_history_of_another_tool_becomes_one_of_ours(cli: Cli, tmp_path: Path) -> None:
    entries = [
        {"commit": {"id": f"{number:040x}"}, "date": 1_600_000_000_000 + number * 86_400_000, "tool": "cargo"}
        | {"benches": [{"name": "fib", "value": 100 + number % 3, "unit": "ns/iter"}]}
        for number in range(6)
    ]
    (tmp_path / "data.js").write_text(f"window.BENCHMARK_DATA = {json.dumps({'entries': {'suite': entries}})}")
    assert cli("import", "data.js", "--from", "github-action-benchmark").code == 0
    history = cli("history", "--format", "json")
    assert history.code == 0, history.err
    (series,) = json.loads(history.out)["series"]
    assert series["values"] == pytest.approx([1e-7, 1.01e-7, 1.02e-7] * 2)
    assert series["commits"][-1] == f"{5:040x}"


def test_several_files_are_imported_all_or_none(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(dumped(seeds.BMF))
    (tmp_path / "bad").write_bytes(b'{"a": 3}')
    result = cli("import", "good", "bad", "--from", "bmf")
    assert result.code == 3
    assert result.err == "bench: bad: a: an object is expected, not 3\n"
    assert not (tmp_path / "results").exists()
    dry = cli("import", "good", "--from", "bmf", "--dry-run")
    assert dry.code == 0 and dry.out.startswith("(not stored): 3 rows (1 unsupported, 2 ok)")
    assert not (tmp_path / "results").exists()


def test_stdin_is_a_file_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "import", "-", "--from", "bmf", "--results", str(tmp_path / "store")],
        input=dumped(seeds.BMF),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"3 rows" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["export"], 2, ["--to", "--list"]),
        (["export", "--to", "bmf"], 2, ["RUN"]),
        (["export", "run.jsonl", "--to", "bfm"], 2, ["--to", "'bfm'", "Did you mean 'bmf'"]),
        (["export", "run.jsonl", "--to", "pyperf"], 2, ["--to", "pyperf"]),
        (["export", "run.jsonl", "run.jsonl", "--to", "bmf"], 2, ["RUN", "csv, otava"]),
        (["export", "run.jsonl", "--to", "asv"], 2, ["-o", "folder"]),
        (["export", "absent.jsonl", "--to", "bmf"], 3, ["RUN", "absent"]),
        (["export", "run.jsonl", "--to", "bmf", "--ops-from", "mode"], 2, ["--ops-from", "mode", "median"]),
        (["import"], 2, ["--from", "--list"]),
        (["import", "--from", "bmf"], 2, ["FILE"]),
        (["import", "run.jsonl", "--from", "junit"], 2, ["--from", "junit"]),
        (["import", "absent", "--from", "bmf"], 3, ["absent", "cannot be read"]),
        (["import", ".", "--from", "bmf"], 3, ["cannot be read"]),
        (["import", "run.jsonl", "--from", "bmf"], 3, ["run.jsonl", "is not JSON"]),
        (["import", "run.jsonl", "--from", "bench", "--unit", "miles"], 2, ["--unit", "miles"]),
    ],
)
def test_what_is_wrong_is_one_line(
    inside: Cli, run_path: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    result = inside(*arguments)
    assert result.code == code, result.err
    assert len(result.err.splitlines()) == 1
    assert all(word in result.err for word in words), result.err


def test_torch_stays_out(run_path: Path) -> None:
    code = "import sys; from bench.cli.main import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    for command in (
        ["export", str(run_path), "--to", "junit"],
        ["import", str(run_path), "--from", "bench", "--dry-run"],
    ):
        subprocess.run([sys.executable, "-c", code, *command], capture_output=True, timeout=60, check=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
