"""A kernel that takes its worker down costs its own row: the next one is measured by a new worker."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from bench import records
from tests.conftest import Cli

PLUGIN = '''
"""A kernel with one implementation for each way to go wrong."""
import os, signal, subprocess, sys, time
from bench.kernel import Field, Kernel, Work, implementation

class Faulty(Kernel):
    name = "faulty"
    fields = (Field("n", "size"),)
    precisions = ("fp32",)
    def cases(self, suite, device): return [{"n": 8}]
    def work(self, case, precision): return Work(case["n"], 4 * case["n"], 4 * case["n"])
    def inputs(self, case, precision, device, data, generator):
        import torch
        return {"x": torch.randn(case["n"], generator=generator)}
    def reference(self, inputs, rows=None):
        y = inputs["x"].double().reshape(-1, 1) * 2
        return y if rows is None else y[rows]
    def output_rows(self, case): return case["n"]
    def rows(self, output, case): return output.reshape(-1, 1)
    def reduction_length(self, case): return 1

    @implementation("a-dies", precisions=("fp32",))
    def dies(self, inputs): return lambda: os.kill(os.getpid(), signal.SIGSEGV)
    @implementation("b-exits", precisions=("fp32",))
    def exits(self, inputs): return lambda: os._exit(7)
    @implementation("c-raises", precisions=("fp32",))
    def raises(self, inputs): raise RuntimeError("no such luck")
    @implementation("d-wrong", precisions=("fp32",))
    def wrong(self, inputs): return lambda: inputs["x"] * 3
    @implementation("e-nan", precisions=("fp32",))
    def nan(self, inputs): return lambda: inputs["x"] / 0 - inputs["x"] / 0
    @implementation("f-cached", precisions=("fp32",))
    def cached(self, inputs):
        kept = inputs["x"] * 2
        return lambda: kept
    @implementation("g-memory", precisions=("fp32",))
    def memory(self, inputs): raise MemoryError("too much")
    @implementation("h-right", precisions=("fp32",))
    def right(self, inputs): return lambda: inputs["x"] * 2
    @implementation("i-aborts", precisions=("fp32",))
    def aborts(self, inputs): return os.abort
    @implementation("j-hangs", precisions=("fp32",))
    def hangs(self, inputs): return lambda: time.sleep(10_000)
    @implementation("k-eats-memory", precisions=("fp32",))
    def eats(self, inputs):
        def call():
            held = []
            while True:
                held.append(b"x" * 50_000_000)
                time.sleep(0.02)
        return call
    @implementation("l-prints", precisions=("fp32",))
    def prints(self, inputs):
        sys.stdout.write("x" * 20_000_000)
        print("\\n" * 1000, file=sys.stderr)
        return lambda: inputs["x"] * 2
    @implementation("m-shape", precisions=("fp32",))
    def shape(self, inputs): return lambda: inputs["x"][:3] * 2
    @implementation("n-leaves-a-child", precisions=("fp32",))
    def child(self, inputs):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # left behind"])
        trace = "Exception raised from there at here.cpp:1\\nframe #0: one (0x1 in lib.so)\\nframe #1: clone + 0x2"
        print(f"terminate called: the watchdog's word\\n{trace}", file=sys.stderr, flush=True)
        return os.abort
    @implementation("o-stale", precisions=("fp32",))
    def stale(self, inputs):
        out = inputs["x"] * 0
        calls = []
        def call():
            calls.append(1)
            if len(calls) == 1:
                out.copy_(inputs["x"] * 2)
            return out
        return call
    @implementation("p-not-a-tensor", precisions=("fp32",))
    def nothing(self, inputs): return lambda: None
    @implementation("q-right-again", precisions=("fp32",))
    def again(self, inputs): return lambda: inputs["x"] + inputs["x"]
'''

EXPECTED = {
    "a-dies": ("crashed", "SIGSEGV"),
    "b-exits": ("crashed", "exit code 7"),
    "c-raises": ("failed", "no such luck"),
    "d-wrong": ("wrong", "above the tolerance"),
    "e-nan": ("wrong", "NaN"),
    "f-cached": ("wrong", ""),
    "g-memory": ("out_of_memory", "too much"),
    "i-aborts": ("crashed", "SIGABRT"),
    "j-hangs": ("timeout", "no result after 15 s"),
    "k-eats-memory": ("out_of_memory", "over the limit of 1.5 GB"),
    "m-shape": ("wrong", "shape"),
    "n-leaves-a-child": ("crashed", "SIGABRT (terminate called: the watchdog's word)"),
    "o-stale": ("wrong", ""),
    "p-not-a-tensor": ("wrong", "NoneType"),
}
RIGHT = ("h-right", "l-prints", "q-right-again")


@pytest.fixture(scope="module")
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH that holds the faulty plugin as an installed distribution."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "faulty_plugin.py").write_text(PLUGIN)
    info = folder / "faulty_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bench.kernels]\nfaulty = faulty_plugin:Faulty\n")
    return folder


def test_each_fault_costs_its_own_row_and_nothing_else(cli: Cli, plugin_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "faults.jsonl"
    environment = {"PYTHONPATH": os.pathsep.join([str(plugin_path), os.environ.get("PYTHONPATH", "")])}
    arguments = ["--kernel", "faulty", "--implementation", "all", "--device", "cpu", "--precision", "fp32"]
    limits = ["--budget", "250", "--retries", "0", "--case-timeout", "15", "--memory-limit", "1.5"]
    result = cli("run", *arguments, *limits, "--out", str(out), env=environment)
    run = records.read(out)
    rows = {row.implementation: row for row in run.measurements}
    for name, (status, words) in EXPECTED.items():
        assert rows[name].status == status and words in rows[name].reason, (name, rows[name].reason)
        assert rows[name].time is None, "what failed its check or died is never timed"
    for name in RIGHT:
        assert rows[name].status in records.MEASURED, (name, rows[name].reason)
    assert set(rows) == {*EXPECTED, *RIGHT}
    assert not _left_behind(), "whatever a kernel starts ends with its worker"
    assert result.code in (0, 4) and run.end is not None and run.end.status == "complete"
    assert "Traceback" not in result.err


def test_best_passes_over_what_fails(cli: Cli, plugin_path: Path, tmp_path: Path) -> None:
    """The right one is found among the wrong and those that take their worker down: a new one goes on without them."""
    plugin = (plugin_path / "faulty_plugin.py").read_text()
    harmless = plugin.replace("time.sleep(10_000)", "None")
    harmless = harmless.replace("return os.abort", "return lambda: None").replace("while True:", "for _ in range(2):")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "faulty_plugin.py").write_text(harmless)
    info = tmp_path / "path" / "faulty_plugin-1.0.dist-info"
    info.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (info / name).write_text((plugin_path / "faulty_plugin-1.0.dist-info" / name).read_text())
    out = tmp_path / "best.jsonl"
    environment = {"PYTHONPATH": str(tmp_path / "path")}
    arguments = ["--kernel", "faulty", "--device", "cpu", "--budget", "200", "--row-budget", "1", "--retries", "0"]
    result = cli("run", *arguments, "--out", str(out), env=environment)
    assert result.code in (0, 4), result.err
    rows = [row for row in records.read(out).measurements if row.status in records.MEASURED]
    assert [row.implementation for row in rows] and rows[0].implementation in RIGHT
    screened = {each["implementation"]: each for each in rows[0].screened}
    assert {each["status"] for each in screened.values()} >= {"wrong", "failed", "out_of_memory"}
    for name in ("a-dies", "b-exits"):
        assert screened[name]["status"] == "crashed" and EXPECTED[name][1] in screened[name]["reason"]
        assert any(f"without {name}" in warning for warning in rows[0].warnings)


def _left_behind() -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any("left behind" in word for word in process.info["cmdline"] or []):
            found.append(process.pid)
    return found
