"""`find` through the real command line: what it writes and prints, how it ends early, goes on, and refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import records
from tests.conftest import Cli

SPACE = "m=16:64:16,n=k=16|32"
SHAPES = 8
ARGUMENTS = [
    "--device",
    "cpu",
    "--kernel",
    "gemm",
    "--precision",
    "fp32",
    "--implementation",
    "torch",
    "--finalists",
    "2",
]
FINALISTS = 2


def start(path: Path, *arguments: str) -> subprocess.Popen[str]:
    """`find` into a file at `path`, in the folder of it."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "find", *arguments, "--out", str(path)],
        cwd=path.parent,
        env={**os.environ, "COLUMNS": "200", "PYTHONUTF8": "1", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One complete search of eight small shapes, with its map, shared by the tests that only read it."""
    path = tmp_path_factory.mktemp("find") / "whole.jsonl"
    # Far more than it takes: on a busy machine what a budget leaves out would be missed.
    process = start(path, *ARGUMENTS, "--space", SPACE, "--budget", "120", "--plot", str(path.with_name("map.svg")))
    out, err = process.communicate(timeout=250)
    assert process.returncode in (0, 4), err
    path.with_name("out").write_text(out, encoding="utf-8")
    path.with_name("err").write_text(err, encoding="utf-8")
    return path


def text(search: Path, name: str) -> str:
    return search.with_name(name).read_text(encoding="utf-8")


def test_every_look_and_the_finalists_are_in_the_run_file(search: Path) -> None:
    file = records.read(search)
    assert [trial.number for trial in file.trials] == list(range(1, len(file.trials) + 1))
    assert len({tuple(trial.case.values()) for trial in file.trials}) == SHAPES
    assert all(trial.status == "ok" and trial.call_s and trial.spent_s > 0 for trial in file.trials)
    assert [row.id for row in file.measurements] == ["00001", "00002"]
    assert all(
        row.check is not None and row.check.passed and row.status in records.MEASURED for row in file.measurements
    )
    assert len({tuple(row.case.values()) for row in file.measurements}) == FINALISTS
    assert file.run.command[:2] == ["bench", "find"] and file.run.suite is None
    assert file.end is not None and file.end.status == "complete" and not file.end.reason


def test_the_answer_comes_first_with_the_table_coverage_and_map_below(search: Path) -> None:
    out = text(search, "out")
    usable = any(row.status in records.USABLE for row in records.read(search).measurements)
    assert out.startswith("best: gemm " if usable else "no finalist can be ranked")
    assert f"of {SHAPES} points (100 %)" in out and "% of rated" in out and "not looked at" in out


def test_progress_goes_to_stderr(search: Path) -> None:
    err = text(search, "err")
    assert f"searching {SHAPES} points" in err and "1 look, " in err and "[2/2]" in err and str(search) in err
    assert "Traceback" not in err


def test_the_map_is_drawn(search: Path) -> None:
    root = ET.parse(search.with_name("map.svg")).getroot()
    assert len([element for element in root.iter() if element.tag.endswith("title")]) == SHAPES


def test_show_reads_its_run_file_like_any_other(search: Path, cli: Cli) -> None:
    shown = cli("show", str(search))
    assert shown.code == 0 and "gemm" in shown.out


def test_it_goes_on_where_it_was_cut_off(search: Path, cli: Cli, tmp_path: Path) -> None:
    whole = search.read_bytes().splitlines(keepends=True)
    kept = b"".join(whole[: 2 + 5])
    path = tmp_path / "cut.jsonl"
    path.write_bytes(kept + b'{"type":"trial","number":6,"dev')
    result = cli("find", "--resume", str(path), "--format", "json", "--plot", str(tmp_path / "map.svg"))
    assert result.code in (0, 4), result.err
    assert path.read_bytes().startswith(kept), "what was on the disk is not touched"
    file = records.read(path)
    assert [trial.number for trial in file.trials] == list(range(1, len(file.trials) + 1))
    assert len({tuple(trial.case.values()) for trial in file.trials}) == SHAPES
    assert len(file.measurements) == FINALISTS and len(file.resumes) == 1
    assert "5 looks from before" in result.err and (tmp_path / "map.svg").exists()
    document = json.loads(result.out)
    assert document["schema"] == 1 and document["status"] == "complete" and document["run"] == "whole"
    assert document["looked_at"]["points"] == document["looked_at"]["of"] == SHAPES
    assert len(document["finalists"]) == FINALISTS


def test_an_interrupt_prints_what_was_found_and_leaves_a_file_to_go_on_from(tmp_path: Path) -> None:
    path = tmp_path / "interrupted.jsonl"
    process = start(path, *ARGUMENTS, "--budget", "300")
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if re.search(" looks?, ", line):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, [*seen, err]
    assert "best by short looks, unchecked" in out and "run interrupted" in out
    assert f"find --resume {path}" in err and "Traceback" not in err
    file = records.read(path)
    assert file.trials and not file.measurements
    assert file.end is not None and (file.end.status, file.end.exit_code) == ("interrupted", 130)


PLUGIN = '''
"""A kernel whose fastest implementation is wrong, and one of whose shapes takes the worker down."""
import os, time
from bench.kernel import Field, Kernel, Work, implementation

class Trap(Kernel):
    name = "trap"
    fields = (Field("n", "size"), Field("p", "size", default=1))
    precisions = ("fp32",)
    def cases(self, suite, device): return [{"n": 8}]
    def search_spaces(self, device): return {"line": {"n": (8, 16, 24, 32, 40)}}
    def work(self, case, precision): return Work(10**6 * case["n"], 4 * case["n"], 4 * case["n"])
    def inputs(self, case, precision, device, data, generator):
        import torch
        return {"x": torch.randn(case["n"], generator=generator)}
    def reference(self, inputs, rows=None):
        y = inputs["x"].double().reshape(-1, 1) * 2
        return y if rows is None else y[rows]
    def output_rows(self, case): return case["n"]
    def rows(self, output, case): return output.reshape(-1, 1)
    def reduction_length(self, case): return 1

    @implementation("right", precisions=("fp32",))
    def right(self, inputs):
        if inputs.case["n"] == 40:
            os._exit(9)
        def call():
            time.sleep(0.02)
            return inputs["x"] * 2
        return call
    @implementation("wrong", precisions=("fp32",))
    def wrong(self, inputs): return lambda: inputs["x"] * 3
'''


@pytest.fixture
def trap(tmp_path: Path) -> dict[str, str]:
    """The environment in which the plugin is installed."""
    folder = tmp_path / "plugin"
    info = folder / "trap-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "trap.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trap\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bench.kernels]\ntrap = trap:Trap\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


def test_a_plugins_space_is_searched_past_wrong_answers_and_dead_workers(
    cli: Cli, trap: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "trap.jsonl"
    arguments = ["--kernel", "trap", "--precision", "fp32", "--device", "cpu", "--budget", "200"]
    arguments += ["--finalists", "1"]
    result = cli("find", *arguments, "--out", str(path), env=trap)
    assert result.code in (0, 4), result.err
    file = records.read(path)
    dead = [trial for trial in file.trials if trial.status != "ok"]
    assert [(trial.case["n"], trial.implementation, trial.status) for trial in dead] == [(40, "right", "crashed")]
    assert "exit code 9" in dead[0].reason and "exit code 9" in result.out
    statuses = [(row.implementation, row.status) for row in file.measurements]
    assert statuses.count(("wrong", "wrong")) == 1, "one wrong answer is enough"
    assert sum(name == "right" and status in records.MEASURED for name, status in statuses) == 1


def _usage_errors() -> list[tuple[list[str], list[str]]]:
    gemm, fp32 = ["--kernel", "gemm"], ["--precision", "fp32"]
    return [
        ([], ["--kernel:", "attention, conv"]),
        (gemm, ["--precision", "fp32"]),
        (["--kernel", "gem", *fp32], ["'gem'", "gemm"]),
        (["--kernel", "all_reduce", *fp32], ["all_reduce is measured by several ranks", "gemm"]),
        ([*gemm, "--precision", "fp33"], ["'fp33'", "fp32"]),
        ([*gemm, *fp32, "--implementation", "torhc"], ["'torhc'", "torch"]),
        ([*gemm, *fp32, "--space", "m=1:2,n=2,k=3"], ["--space", "'1:2'"]),
        ([*gemm, *fp32, "--space", "m=1:1000:1,n=1:1000:1,k=1:9:1"], ["9000000 combinations"]),
        ([*gemm, *fp32, "--budget", "0"], ["--budget", "0"]),
        ([*gemm, *fp32, "--plot", "map.png"], ["--plot", ".svg"]),
        ([*gemm, *fp32, "--device", "cuda:x"], ["--device"]),
    ]


@pytest.mark.parametrize(("arguments", "words"), _usage_errors(), ids=lambda value: " ".join(value)[:40] or "nothing")
def test_what_can_not_be_meant_is_exit_2_in_one_line(cli: Cli, arguments: list[str], words: list[str]) -> None:
    result = cli("find", *arguments)
    assert result.code == 2 and all(word in result.err for word in words), result.err
    assert len(result.err.splitlines()) == 1 and not result.out


def test_a_space_that_the_kernel_does_not_have_is_refused_before_anything_is_written(cli: Cli, tmp_path: Path) -> None:
    unknown = cli("find", "--kernel", "gemm", "--precision", "fp32", "--device", "cpu", "--space", "nowhere")
    assert unknown.code == 2 and "'nowhere'" in unknown.err and "grid" in unknown.err
    assert not list(tmp_path.rglob("*.jsonl"))


def test_files_in_the_way_are_left_alone(cli: Cli, search: Path, tmp_path: Path) -> None:
    (tmp_path / "map.svg").write_text("mine")
    arguments = ["--kernel", "gemm", "--precision", "fp32"]
    assert cli("find", *arguments, "--plot", "map.svg").code == 2
    assert (tmp_path / "map.svg").read_text() == "mine"
    before = search.read_bytes()
    assert cli("find", *arguments, "--out", str(search)).code == 3
    assert search.read_bytes() == before


def test_each_command_takes_up_its_own_files_alone(cli: Cli, search: Path, tmp_path: Path) -> None:
    before = search.read_bytes()
    run = cli("run", "--resume", str(search))
    assert run.code == 2 and "written by find" in run.err and "bench find --resume" in run.err
    other = tmp_path / "run.jsonl"
    other.write_bytes(before.replace(b'"bench","find"', b'"bench","run"', 1))
    find = cli("find", "--resume", str(other))
    assert find.code == 2 and "written by run" in find.err and "bench run --resume" in find.err
    beside = cli("find", "--resume", str(search), "--precision", "fp64")
    assert beside.code == 2 and "--precision" in beside.err
    assert cli("find", "--resume", str(tmp_path / "absent.jsonl")).code == 3
    assert search.read_bytes() == before
