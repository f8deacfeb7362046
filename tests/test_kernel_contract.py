"""The plugin contract, seen from a small kernel: cases parse or explain themselves, refusals carry their reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.kernel import (
    SUITES,
    Call,
    Case,
    DeviceView,
    Executed,
    Field,
    Implementation,
    Inputs,
    Kernel,
    Work,
    implementation,
    iterate_cases,
)

if TYPE_CHECKING:
    import torch

CPU = DeviceView(type="cpu", torch_device="cpu", vendor="amd", isa=frozenset({"avx2"}))
GPU = DeviceView(type="cuda", torch_device="cuda:0", vendor="nvidia", capability=(9, 0))


def only_even(case: Case, precision: str, device: DeviceView) -> str:
    """Refuse an odd n, and say so."""
    return f"n={case['n']} is odd; pairs needs an even n" if int(case["n"]) % 2 else ""


def carried_by_fp32(case: Case, precision: str, device: DeviceView) -> Executed | None:
    """FP16 goes through the FP32 units where the processor has nothing better."""
    return Executed(2 * int(case["n"]), "fp32", "no FP16 units") if precision == "fp16" else None


class Doubling(Kernel):
    """y = 2·x over n elements, in one of two orders."""

    name = "doubling"
    fields = (
        Field("n", "number of elements", maximum=1 << 20),
        Field("order", "which way to go", default="forward", choices=("forward", "backward")),
        Field("stride", "step between elements", default=1, maximum=16),
    )
    precisions = ("fp32", "fp16")

    def cases(self, suite: str, device: DeviceView) -> list[Case]:
        return [{"n": 8}, {"n": 16}] if suite == "quick" else [{"n": 16, "order": "forward"}, {"n": 32}]

    def rejects(self, case: Case) -> str:
        return (
            ""
            if int(case["n"]) % int(case["stride"]) == 0
            else f"stride={case['stride']} does not divide n={case['n']}"
        )

    def work(self, case: Case, precision: str) -> Work:
        n = int(case["n"])
        return Work(operations=n, bytes_read=4 * n, bytes_written=4 * n)

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        import torch

        return {"x": torch.randn(int(case["n"]), generator=generator)}

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        whole = (2.0 * inputs["x"].double()).reshape(-1, 1)
        return whole if rows is None else whole[rows]

    def output_rows(self, case: Case) -> int:
        return int(case["n"])

    def reduction_length(self, case: Case) -> int:
        return 1

    @implementation("add", precisions=("fp32", "fp16"), executed=carried_by_fp32)
    def add(self, inputs: Inputs) -> Call:
        """x + x.

        Nothing more to it.
        """
        x = inputs["x"]
        return lambda: (x + x).reshape(-1, 1)

    @implementation("pairs", precisions=("fp16",), devices=("cuda",), accumulate={"fp16": "fp16"}, supports=only_even)
    def pairs(self, inputs: Inputs) -> Call:
        """Two at a time."""
        x = inputs["x"]
        return lambda: (2 * x).reshape(-1, 1)


# --- the case parser --------------------------------------------------------------------------------------------------


def test_a_case_is_completed_by_defaults_in_the_order_of_the_fields() -> None:
    assert list(Doubling.parse_case(" n = 8 ").items()) == [("n", 8), ("order", "forward"), ("stride", 1)]
    assert Doubling.parse_case("order=backward,n=8,")["order"] == "backward"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n", ["'n'", "FIELD=VALUE", "n=INTEGER,order=forward|backward"]),
        ("n=", ["'n='", "FIELD=VALUE"]),
        ("n=8,n=9", ["'n'", "twice"]),
        ("n=8,m=9", ["doubling", "'m'", "choose from n, order, stride"]),
        ("n=8,strid=2", ["'strid'", "Did you mean 'stride'?"]),
        ("", ["doubling needs n=", "number of elements"]),
        ("n=many", ["n='many'", "not an integer", "number of elements"]),
        ("n=8.5", ["n='8.5'", "not an integer"]),
        ("n=0", ["n=0", "1 … 1048576"]),
        ("n=-8", ["n=-8", "1 … 1048576"]),
        ("n=99999999999999999999", ["n=99999999999999999999", "1 … 1048576"]),
        ("n=8,order=forwards", ["order", "'forwards'", "backward, forward", "Did you mean 'forward'?"]),
        ("n=9,stride=2", ["stride=2 does not divide n=9"]),
    ],
)
def test_a_wrong_case_names_the_field_the_value_and_what_is_allowed(text: str, said: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        Doubling.parse_case(text)
    message = str(refused.value)
    assert message.startswith("--case: ")
    assert "\n" not in message
    for word in said:
        assert word in message
    assert refused.value.exit_code == 2


@given(st.text(max_size=60) | st.from_regex(r"(n|order|stride|x)=[-+0-9a-z_. ]*(,[a-z]*=?.*)?", fullmatch=True))
@example("n=" + "9" * 5000)  # longer than Python turns into an integer
@example("n=²")
@example("n=1_000")
def test_any_text_is_a_case_or_a_usage_error(text: str) -> None:
    try:
        case = Doubling.parse_case(text)
    except UsageError:
        return
    assert list(case) == ["n", "order", "stride"]
    assert 1 <= int(case["n"]) <= 1 << 20
    assert case["order"] in ("forward", "backward")
    assert Doubling.complete_case(case) == case


@given(n=st.integers(min_value=1, max_value=1 << 20), order=st.sampled_from(["forward", "backward"]))
def test_a_case_written_out_parses_to_itself(n: int, order: str) -> None:
    case = Doubling.complete_case({"n": n, "order": order})
    assert Doubling.parse_case(",".join(f"{name}={value}" for name, value in case.items())) == case


def test_suites_are_run_through_once_each_case() -> None:
    cases = [case["n"] for case in iterate_cases(Doubling(), SUITES, CPU)]
    assert cases == [8, 16, 32]


# --- implementations --------------------------------------------------------------------------------------------------


def test_implementations_are_values_in_the_order_in_which_they_are_written() -> None:
    found = Doubling.implementations()
    assert list(found) == ["add", "pairs"]
    assert all(isinstance(value, Implementation) for value in found.values())
    assert found["add"].summary == "x + x."


def test_a_subclass_adds_to_and_replaces_what_it_inherits() -> None:
    class Tripling(Doubling):
        name = "tripling"

        @implementation("add", precisions=("fp32",))
        def add(self, inputs: Inputs) -> Call:
            """x + x + x."""
            x = inputs["x"]
            return lambda: x + x + x

        @implementation("times", precisions=("fp32",))
        def times(self, inputs: Inputs) -> Call:
            """3·x."""
            x = inputs["x"]
            return lambda: 3 * x

    assert list(Tripling.implementations()) == ["add", "pairs", "times"]
    assert Tripling.implementations()["add"].summary == "x + x + x."
    assert Doubling.implementations()["add"].summary == "x + x."


@pytest.mark.parametrize(
    ("name", "n", "precision", "device", "reason"),
    [
        ("add", 8, "fp32", CPU, ""),
        ("add", 8, "int8", CPU, "add has no int8; it has fp32, fp16"),
        ("pairs", 8, "fp16", GPU, ""),
        ("pairs", 8, "fp16", CPU, "pairs runs on cuda, not on cpu"),
        ("pairs", 9, "fp16", GPU, "n=9 is odd; pairs needs an even n"),
    ],
)
def test_what_an_implementation_cannot_take_has_its_reason(
    name: str, n: int, precision: str, device: DeviceView, reason: str
) -> None:
    case = Doubling.complete_case({"n": n})
    assert Doubling.implementations()[name].reason_unsupported(case, precision, device) == reason


def test_accumulation_is_the_precisions_own_unless_declared() -> None:
    found = Doubling.implementations()
    assert found["add"].accumulates("fp16") == "fp32"
    assert found["pairs"].accumulates("fp16") == "fp16"


def test_executed_work_is_declared_per_case_and_precision() -> None:
    declare = Doubling.implementations()["add"].executed
    assert declare is not None
    assert declare({"n": 8}, "fp32", CPU) is None
    assert declare({"n": 8}, "fp16", CPU) == Executed(16, "fp32", "no FP16 units")


def test_an_unknown_precision_is_refused_where_it_is_written() -> None:
    with pytest.raises(UsageError, match=r"'half'.*choose from.*fp16"):
        implementation("x", precisions=("half",))


def test_a_built_call_takes_nothing_and_agrees_with_the_reference() -> None:
    import torch

    kernel = Doubling()
    case = kernel.complete_case({"n": 8})
    inputs = Inputs(case, "fp32", CPU, kernel.inputs(case, "fp32", CPU, "normal", torch.Generator().manual_seed(0)))
    for found in kernel.implementations().values():
        output = kernel.rows(found.build(kernel, inputs)(), case)
        assert torch.equal(output.double(), kernel.reference(inputs))
    some = torch.tensor([1, 3])
    assert torch.equal(kernel.reference(inputs, some), kernel.reference(inputs)[some])


def test_work_adds_its_bytes() -> None:
    assert Doubling().work({"n": 4}, "fp32").bytes == 32


def test_a_kernel_without_its_parts_cannot_be_made() -> None:
    class Unfinished(Kernel):
        name = "unfinished"

    with pytest.raises(TypeError, match="abstract"):
        Unfinished()  # type: ignore[abstract]  # that it can't is the test
