"""Scenarios in the plan: which calls become rows, in which order, and what can't be one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import plugins, suites
from bench.errors import UsageError
from bench.kernel import DeviceView, Role
from bench.plugins import Plugins
from bench.runner.plan import Item, Selection, case_reason, check, items, planned

INSTALLED = plugins.load()
CPU = DeviceView("cpu", "cpu", isa=frozenset({"avx2", "fma"}), units=2, memory_bytes=16 << 30)
GPU = DeviceView("cuda", "cuda:0", vendor="nvidia", capability=(9, 0), architecture="sm_90", memory_bytes=80 << 30)
PRETRAIN = Selection(suite="llm_pretrain")


def plan(selection: Selection, device: DeviceView = CPU, installed: Plugins = INSTALLED) -> list[Item]:
    check(selection, installed)
    return items(selection, installed, device, [])


def test_every_call_is_a_row_at_each_of_its_precisions_after_the_bandwidth() -> None:
    rows = plan(PRETRAIN)
    bandwidth = [row.role is Role.BANDWIDTH for row in rows]
    assert bandwidth[0] and bandwidth == sorted(bandwidth, reverse=True)
    asked = [(row.scenario.entry, row.precision, row.scenario.weight) for row in rows if row.scenario]
    scenario = suites.load()["llm_pretrain"]
    assert asked == [(entry.id, name, entry.weight) for entry in scenario.entry for name in entry.precisions]


def test_a_processor_gets_the_tiny_size_and_a_gpu_the_full_one() -> None:
    for selection, device, size, m in (
        (PRETRAIN, CPU, "tiny", 256),
        (PRETRAIN, GPU, "full", 8192),
        (replace(PRETRAIN, suite="llm_pretrain:full"), CPU, "full", 8192),
        (replace(PRETRAIN, suite="llm_pretrain:tiny"), GPU, "tiny", 256),
    ):
        first = next(row for row in plan(selection, device) if row.scenario)
        assert first.scenario is not None and (first.scenario.size, first.case["m"]) == (size, m)
        assert {one.size for one in planned(selection, "x", device)} == {size}


def test_cases_are_whole_so_that_they_are_the_series_they_always_were() -> None:
    first = next(row for row in plan(PRETRAIN) if row.scenario)
    assert dict(first.case) == INSTALLED.kernel("gemm").complete_case(first.case)


def test_all_scenarios_come_one_after_the_other() -> None:
    names = [row.scenario.suite for row in plan(Selection(suite="scenarios")) if row.scenario]
    assert list(dict.fromkeys(names)) == list(suites.load())
    assert names == sorted(names, key=list(suites.load()).index)


def test_options_leave_rows_out_but_not_the_scenario_whole() -> None:
    selection = replace(PRETRAIN, kernels=("attention",))
    rows = plan(selection)
    assert rows and {row.kernel for row in rows} == {"attention"}, "no bandwidth beside kernels that were named"
    (whole,) = planned(selection, "cpu", CPU)
    assert "qkv" in whole.entries, "what was left out makes the scenario incomplete"


def test_a_precision_left_out_is_not_asked_for() -> None:
    selection = replace(PRETRAIN, precisions=("fp8", "fp32"))
    assert {row.precision for row in plan(selection) if row.scenario} == {"fp8"}
    (whole,) = planned(selection, "cpu", CPU)
    assert whole.entries["qkv"] == ["fp8"] and whole.entries["attn"] == []


def test_a_kernel_that_is_not_installed_is_a_row_with_the_reason() -> None:
    without = Plugins(kernels={name: kernel for name, kernel in INSTALLED.kernels.items() if name != "attention"})
    (row,) = (row for row in plan(PRETRAIN, installed=without) if row.scenario and row.scenario.entry == "attn")
    assert not row.candidates
    assert "no kernel 'attention' is installed" in row.unsupported[0][1]


def test_a_case_that_the_installed_kernel_does_not_know_says_so() -> None:
    assert "no such field" in case_reason(INSTALLED, "gemm", {"m": 1, "n": 1, "k": 1, "sparsity": 2})
    assert case_reason(INSTALLED, "gemm", {"m": 1, "n": 1, "k": 1}) == ""


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (replace(PRETRAIN, precisions=("fp32",)), ["--precision", "fp32", "llm_pretrain", "bf16, fp8"]),
        (replace(PRETRAIN, kernels=("gemm",), cases=("m=1,n=1,k=1",)), ["--case", "llm_pretrain"]),
        (Selection(suite="llm_pretrian"), ["--suite", "llm_pretrian", "'llm_pretrain'"]),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_allowed(selection: Selection, words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        check(selection, INSTALLED)
    assert all(word in str(error.value) for word in words), error.value


def test_a_suite_of_the_kernels_plans_no_scenario() -> None:
    assert planned(Selection(), "cpu", CPU) == []
    assert all(row.scenario is None for row in plan(Selection()))
