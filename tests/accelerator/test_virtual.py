"""Whole runs on an accelerator that torch knows nothing of: the path of every backend without a special case here.

The device is in software (virtual.cpp): a stream that works behind the host's back, events, pinned memory, 1 GiB of its
own. Its copies take a millisecond at least, so that whoever reads before it has written, or doesn't wait, is found out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.records import USABLE

HERE = Path(__file__).parent
WRITTEN_FOR = "2.13."
"""The torch whose headers virtual.cpp is written for: what a backend has to offer grows with each."""
LATENCY_S = 1e-3
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: virtual-accelerator\nVersion: 0\n",
    "entry_points.txt": "[torch.backends]\nvirtual = virtual_accelerator:load\n"
    "[bench.implementations]\nbreaks = breaking:breaks\n",
}
BREAKING = '''
"""An implementation of `copy` that breaks the device."""
from bench.kernel import implementation

@implementation("breaks", precisions=("fp32",), devices=("virtual",), kernel="copy")
def breaks(kernel, inputs):
    import torch
    def call():
        torch.virtual.break_down(inputs["a"].device)
        return inputs["a"]
    return call
'''
BRIEF = ["--budget", "120", "--row-budget", "2", "--retries", "0"]

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, absent: Callable[[str, str], Any]) -> dict[str, str]:
    """The environment in which torch finds the accelerator, as it finds a vendor's package."""
    if not torch.__version__.startswith(WRITTEN_FOR):
        pytest.skip(f"virtual.cpp is written for torch {WRITTEN_FOR}*, and this is {torch.__version__}")
    compiler = shutil.which("g++")
    if compiler is None:
        absent("g++", "g++ is not installed")
    folder = tmp_path_factory.mktemp("virtual")
    library, there = folder / "libvirtual.so", Path(torch.__file__).parent
    command = [compiler, "-shared", "-fPIC", "-std=c++20", "-O1", "-w", f"-I{there}/include"]
    command += [f"-I{there}/include/torch/csrc/api/include", str(HERE / "virtual.cpp"), "-o", str(library)]
    command += [f"-L{there}/lib", "-lc10", "-ltorch_cpu", f"-Wl,-rpath,{there}/lib"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    shutil.copy(HERE / "virtual_accelerator.py", folder)
    (folder / "breaking.py").write_text(BREAKING)
    information = folder / "virtual_accelerator-0.dist-info"
    information.mkdir()
    for name, text in METADATA.items():
        (information / name).write_text(text)
    return {"PYTHONPATH": str(folder), "VIRTUAL_ACCELERATOR_LIBRARY": str(library)}


@pytest.fixture
def run(cli: Run, installed: dict[str, str], tmp_path: Path) -> Run:
    """`run("--kernel", …)` on the accelerator: its exit code, devices and rows."""

    def one(*arguments: str, device: str = "virtual") -> Any:
        out = tmp_path / f"{len(list(tmp_path.glob('*.jsonl')))}.jsonl"
        done = cli("run", "--device", device, *BRIEF, "--out", str(out), *arguments, env=installed)
        assert out.exists(), done.err
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        return done, [one for one in lines if one["type"] == "device"], rows_of(lines)

    return one


def rows_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == "measurement"]


def measured(row: dict[str, Any]) -> bool:
    """Timed and right, whatever else a busy machine did to it."""
    assert row["check"] and row["check"]["passed"], row["reason"]
    return row["time"] is not None and row["rate"] is not None


def test_it_is_found_with_what_its_module_tells(cli: Run, installed: dict[str, str]) -> None:
    found = json.loads(cli("devices", "--device", "virtual:1", "--format", "json", env=installed).out)["devices"]
    assert [(one["device"], one["name"], one["memory_bytes"]) for one in found] == [
        ("virtual:1", "Virtual accelerator", 2**30)
    ]


def test_copies_are_waited_for_by_its_events_and_arrive_whole(run: Run) -> None:
    done, (device,), rows = run("--kernel", "host_to_device,device_to_host")
    assert done.code in (0, 4), done.err
    assert [row["kernel"] for row in rows] == ["host_to_device", "device_to_host"]
    for row in rows:
        assert measured(row) and row["time"]["timer"].startswith("event")
        assert row["time"]["median_s"] >= LATENCY_S
        assert (row["role"], row["cache"], row["work"]["operations"]) == ("transfer", "warm", 0)
        assert row["utilization"] is None and "nothing tells which link" in row["utilization_reason"]
    assert device["pcie"] is None


def test_copies_of_pageable_memory_too(run: Run) -> None:
    for kernel in ("host_to_device", "device_to_host"):
        _, _, (row,) = run("--kernel", kernel, "--case", "bytes=1048576,memory=pageable")
        assert measured(row) and row["time"]["median_s"] >= LATENCY_S


def test_products_are_right_at_each_precision_and_set_against_a_users_rating(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[device]]\nname = "Virtual accelerator"\nfp32_tflops = 1\n')
    arguments = ["--kernel", "gemm", "--case", "m=64,n=64,k=64", "--precision", "fp32,fp16,int8"]
    _, _, rows = run(*arguments, "--ratings", str(own), device="virtual:1")
    assert [row["precision"] for row in rows] == ["fp32", "fp16", "int8"]
    assert all(measured(row) and row["device"] == "virtual:1" for row in rows)
    assert rows[0]["utilization"] and rows[0]["rated"]["kind"] == "user"
    assert rows[1]["utilization"] is None and rows[1]["utilization_reason"]


def test_a_convolution_and_attention_go_by_torchs_own_operators(run: Run) -> None:
    _, _, (conv,) = run("--kernel", "conv", "--case", "n=1,c=8,h=14,w=14,k=8,r=3,s=3", "--precision", "fp32")
    case = "batch=1,heads=2,kv_heads=2,q_len=32,kv_len=32,head_dim=16,causal=1"
    _, _, (attention,) = run("--kernel", "attention", "--case", case, "--precision", "fp32")
    assert measured(conv) and measured(attention)


def test_what_does_not_fit_is_out_of_memory_and_the_next_row_is_measured(run: Run) -> None:
    arguments = [
        "--kernel",
        "gemm",
        "--precision",
        "fp32",
        "--case",
        "m=32768,n=32768,k=64",
        "--case",
        "m=64,n=64,k=64",
    ]
    _, _, (large, small) = run(*arguments)
    assert large["status"] == "out_of_memory" and "GB" in large["reason"]
    assert measured(small)


def test_an_implementation_that_breaks_the_device_costs_no_other_its_row(run: Run) -> None:
    _, _, (row,) = run("--kernel", "copy", "--case", "bytes=65536")
    assert measured(row) and row["implementation"] == "torch"
    (broken,) = (one for one in row["screened"] if one["implementation"] == "breaks")
    assert broken["status"] == "failed" and "an illegal access was encountered" in broken["reason"]


def test_all_devices_of_a_machine_measure_at_once_into_one_file(run: Run) -> None:
    done, devices, rows = run("--kernel", "memory", "--case", "bytes=1048576", device="all")
    names = ["virtual:0", "virtual:1", "cpu"]
    assert sorted(one["device"] for one in devices) == sorted(names)
    assert {one["ranks"] for one in devices} == {3}
    assert sorted(row["device"] for row in rows) == sorted(names) and all(measured(row) for row in rows)
    assert "3 ranks at once" in done.out


def test_a_collective_that_torch_has_no_transport_for_is_a_row_that_says_so(run: Run) -> None:
    _, _, rows = run("--kernel", "all_reduce", "--case", "bytes=4096", "--ranks", "2")
    assert rows and {row["status"] for row in rows} == {"unsupported"}
    assert all("no backend for virtual" in row["reason"] for row in rows)


def test_it_can_be_searched(cli: Run, installed: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "found.jsonl"
    arguments = ["--kernel", "gemm", "--precision", "fp32", "--space", "m=16:32:16,n=16:32:16,k=16:32:16"]
    done = cli("find", "--device", "virtual", *arguments, "--budget", "60", "--out", str(out), env=installed)
    rows = rows_of([json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()])
    assert rows and all(measured(row) for row in rows), done.err
    assert {row["status"] for row in rows} & set(USABLE) or done.code == 4
