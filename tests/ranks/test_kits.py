"""The kits for Slurm and Kubernetes: scripts without a fault, a manifest that holds together, who is drained."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cli.main import parser_for

SCRIPTS = ("examples/slurm/bench.sbatch", "examples/slurm/prolog.sh")

PYTHON = """#!/usr/bin/env bash
# Stands for the interpreter: `bench run` and `bench fleet` end and say as the environment tells.
words="$*"
if [[ $words == *"bench run"* ]]; then
    echo "$RUN_WORDS"
    while (($#)); do
        [[ $1 == --out && -n $RUN_FILE ]] && echo "a run file" >"$2"
        shift
    done
    exit "$RUN_CODE"
fi
echo "$FLEET_WORDS"
exit "$FLEET_CODE"
"""


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_has_no_fault(checkout: Path, require: Callable[[str], str], script: str) -> None:
    assert os.access(checkout / script, os.X_OK)
    done = subprocess.run(
        [require("shellcheck"), str(checkout / script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("run_code", "run_words", "run_file", "fleet_code", "fleet_words", "code", "drained"),
    [
        (0, "", "yes", 0, "none sick", 0, ""),
        (0, "", "yes", 1, "kind  devices  sick\nSICK node0 rank 1 cuda:1: clock", 1, "SICK node0 rank 1 cuda:1: clock"),
        (1, "", "yes", 0, "none sick", 0, ""),  # rows too noisy to use are no sickness
        (0, "", "yes", 3, "no device that can be judged", 0, ""),
        (1, "bench: no rank could measure: rank 0: cuda is absent", "", 0, "", 1, "cuda is absent"),
        (124, "", "", 0, "", 1, "no answer"),
        (1, "bench: --device: unknown value", "", 0, "", 0, ""),  # a mistake in the script drains no node
    ],
)
def test_the_prolog_drains_a_sick_node_and_no_other(
    checkout: Path,
    tmp_path: Path,
    require: Callable[[str], str],
    run_code: int,
    run_words: str,
    run_file: str,
    fleet_code: int,
    fleet_words: str,
    code: int,
    drained: str,
) -> None:
    tools = {"python": PYTHON, "scontrol": f'#!/bin/sh\necho "$@" >>{tmp_path}/drained\n', "logger": "#!/bin/sh\n"}
    for name, text in tools.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "BENCH_PYTHON": str(tmp_path / "python"),
        "BENCH_STORE": str(tmp_path / "store"),
        "BENCH_GPUS": "2",
        "RUN_CODE": str(run_code),
        "RUN_WORDS": run_words,
        "RUN_FILE": run_file,
        "FLEET_CODE": str(fleet_code),
        "FLEET_WORDS": fleet_words,
    }
    done = subprocess.run(
        [require("bash"), str(checkout / "examples/slurm/prolog.sh")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    said = (tmp_path / "drained").read_text() if (tmp_path / "drained").exists() else ""
    assert ("State=DRAIN" in said) == bool(drained) and drained in said


def test_a_node_without_a_gpu_is_drained(checkout: Path, tmp_path: Path, require: Callable[[str], str]) -> None:
    environment = {"PATH": os.environ["PATH"], "BENCH_PYTHON": require("bash"), "BENCH_STORE": str(tmp_path)}
    done = subprocess.run(
        [require("bash"), str(checkout / "examples/slurm/prolog.sh")],
        env=environment | {"BENCH_GPUS": "0"},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1


def test_the_prolog_counts_cards_and_not_their_slices(
    checkout: Path, tmp_path: Path, require: Callable[[str], str]
) -> None:
    tools = {
        "python": '#!/bin/sh\necho "$@" >>launched\n',
        "logger": "#!/bin/sh\n",
        "nvidia-smi": "#!/bin/sh\necho 'GPU 0: H100 (UUID: GPU-1)'\necho '  MIG 1g.10gb Device 0: (UUID: MIG-1)'\n",
    }
    for name, text in tools.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "BENCH_PYTHON": str(tmp_path / "python"),
        "BENCH_STORE": str(tmp_path / "store"),
    }
    subprocess.run(
        [require("bash"), str(checkout / "examples/slurm/prolog.sh")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (tmp_path / "launched").read_text().startswith("-m bench run "), "one card needs no torchrun"


def test_what_the_scripts_run_parses(checkout: Path) -> None:
    """The options of the check, with the shell's words replaced."""
    text = (checkout / "examples/slurm/prolog.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if "bench run" in line and "timeout" in line]
    words = line.partition("bench run ")[2].partition(">")[0].replace('"', "").split()
    args = parser_for("run").parse_args(["cuda" if word == "$device" else word for word in words])
    assert args.budget < 55 and args.device == "cuda"


def test_the_manifest_holds_together(checkout: Path) -> None:
    documents: list[dict[str, Any]] = list(
        yaml.safe_load_all((checkout / "examples/kubernetes/bench.yaml").read_text(encoding="utf-8"))
    )
    service, job = documents
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert spec["completionMode"] == "Indexed"
    assert spec["parallelism"] == spec["completions"] == int(environment["NODES"])
    assert container["resources"]["limits"]["nvidia.com/gpu"] == int(environment["GPUS"])
    assert pod["subdomain"] == service["metadata"]["name"], "the name of pod 0 has to resolve"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    address = f"--master-addr={job['metadata']['name']}-0.{pod['subdomain']} "
    assert address in container["command"][2]
    mounts = {each["name"] for each in container["volumeMounts"]}
    assert mounts == {each["name"] for each in pod["volumes"]}


def test_the_manifests_script_parses(checkout: Path, require: Callable[[str], str]) -> None:
    text = (checkout / "examples/kubernetes/bench.yaml").read_text(encoding="utf-8")
    script = list(yaml.safe_load_all(text))[1]["spec"]["template"]["spec"]["containers"][0]["command"][2]
    done = subprocess.run(
        [require("bash"), "-n"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
