"""The CI kits do what docs/ci.md says: their own steps, taken from the YAML and run as a runner would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from bench import records
from tests.factories import measurement, run_file

EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
SHA = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], None: ["bash", "-e"]}
"""What GitHub's runners start for `shell: bash`, and where a step names none."""

GH = """#!{python}
# GitHub's API, as far as the report asks for it: one artefact to hand out, and statuses to note down.
import os, sys
from pathlib import Path

words, folder = sys.argv[1:], Path(os.environ["FAKE_GITHUB"])
route = next(word for word in words if word.startswith("repos/"))
if "/statuses/" in route:
    fields = [word for word in words if "=" in word]
    (folder / "status").write_text("\\n".join([route.rpartition("/")[2], *fields]))
elif route.endswith("/artifacts?name=bench"):
    print(7 if (folder / "artefact.zip").exists() else "")
elif route.endswith("/artifacts/7/zip"):
    sys.stdout.buffer.write((folder / "artefact.zip").read_bytes())
else:
    sys.exit(f"gh: HTTP 404: {{route}}")
"""


@dataclass
class Runner:
    """A runner's folders and files, and the steps that it runs."""

    folder: Path
    checkout: Path
    values: dict[str, str] = field(default_factory=dict)
    """What expressions stand for: "inputs.command", "github.event.workflow_run.id"."""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("temp", "work", "bin", "api"):
            (self.folder / name).mkdir()
        for name in ("summary", "output", "path"):
            (self.folder / name).touch()
        for tool, text in (("python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'), ("gh", GH)):
            path = self.folder / "bin" / tool
            path.write_text(text.format(python=sys.executable) if tool == "gh" else text)
            path.chmod(0o755)

    def step(self, script: str, shell: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        file = self.folder / "script.sh"
        file.write_text(script)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "BENCH_"))}
        github = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_PATH": str(self.folder / "path"),
            "GITHUB_ACTION_PATH": str(self.checkout),
            "GITHUB_REPOSITORY": "somebody/kernels",
            "GITHUB_SERVER_URL": "https://github.invalid",
            "GITHUB_RUN_ID": "99",
            "RUNNER_TEMP": str(self.folder / "temp"),
            "FAKE_GITHUB": str(self.folder / "api"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.checkout),
        }
        return subprocess.run(
            [*shell, str(file)],
            cwd=self.folder / "work",
            env={**inherited, **github, **self.environment, **{name: self.evaluated(env[name]) for name in env}},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def evaluated(self, text: object) -> str:
        return EXPRESSION.sub(lambda found: self.values[found.group(1)], str(text))

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.folder / "output").read_text().splitlines())

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()

    @property
    def status(self) -> list[str]:
        """The commit whose status was set, and the fields of the status."""
        return (self.folder / "api" / "status").read_text().splitlines()


@pytest.fixture
def runner(tmp_path: Path, require: Callable[[str], str]) -> Runner:
    require("bash")
    import bench

    return Runner(tmp_path, Path(bench.__file__).parents[1])


@pytest.fixture
def kit(checkout: Path) -> Callable[[str], dict[Any, Any]]:
    return lambda name: yaml.safe_load((checkout / name).read_text(encoding="utf-8"))


def write_runs(folder: Path, factor: float) -> None:
    """base.jsonl and new.jsonl: three launches of eight products each, the first of them `factor` times as slow."""
    for name, slower in (("base", 1.0), ("new", factor)):
        rows = []
        for launch, noise in enumerate((0.999, 1.0, 1.001)):
            for number in range(8):
                time_s = 1e-3 * noise * (slower if number == 0 else 1.0)
                case = {"m": 64 * (number + 1), "n": 64, "k": 64}
                rows.append(measurement(median_s=time_s, low_s=time_s, high_s=time_s, case=case, launch=launch))
        file = run_file(rows)
        file.run.id = name
        assert file.end is not None
        lines = [file.run, *file.devices, *rows, file.end]
        (folder / f"{name}.jsonl").write_bytes(b"".join(map(records.encode, lines)))


def named(steps: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(step for step in steps if step.get("name") == name)


def uses(document: object) -> list[str]:
    """Every action that a document uses, wherever in it."""
    if isinstance(document, dict):
        own = [document["uses"]] if isinstance(document.get("uses"), str) else []
        return own + [one for value in document.values() for one in uses(value)]
    return [one for value in document for one in uses(value)] if isinstance(document, list) else []


# --- the action ---------------------------------------------------------------------------------------------------


def judged(runner: Runner, kit: Callable[[str], dict[Any, Any]], command: str) -> subprocess.CompletedProcess[str]:
    """The action's step that judges, with the rest of its inputs at their defaults."""
    action = kit("action.yml")
    defaults = {f"inputs.{name}": str(one.get("default", "")) for name, one in action["inputs"].items()}
    runner.values = {**defaults, "inputs.command": command, "inputs.python": sys.executable}
    step = named(action["runs"]["steps"], "Judge")
    return runner.step(step["run"], SHELLS[step["shell"]], step["env"])


def test_a_regression_is_a_red_step_with_summary_annotation_and_report(
    runner: Runner, kit: Callable[[str], dict[Any, Any]]
) -> None:
    write_runs(runner.folder / "work", 1.5)
    done = judged(runner, kit, "compare base.jsonl new.jsonl --threshold '10%'")
    assert done.returncode == 1, done.stderr
    assert runner.outputs["verdict"] == "regression"
    assert runner.outputs["exit-code"] == "1"
    assert "## Benchmark comparison: regression" in runner.summary
    assert "m=64,n=64,k=64" in runner.summary
    (error,) = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert "time +50.0 %" in error
    suite = ElementTree.parse(Path(runner.outputs["report"]) / "junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("tests")) == ("1", "8")


def test_unchanged_code_is_a_green_step(runner: Runner, kit: Callable[[str], dict[Any, Any]]) -> None:
    write_runs(runner.folder / "work", 1.0)
    done = judged(runner, kit, "compare base.jsonl new.jsonl")
    assert done.returncode == 0, done.stderr
    assert runner.outputs["verdict"] == "same"
    assert "::error" not in done.stdout


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("compare absent.jsonl new.jsonl", 3, "absent.jsonl"),
        ("compare base.jsonl", 2, "NEW"),
        ("run --device cpu", 2, "command: it has to begin with ab or compare"),
        ("compare 'base.jsonl new.jsonl", 2, "command: it has to begin with ab or compare"),
        ("compare base.jsonl new.jsonl; touch owned", 2, ""),
        ("compare $(touch owned) `touch owned`", 2, ""),
    ],
)
def test_what_is_no_comparison_is_red_and_never_a_shell_command(
    runner: Runner, kit: Callable[[str], dict[Any, Any]], command: str, code: int, words: str
) -> None:
    write_runs(runner.folder / "work", 1.0)
    done = judged(runner, kit, command)
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert not (runner.folder / "work" / "owned").exists()


# --- two workflows for forks --------------------------------------------------------------------------------------


def measured(runner: Runner, kit: Callable[[str], dict[Any, Any]], command: str) -> subprocess.CompletedProcess[str]:
    """The step of bench-measure.yml that measures."""
    workflow = kit("ci/github/bench-measure.yml")
    step = named(workflow["jobs"]["measure"]["steps"], "Measure")
    return runner.step(step["run"], SHELLS[None], {**workflow["env"], "BENCH_COMMAND": command})


def reported(
    runner: Runner, kit: Callable[[str], dict[Any, Any]], conclusion: str = "success"
) -> subprocess.CompletedProcess[str]:
    """The step of bench-report.yml that reports, of a run that ended with `conclusion`."""
    workflow = kit("ci/github/bench-report.yml")
    job = workflow["jobs"]["report"]
    runner.values = {
        "github.token": "secret",
        "github.event.workflow_run.id": "5",
        "github.event.workflow_run.head_sha": "f" * 40,
        "github.event.workflow_run.conclusion": conclusion,
    }
    step = named(job["steps"], "Report")
    return runner.step(step["run"], SHELLS[None], {**workflow["env"], **job["env"]})


def artefact(runner: Runner, content: bytes, name: str = "comparison.json") -> None:
    with zipfile.ZipFile(runner.folder / "api" / "artefact.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)


@pytest.mark.parametrize(("factor", "state"), [(1.5, "failure"), (1.0, "success")])
def test_what_the_fork_measured_becomes_the_status_of_its_commit(
    runner: Runner, kit: Callable[[str], dict[Any, Any]], factor: float, state: str
) -> None:
    write_runs(runner.folder / "work", factor)
    done = measured(runner, kit, "compare base.jsonl new.jsonl")
    assert done.returncode == 0, "a verdict is not for the job without rights to tell"
    artefact(runner, (runner.folder / "work" / "bench-artefact" / "comparison.json").read_bytes())
    done = reported(runner, kit)
    assert done.returncode == 0, done.stderr
    commit, *fields = runner.status
    assert commit == "f" * 40
    assert f"state={state}" in fields and "context=bench" in fields
    slower = "1" if state == "failure" else "none"
    assert f"description={slower} of 8 series slower" in fields
    assert "m=64,n=64,k=64" in runner.summary


def test_a_measurement_that_failed_is_an_error_and_not_a_pass(
    runner: Runner, kit: Callable[[str], dict[Any, Any]]
) -> None:
    assert measured(runner, kit, "compare absent.jsonl new.jsonl").returncode == 3
    assert reported(runner, kit, "failure").returncode == 0
    assert "state=error" in runner.status
    (runner.folder / "api" / "status").unlink()
    assert reported(runner, kit).returncode == 1, "no artefact"
    assert "state=error" in runner.status


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"no json", "comparison.json"),
        (b'{"verdict": "same", "series": 1}', "comparison.json"),
        (b"{}", "../../escaped.json"),
        (b" " * (33 * 2**20), "comparison.json"),
    ],
    ids=["no json", "no comparison", "a path out of the folder", "33 MiB of nothing"],
)
def test_an_artefact_is_read_as_a_strangers(
    runner: Runner, kit: Callable[[str], dict[Any, Any]], content: bytes, name: str
) -> None:
    artefact(runner, content, name)
    done = reported(runner, kit)
    assert done.returncode == 1, done.stdout
    assert "state=error" in runner.status
    assert "Traceback" not in done.stderr
    assert not list((runner.folder / "work").iterdir()), "nothing is unpacked"
    assert not list(runner.folder.parent.rglob("escaped.json")), "nor beside it"


def test_what_a_fork_writes_into_a_comparison_is_text(runner: Runner, kit: Callable[[str], dict[Any, Any]]) -> None:
    evil = "gemm $(touch owned) `touch owned` ${{ github.token }}\n::error::mine <script> @everybody"
    one = {"series": evil, "verdict": "regression", "reason": "slower", "text": evil, "ratio": 2.0}
    artefact(runner, json.dumps({"verdict": "same", "series": [one]}).encode())
    done = reported(runner, kit)
    assert done.returncode == 0, done.stderr
    assert "state=failure" in runner.status, "the series count, not the word at the top"
    assert "<script>" not in runner.summary and "@everybody" not in runner.summary
    assert [line for line in done.stdout.splitlines() if line.startswith("::error::mine")] == []
    assert not list(runner.folder.glob("**/owned"))


def test_the_workflow_with_rights_runs_nothing_of_the_fork(kit: Callable[[str], dict[Any, Any]]) -> None:
    report, measure = kit("ci/github/bench-report.yml"), kit("ci/github/bench-measure.yml")
    assert uses(report) == [], "it checks nothing out"
    assert report["permissions"] == {"actions": "read", "statuses": "write"}
    assert measure["permissions"] == {"contents": "read"}
    assert set(measure[True]) == {"pull_request"}, "not pull_request_target"  # YAML reads `on` as True
    for workflow in (report, measure):
        for job in workflow["jobs"].values():
            assert not any(EXPRESSION.search(step.get("run", "")) for step in job["steps"]), "values go by environment"


def test_other_peoples_actions_are_pinned_by_commit(kit: Callable[[str], dict[Any, Any]]) -> None:
    assert uses(kit("action.yml")) == []
    for one in uses(kit("ci/github/bench-measure.yml")):
        assert SHA.fullmatch(one), one
    assert not any(EXPRESSION.search(step["run"]) for step in kit("action.yml")["runs"]["steps"])


# --- GitLab -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize(("factor", "code"), [(1.5, 1), (1.0, 0)])
def test_the_gitlab_job_fails_for_a_regression(
    runner: Runner, kit: Callable[[str], dict[Any, Any]], shell: str, factor: float, code: int
) -> None:
    job = kit("ci/gitlab.yml")[".suanli-bench"]
    write_runs(runner.folder / "work", factor)
    script = "\n".join([*job["before_script"], *job["script"]])
    variables = {**job["variables"], "BENCH_PYTHON": "python", "BENCH_COMMAND": "compare base.jsonl new.jsonl"}
    done = runner.step(script, [shell, "-e"], variables)
    assert done.returncode == code, done.stderr
    reports = runner.folder / "work" / "bench-report"
    for name in ("junit", "metrics"):
        assert (runner.folder / "work" / job["artifacts"]["reports"][name]).is_file()
    suite = ElementTree.parse(reports / "junit.xml").getroot()[0]
    assert suite.get("failures") == str(code)
    assert "Benchmark comparison" in done.stdout


# --- all of them --------------------------------------------------------------------------------------------------


def test_the_scripts_have_no_fault_that_shellcheck_finds(
    kit: Callable[[str], dict[Any, Any]], require: Callable[[str], str], tmp_path: Path
) -> None:
    shellcheck = require("shellcheck")
    scripts = [("bash", step["run"]) for step in kit("action.yml")["runs"]["steps"]]
    for name in ("measure", "report"):
        jobs = kit(f"ci/github/bench-{name}.yml")["jobs"].values()
        scripts += [("bash", step["run"]) for job in jobs for step in job["steps"] if "run" in step]
    job = kit("ci/gitlab.yml")[".suanli-bench"]
    # The command is words on purpose: 2086 is "quote to prevent splitting".
    scripts += [("sh", "# shellcheck disable=SC2086\ntrue\n" + "\n".join([*job["before_script"], *job["script"]]))]
    for number, (shell, script) in enumerate(scripts):
        file = tmp_path / f"{number}.sh"
        file.write_text(f"#!/usr/bin/env {shell}\n{script}")
        excluded = ["-e", "SC2086"] if shell == "sh" else []
        done = subprocess.run([shellcheck, *excluded, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_rendering_needs_neither_torch_nor_psutil(runner: Runner, kit: Callable[[str], dict[Any, Any]]) -> None:
    install = kit("ci/github/bench-report.yml")["env"]["BENCH_INSTALL"].split()
    absent = runner.folder / "absent"
    for name in {"torch", "psutil", "pynvml", "msgspec", "tabulate", "rich", "jinja2"} - set(install):
        (absent / name).mkdir(parents=True)
        (absent / name / "__init__.py").write_text(f"raise ModuleNotFoundError('No module named {name}')")
    write_runs(runner.folder / "work", 1.5)
    assert measured(runner, kit, "compare base.jsonl new.jsonl").returncode == 0
    artefact(runner, (runner.folder / "work" / "bench-artefact" / "comparison.json").read_bytes())
    runner.environment["PYTHONPATH"] = f"{absent}{os.pathsep}{runner.checkout}"
    assert reported(runner, kit).returncode == 0
    assert "state=failure" in runner.status
