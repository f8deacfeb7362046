"""Checks: right answers pass, and each way of being wrong is found and named."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from bench.kernel import Case, DeviceView, Field, Inputs, Kernel, Work  # noqa: E402  # after the skip
from bench.timing import check as checks  # noqa: E402
from bench.timing.call_check import check_call, poison  # noqa: E402
from bench.timing.check import Expected, compare, prepare, verify  # noqa: E402
from tests.timing.simulated import Simulated  # noqa: E402

DTYPES = {"fp64": torch.float64, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CPU = DeviceView(type="cpu", torch_device="cpu")
HOST = Simulated(has_events=False)


class Product(Kernel):
    """A product of two matrices, as small as a kernel can be."""

    name = "product"
    fields = (Field("m", ""), Field("n", ""), Field("k", ""))

    def cases(self, suite: str, device: DeviceView) -> list[Case]:
        return []

    def work(self, case: Case, precision: str) -> Work:
        m, n, k = (int(case[f]) for f in "mnk")
        return Work(2 * m * n * k, 4 * (m * k + k * n), 4 * m * n)

    def inputs(
        self, case: Case, precision: str, device: DeviceView, data: str, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        shapes = {"a": (int(case["m"]), int(case["k"])), "b": (int(case["k"]), int(case["n"]))}
        if precision == "int8":
            return {
                name: torch.randint(-128, 128, shape, dtype=torch.int8, generator=generator)
                for name, shape in shapes.items()
            }
        scale = 0.0 if data == "zeros" else 1.0
        return {
            name: (scale * torch.randn(shape, generator=generator)).to(DTYPES[precision])
            for name, shape in shapes.items()
        }

    def reference(self, inputs: Inputs, rows: torch.Tensor | None = None) -> torch.Tensor:
        a = inputs["a"].double()
        return (a if rows is None else a[rows]) @ inputs["b"].double()

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor | None:
        return inputs["a"].double() @ (inputs["b"].double() @ vector)

    def output_rows(self, case: Case) -> int:
        return int(case["m"])

    def reduction_length(self, case: Case) -> int:
        return int(case["k"])


class Opaque(Product):
    """The same without a projection."""

    def projection(self, inputs: Inputs, vector: torch.Tensor) -> torch.Tensor | None:
        return None


def made(precision: str, m: int = 96, n: int = 40, k: int = 64, data: str = "normal", seed: int = 0) -> Inputs:
    case = {"m": m, "n": n, "k": k}
    generator = torch.Generator().manual_seed(seed)
    return Inputs(case, precision, CPU, Product().inputs(case, precision, CPU, data, generator))


def right(inputs: Inputs) -> torch.Tensor:
    if inputs.precision == "int8":
        return (inputs["a"].int() @ inputs["b"].int()).int()
    return inputs["a"] @ inputs["b"]


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every case counts as too large for a full reference."""
    monkeypatch.setattr(checks, "FULL_OPERATIONS", 0)


def wrong(inputs: Inputs, output: Any, accumulate: str = "fp32") -> str:
    """Why an output is refused; fails where it is not."""
    check, reason = verify(Product(), inputs, output, accumulate, seed=1)
    assert not check.passed
    assert reason
    return reason


@pytest.mark.parametrize("precision", ["fp64", "fp32", "bf16", "fp16", "int8"])
@pytest.mark.parametrize("kernel", [Product(), Opaque()])
@pytest.mark.parametrize("seed", range(3))
def test_a_right_answer_passes_in_full_and_sampled(
    precision: str, kernel: Kernel, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = made(precision, seed=seed)
    accumulate = {"fp64": "fp64", "int8": "int32"}.get(precision, "fp32")
    full, reason = verify(kernel, inputs, right(inputs), accumulate, seed)
    assert (full.passed, reason) == (True, "")
    monkeypatch.setattr(checks, "FULL_OPERATIONS", 0)
    part, reason = verify(kernel, inputs, right(inputs), accumulate, seed)
    assert (part.passed, reason) == (True, "")
    assert part.error is not None
    assert full.error is not None
    assert part.error == pytest.approx(full.error, rel=0.5, abs=1e-18)


def test_a_large_case_looks_at_64_rows_and_at_all_of_it_by_a_vector(sampled: None) -> None:
    expected = prepare(Product(), made("fp32", m=500), seed=3)
    assert expected.rows is not None
    assert len(set(expected.rows.tolist())) == 64
    assert expected.reference.shape == (64, 40)
    assert expected.projection is not None
    assert expected.projection.shape == (500,)
    other = prepare(Product(), made("fp32", m=500), seed=4)
    assert other.rows is not None
    assert expected.rows.tolist() != other.rows.tolist()


def test_few_rows_are_all_looked_at(sampled: None) -> None:
    assert prepare(Product(), made("fp32", m=64), seed=3).rows is None


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_one_wrong_element_in_a_row_that_is_not_sampled_is_found_by_the_vector(precision: str, sampled: None) -> None:
    inputs = made(precision, m=300)
    expected = prepare(Product(), inputs, seed=5)
    assert expected.rows is not None
    row = next(i for i in range(300) if i not in expected.rows.tolist())
    output = right(inputs)
    if precision == "int8":
        output[row, 7] += 1
    else:
        output[row, 7] += 200.0
    check, reason = compare(expected, output, "int32" if precision == "int8" else "fp32")
    assert not check.passed
    assert "differs" in reason if precision == "int8" else "random projection" in reason


def test_the_vector_weighs_an_error_as_the_norm_does(sampled: None) -> None:
    inputs = made("fp64", m=400, n=300)
    generator = random.Random(0)
    output = right(inputs)
    error = 1e-3 * torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    relative = float(error.norm() / output.norm())
    check, _ = verify(Product(), inputs, output + error, "fp64", seed=generator.randrange(1000))
    assert check.error == pytest.approx(relative, rel=0.2)


def test_tf32_and_bf16_are_no_fp32() -> None:
    inputs = made("fp32")
    for short in (torch.bfloat16, torch.float16):
        output = (inputs["a"].to(short).float()) @ (inputs["b"].to(short).float())
        assert "above the tolerance" in wrong(inputs, output)


def test_fp16_through_bf16_is_found() -> None:
    inputs = made("fp16")
    assert "above the tolerance" in wrong(inputs, (inputs["a"].bfloat16() @ inputs["b"].bfloat16()).half())


def test_a_coarser_output_than_the_precisions_own_is_refused() -> None:
    inputs = made("fp32")
    assert wrong(inputs, right(inputs).bfloat16()) == "output is bf16, coarser than the fp32 that fp32 gives"
    assert "int64" in wrong(inputs, right(inputs).long())


def test_a_finer_output_is_held_to_its_own_tolerance() -> None:
    inputs = made("fp16")
    check, _ = verify(Product(), inputs, inputs["a"].float() @ inputs["b"].float(), "fp32", seed=0)
    coarse, _ = verify(Product(), inputs, right(inputs), "fp32", seed=0)
    assert check.passed
    assert check.tolerance < coarse.tolerance


@pytest.mark.parametrize("value", [1, -1])
def test_int8_has_to_be_equal(value: int) -> None:
    inputs = made("int8")
    output = right(inputs)
    output[3, 5] += value
    check, reason = verify(Product(), inputs, output, "int32", seed=0)
    assert not check.passed
    assert check.tolerance == 0.0
    assert "must be equal" in reason


def test_int8_in_a_float_type_passes_only_if_equal() -> None:
    inputs = made("int8")
    assert verify(Product(), inputs, right(inputs).float(), "int32", seed=0)[0].passed
    assert not verify(Product(), inputs, right(inputs).bfloat16(), "int32", seed=0)[0].passed


def test_nan_and_infinity_are_counted() -> None:
    inputs = made("fp32")
    output = right(inputs)
    output[0, :3] = float("nan")
    output[1, 0] = float("inf")
    assert wrong(inputs, output) == "output holds NaN in 3 and infinity in 1 of 3,840 values"


@pytest.mark.parametrize("kernel", [Product(), Opaque()])
def test_nan_in_a_row_that_is_not_sampled_is_found(
    kernel: Kernel, sampled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "CHUNK_ELEMENTS", 1000)
    inputs = made("fp32", m=300)
    assert verify(kernel, inputs, right(inputs), "fp32", seed=5)[0].passed
    expected = prepare(kernel, inputs, seed=5)
    assert expected.rows is not None
    output = right(inputs)
    output[next(i for i in range(300) if i not in expected.rows.tolist()), 0] = float("nan")
    assert compare(expected, output, "fp32")[1] == "output holds NaN in 1 of 12,000 values"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda y: y[:-1], "shape (95, 40)"),
        (lambda y: y.t(), "shape (40, 96)"),
        (lambda y: torch.tensor(1.0), "can't be read"),
        (lambda y: y.flatten(), "shape"),
        (lambda y: None, "NoneType, not a tensor"),
        (lambda y: y.tolist(), "list, not a tensor"),
    ],
)
def test_another_shape_or_no_tensor_is_wrong(broken: Callable[[torch.Tensor], Any], said: str) -> None:
    inputs = made("fp32")
    assert said in wrong(inputs, broken(right(inputs)))


@pytest.mark.parametrize("full", [True, False])
def test_zeros_in_have_to_give_zeros_out(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not full:
        monkeypatch.setattr(checks, "FULL_OPERATIONS", 0)
    inputs = made("fp32", data="zeros")
    check, reason = verify(Product(), inputs, right(inputs), "fp32", seed=0)
    assert (check.error, check.passed, reason) == (0.0, True, "")
    output = right(inputs)
    output[:, 2] = 1e-30
    assert "not zero" in wrong(inputs, output)


@pytest.mark.parametrize("full", [True, False])
def test_an_output_of_zeros_is_wrong_by_all_of_it(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not full:
        monkeypatch.setattr(checks, "FULL_OPERATIONS", 0)
    inputs = made("fp32")
    check, _ = verify(Product(), inputs, torch.zeros(96, 40), "fp32", seed=0)
    assert not check.passed
    assert check.error == pytest.approx(1.0)


# --- a call that does not compute -------------------------------------------------------------------------------------


def prepared(precision: str = "fp32") -> Expected:
    return prepare(Product(), made(precision), seed=0)


def test_calls_that_compute_pass_and_the_inputs_are_as_before() -> None:
    for precision, accumulate in (("fp32", "fp32"), ("fp16", "fp32"), ("int8", "int32")):
        expected = prepared(precision)
        inputs = expected.inputs
        before = {name: tensor.clone() for name, tensor in inputs.tensors.items()}
        buffer = torch.empty_like(right(inputs))
        for call in (
            lambda inputs=inputs: right(inputs),
            lambda inputs=inputs, buffer=buffer: buffer.copy_(right(inputs)),
        ):
            check, reason = check_call(call, expected, accumulate, HOST)
            assert (check.passed, reason) == (True, "")
        assert all(torch.equal(before[name], inputs[name]) for name in before)


def test_packed_weights_are_allowed() -> None:
    expected = prepared()
    packed = expected.inputs["b"].t().contiguous()
    assert check_call(lambda: expected.inputs["a"] @ packed.t(), expected, "fp32", HOST)[0].passed


def test_a_cached_output_is_wrong() -> None:
    expected = prepared()
    output = right(expected.inputs)
    check, reason = check_call(lambda: output, expected, "fp32", HOST)
    assert not check.passed
    assert "called again after its output was overwritten: output holds NaN" in reason


def test_a_copy_of_a_cached_output_is_wrong() -> None:
    expected = prepared()
    output = right(expected.inputs)
    check, reason = check_call(output.clone, expected, "fp32", HOST)
    assert not check.passed
    assert "computed before the call" in reason
    assert check_call(output.clone, expected, "fp32", HOST, inputs_matter=False)[0].passed


def test_a_buffer_that_is_written_once_only_is_wrong() -> None:
    expected = prepared("int8")
    buffer = torch.zeros(96, 40, dtype=torch.int32)
    calls = iter(range(100))

    def call() -> torch.Tensor:
        if next(calls) == 0:
            buffer.copy_(right(expected.inputs))
        return buffer

    assert "overwritten" in check_call(call, expected, "int32", HOST)[1]


def test_an_answer_that_was_never_right_is_named_as_such() -> None:
    expected = prepared()
    reason = check_call(lambda: 2.0 * right(expected.inputs), expected, "fp32", HOST)[1]
    assert reason.startswith("relative error 1.00e+00")
    assert check_call(lambda: None, expected, "fp32", HOST)[1] == "output is a NoneType, not a tensor"
    assert "shape" in check_call(lambda: right(expected.inputs)[1:], expected, "fp32", HOST)[1]


def test_an_exception_in_the_call_leaves_the_inputs_as_before() -> None:
    expected = prepared()
    before = expected.inputs["a"].clone()

    def call() -> torch.Tensor:
        if not expected.inputs["a"].any():
            raise RuntimeError("division by zero")
        return right(expected.inputs)

    with pytest.raises(RuntimeError, match="division"):
        check_call(call, expected, "fp32", HOST)
    assert torch.equal(before, expected.inputs["a"])


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int32, torch.int8]
)
def test_poison_of_every_type_is_no_answer(dtype: torch.dtype) -> None:
    output = torch.ones(5, 3).to(dtype)
    assert poison(output)
    values = output.float()
    assert bool(torch.isnan(values).all()) if dtype.is_floating_point else bool((values < -100).all())


def test_an_output_that_is_an_input_is_not_poisoned() -> None:
    inputs = made("fp32")
    assert not poison(inputs["a"][1:], inputs)
    assert not torch.isnan(inputs["a"]).any()


def test_the_checks_work_on_tensors_of_inference_mode() -> None:
    with torch.inference_mode():
        expected = prepared()
    check, reason = check_call(lambda: right(expected.inputs), expected, "fp32", HOST)
    assert (check.passed, reason) == (True, "")
