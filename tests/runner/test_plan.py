"""The plan: which rows a run has, in which order, and why some can't be measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bench.errors import UsageError
from bench.kernel import Case, DeviceView, Field, Implementation, Inputs, Kernel, Role, Work, implementation
from bench.plugins import Plugins
from bench.runner.plan import Item, Selection, check, items, narrowed

CPU = DeviceView("cpu", "cpu")


def _never(kernel: Any, inputs: Inputs) -> Callable[[], Any]:
    raise AssertionError("planning builds nothing")


class Toy(Kernel):
    """Two cases a suite; one implementation for any device, one for CUDA alone, one that wants even sizes."""

    name = "toy"
    fields = (Field("n", "size"),)
    precisions = ("fp32", "fp16")
    everywhere = implementation("everywhere", precisions=("fp32",))(_never)
    cuda = implementation("cuda-only", precisions=("fp32", "fp16"), devices=("cuda",))(_never)
    even = implementation(
        "even", precisions=("fp32",), supports=lambda case, *_: "" if int(case["n"]) % 2 == 0 else "n is odd"
    )(_never)

    def cases(self, suite: str, device: DeviceView) -> Sequence[Case]:
        return [{"n": 1}, {"n": 2}]

    def work(self, case: Case, precision: str) -> Work:
        return Work(int(case["n"]), 1, 1)

    def inputs(self, case: Case, precision: str, device: DeviceView, data: str, generator: Any) -> dict[str, Any]:
        raise AssertionError("planning makes no inputs")

    def reference(self, inputs: Inputs, rows: Any = None) -> Any:
        raise AssertionError("planning computes nothing")

    def output_rows(self, case: Case) -> int:
        return 1

    def reduction_length(self, case: Case) -> int:
        return 1


class Bandwidth(Toy):
    """The same in another role."""

    name = "bandwidth"
    role = Role.BANDWIDTH
    precisions = ("fp32",)


class Ceiling(Toy):
    """The same as a ceiling."""

    name = "ceiling"
    role = Role.CEILING
    precisions = ("fp32",)


class Collective(Toy):
    """A role that a plain run leaves out."""

    name = "collective"
    role = Role.COLLECTIVE

    def placed(self, case: Case, device: DeviceView) -> Case:
        return {"n": int(case["n"]) * device.ranks}


PLUGINS = Plugins(kernels={kernel.name: kernel for kernel in (Toy, Bandwidth, Ceiling, Collective)})


def _plan(selection: Selection, native: Sequence[str] = ()) -> list[Item]:
    check(selection, PLUGINS)
    return items(selection, PLUGINS, CPU, native)


def test_a_plain_run_has_compute_and_bandwidth_at_what_is_asked_everywhere() -> None:
    rows = {(item.kernel, item.precision) for item in _plan(Selection())}
    assert rows == {("toy", "fp32"), ("toy", "fp16"), ("bandwidth", "fp32")}


def test_ceilings_join_from_the_standard_suite_on_and_come_before_what_they_bound() -> None:
    for suite in ("standard", "full"):
        rows = [item.kernel for item in _plan(Selection(suite=suite)) if item.case["n"] == 1]
        assert rows == ["bandwidth", "ceiling", "toy", "toy"]
    assert [item.kernel for item in _plan(Selection(kernels=("ceiling",)))] == ["ceiling", "ceiling"]


def test_a_case_of_the_user_is_completed_by_the_device() -> None:
    asked = Selection(kernels=("collective",), cases=("n=3",), precisions=("fp32",))
    (item,) = items(asked, PLUGINS, DeviceView("cpu", "cpu", rank=1, ranks=4), ())
    assert item.case == {"n": 12}


def test_the_first_case_of_every_kernel_comes_before_the_second_of_any() -> None:
    sizes = [item.case["n"] for item in _plan(Selection())]
    assert sizes == sorted(sizes)


def test_native_precisions_are_added_where_the_kernel_has_them() -> None:
    assert {item.precision for item in _plan(Selection(kernels=("toy",)), native=["fp64", "bf16"])} == {"fp32", "fp16"}


def test_candidates_are_those_that_can_and_the_others_say_why_not() -> None:
    odd, even = (item for item in _plan(Selection(kernels=("toy",), precisions=("fp32",))))
    assert odd.candidates == ("everywhere",)
    assert dict(odd.unsupported)["even"] == "n is odd"
    assert "cuda" in dict(odd.unsupported)["cuda-only"]
    assert even.candidates == ("everywhere", "even")


def test_a_precision_that_the_kernel_lacks_is_a_row_with_the_reason() -> None:
    rows = _plan(Selection(kernels=("toy",), precisions=("int8",)))
    assert rows and all(not row.candidates and "no meaning at int8" in row.unsupported[0][1] for row in rows)


def test_all_is_a_row_for_each_implementation_that_has_the_precision() -> None:
    rows = _plan(Selection(kernels=("toy",), precisions=("fp32",), cases=("n=1",), implementation="all"))
    assert [row.candidates or row.unsupported[0][0] for row in rows] == [("everywhere",), "cuda-only", "even"]


def test_a_precision_that_no_implementation_has_is_still_a_row() -> None:
    (row,) = _plan(Selection(kernels=("toy",), precisions=("int8",), cases=("n=1",), implementation="all"))
    assert not row.candidates and row.unsupported


def test_an_implementation_by_name_measures_nothing_else() -> None:
    rows = _plan(Selection(kernels=("toy",), precisions=("fp32",), implementation="even"))
    assert [row.candidates for row in rows] == [(), ("even",)]


def test_best_leaves_out_what_accumulates_otherwise_or_is_slow_to_set_up_unless_it_is_named() -> None:
    class Wider(Toy):
        halved = implementation("halved", precisions=("fp16",), accumulate={"fp16": "fp16"})(_never)
        compiler = implementation("compiler", precisions=("fp32", "fp16"), in_best=False)(_never)

    plugins = Plugins(kernels={"toy": Wider})

    def planned(implementation: str, precision: str) -> Item:
        return items(Selection(implementation=implementation, precisions=(precision,)), plugins, CPU, ())[0]

    assert planned("best", "fp32").candidates == ("everywhere",)
    left_out = dict(planned("best", "fp16").unsupported)
    assert "accumulates in fp16" in left_out["halved"]
    assert "--implementation compiler" in left_out["compiler"]
    for name in ("halved", "compiler"):
        assert planned(name, "fp16").candidates == (name,)


def test_an_implementation_added_by_another_package_takes_part() -> None:
    added = Implementation("added", _never, ("fp32",), kernel="toy")
    plugins = Plugins(kernels={"toy": Toy}, added={"toy": [added]})
    (row,) = items(Selection(cases=("n=1",), kernels=("toy",), precisions=("fp32",)), plugins, CPU, ())
    assert row.candidates == ("everywhere", "added")


@pytest.mark.parametrize(
    ("selection", "word"),
    [
        (Selection(suite="fast"), "--suite"),
        (Selection(kernels=("tow",)), "'toy'"),
        (Selection(precisions=("fp31",)), "fp32"),
        (Selection(cases=("n=1",)), "--kernel"),
        (Selection(cases=("n=1",), kernels=("toy", "bandwidth")), "one --kernel"),
        (Selection(cases=("n=0",), kernels=("toy",)), "n=0"),
        (Selection(implementation="evn"), "'even'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_starts(selection: Selection, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check(selection, PLUGINS)


def test_an_installation_without_kernels_says_how_to_get_them() -> None:
    with pytest.raises(UsageError, match="pip install"):
        items(Selection(), Plugins(), CPU, ())


def test_a_plan_is_narrowed_to_rows_by_number_over_all_devices() -> None:
    whole = _plan(Selection(kernels=("toy",), precisions=("fp32",)))
    narrow = narrowed({"cpu:0": whole, "cpu:1": whole}, [(2, ""), (len(whole) + 1, "everywhere")])
    assert narrow["cpu:0"] == [whole[1]]
    (held,) = narrow["cpu:1"]
    assert (held.case, held.label, held.candidates) == (whole[0].case, "best", ("everywhere",))


@pytest.mark.parametrize(
    ("rows", "words"),
    [([(0, "")], ["row 0", "1 … 2"]), ([(3, "")], ["row 3"]), ([(1, "even")], ["row 1", "even", "everywhere"])],
)
def test_a_row_that_the_plan_lacks_is_refused(rows: list[tuple[int, str]], words: list[str]) -> None:
    whole = _plan(Selection(kernels=("toy",), precisions=("fp32",)))
    with pytest.raises(UsageError) as error:
        narrowed({"cpu": whole}, rows)
    assert all(word in str(error.value) for word in words)
