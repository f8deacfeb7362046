"""Attention: what it counts, what the right answer is, and that each implementation here gives it."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UsageError
from bench.kernel import SUITES, DeviceView, Inputs, iterate_cases
from bench.precision import TOLERANCE_INT8_ATTENTION, UNIT_ROUNDOFF
from kernels.attention import Attention
from kernels.attention.flex import flex_arguments
from kernels.attention.shapes import pairs
from kernels.tensors import round_to_tf32

KERNEL = Attention()
CPU = DeviceView(type="cpu", torch_device="cpu", isa=frozenset({"avx2"}), units=2)
CPU_WITH_UNITS = DeviceView(
    type="cpu", torch_device="cpu", isa=frozenset({"avx512_vnni", "amx_int8", "avx512_fp16", "avx512_bf16"}), units=2
)
GPU = DeviceView(type="cuda", torch_device="cuda:0", vendor="nvidia", name="H100", capability=(9, 0))
APPLE = DeviceView(type="mps", torch_device="mps", vendor="apple")
AMD = DeviceView(type="cuda", torch_device="cuda:0", vendor="amd", name="MI300X", architecture="gfx942:sramecc+:xnack-")
MI250X = DeviceView(type="cuda", torch_device="cuda:0", vendor="amd", name="MI250X", architecture="gfx90a")
AMPERE = DeviceView(type="cuda", torch_device="cuda:0", vendor="nvidia", name="A100", capability=(8, 0))
TURING = DeviceView(type="cuda", torch_device="cuda:0", vendor="nvidia", name="T4", capability=(7, 5))

OUTPUT = {torch.float64: "fp64", torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


def case(
    q_len: int, kv_len: int, head_dim: int, causal: int, heads: int = 4, kv_heads: int = 2, batch: int = 2, **later
):
    return KERNEL.complete_case(
        {"batch": batch, "heads": heads, "kv_heads": kv_heads, "q_len": q_len, "kv_len": kv_len,
         "head_dim": head_dim, "causal": causal, **later}
    )  # fmt: skip


SHAPES = [
    pytest.param(case(33, 77, 40, 0), id="cross attention, 77 keys, heads of 40"),
    pytest.param(case(65, 65, 64, 1), id="causal, square, heads of 64"),
    pytest.param(case(9, 77, 128, 1), id="causal, nine queries at the end of 77 keys, heads of 128"),
    pytest.param(case(1, 301, 64, 1), id="decoding step"),
    pytest.param(case(5, 3, 8, 0, heads=3, kv_heads=3), id="fewer keys than queries"),
]
LATER_SHAPES = [
    pytest.param(case(33, 77, 40, 0, bias="heads"), id="a bias for each head"),
    pytest.param(case(9, 77, 64, 1, bias="heads"), id="a bias under a causal mask"),
    pytest.param(case(1, 77, 64, 1, bias="heads"), id="a bias in a decoding step"),
    pytest.param(case(9, 33, 24, 0, value_dim=40), id="values wider than keys"),
    pytest.param(case(2, 33, 72, 1, value_dim=64, shared_kv=1, kv_heads=1), id="values that are part of the keys"),
]
FLOATING = ("fp64", "fp32", "bf16", "fp16")
# sdpa is for other devices, and matmul declines 16 bits without units; both compute the same anywhere.
HERE = [
    (name, precision)
    for name, i in KERNEL.implementations().items()
    if i.devices in ((), ("cpu",), ("cpu", "cuda"))
    for precision in FLOATING
    if precision in i.precisions
]


def made(shape, precision: str, data: str = "normal", seed: int = 1) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    return Inputs(shape, precision, CPU, KERNEL.inputs(shape, precision, CPU, data, generator))


def relative_error(output: torch.Tensor, inputs: Inputs) -> float:
    reference = KERNEL.reference(inputs)
    difference = KERNEL.rows(output, inputs.case).double() - reference
    return float(difference.norm() / reference.norm())


def plain_attention(inputs: Inputs) -> torch.Tensor:
    """The definition, head by head and query by query, in float64: slow and obvious."""
    c = {name: int(value) for name, value in inputs.case.items() if name != "bias"}
    q, k = (inputs[name].double() for name in ("q", "k"))
    v = k[..., : c["value_dim"]] if "shared_kv" in c else inputs["v"].double()
    bias = inputs["bias"].double() if "bias" in inputs.tensors else None
    rows = []
    for b in range(c["batch"]):
        for h in range(c["heads"]):
            kv = h // (c["heads"] // c["kv_heads"])
            for i in range(c["q_len"]):
                seen = c["kv_len"] - c["q_len"] + i + 1 if c["causal"] else c["kv_len"]
                scores = k[b, kv, :seen] @ q[b, h, i] / c["head_dim"] ** 0.5
                if bias is not None:
                    scores = scores + bias[h, i, :seen]
                rows.append(torch.softmax(scores, 0) @ v[b, kv, :seen])
    return torch.stack(rows)


# --- the work ---------------------------------------------------------------------------------------------------------


def test_unmasked_operations_are_those_of_torchs_own_count():
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    shape = case(16, 24, 8, 0, heads=2, kv_heads=2)
    inputs = made(shape, "fp32")
    # The counter knows the two products of the math path; it counts nothing for the CPU's flash kernel.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        torch.nn.functional.scaled_dot_product_attention(inputs["q"], inputs["k"], inputs["v"])
    assert KERNEL.work(shape, "fp32").operations == counter.get_total_flops()


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 1))
def test_pairs_are_those_that_the_mask_leaves(q_len: int, more: int, causal: int):
    kv_len = q_len + more
    seen = [[j <= i + kv_len - q_len or not causal for j in range(kv_len)] for i in range(q_len)]
    assert pairs(case(q_len, kv_len, 8, causal)) == sum(map(sum, seen))


def test_a_decoding_step_sees_every_key_causal_or_not():
    causal, full = (KERNEL.work(case(1, 100, 64, c), "fp16").operations for c in (1, 0))
    assert causal == full == 4 * 2 * 4 * 64 * 100


def test_bytes_count_grouped_keys_once_and_the_output_of_int8_as_bf16():
    shape = case(10, 100, 64, 0)
    queries, keys = 2 * 4 * 10 * 64, 2 * 2 * 100 * 64
    assert KERNEL.work(shape, "fp16").bytes_read == 2 * (queries + 2 * keys)
    assert KERNEL.work(shape, "fp16").bytes_written == 2 * queries
    assert KERNEL.work(shape, "int8").bytes_read == queries + 2 * keys
    assert KERNEL.work(shape, "int8").bytes_written == 2 * queries


def test_the_later_fields_change_no_case_that_does_without_them():
    plain = case(8, 8, 64, 0)
    assert list(plain) == ["batch", "heads", "kv_heads", "q_len", "kv_len", "head_dim", "causal"]
    assert case(8, 8, 64, 0, value_dim=64, shared_kv=0, bias="none") == plain
    assert case(8, 8, 64, 0, value_dim=0) == plain


@pytest.mark.parametrize("shape", [*SHAPES, *LATER_SHAPES])
def test_a_case_written_out_reads_back_as_itself(shape):
    assert KERNEL.parse_case(",".join(f"{name}={value}" for name, value in shape.items())) == shape


def test_a_narrow_value_counts_by_its_own_width():
    shape = case(10, 100, 64, 0, value_dim=16)
    assert KERNEL.work(shape, "fp16").operations == 2 * 2 * 4 * (64 + 16) * 10 * 100
    assert KERNEL.work(shape, "fp16").bytes_read == 2 * (2 * 4 * 10 * 64 + 2 * 2 * 100 * (64 + 16))
    assert KERNEL.work(shape, "fp16").bytes_written == 2 * 2 * 4 * 10 * 16


def test_values_that_are_part_of_the_keys_are_read_once():
    shape = case(1, 100, 576, 1, heads=16, kv_heads=1, value_dim=512, shared_kv=1)
    assert KERNEL.work(shape, "bf16").operations == 2 * 2 * 16 * (576 + 512) * 100
    assert KERNEL.work(shape, "bf16").bytes_read == 2 * (2 * 16 * 576 + 2 * 100 * 576)
    assert set(made(shape, "bf16").tensors) == {"q", "k"}


def test_a_bias_is_read_once_for_all_sequences_and_adds_no_operations():
    with_bias, without = (KERNEL.work(case(10, 100, 64, 0, **later), "fp16") for later in ({"bias": "heads"}, {}))
    assert with_bias.operations == without.operations
    assert with_bias.bytes_read - without.bytes_read == 2 * 4 * 10 * 100
    eight_bits = KERNEL.work(case(10, 100, 64, 0, bias="heads"), "int8").bytes_read
    assert eight_bits - KERNEL.work(case(10, 100, 64, 0), "int8").bytes_read == 2 * 4 * 10 * 100  # BF16 there


@pytest.mark.parametrize("precision", ["fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8"])
@pytest.mark.parametrize("shape", [*SHAPES, *LATER_SHAPES])
def test_bytes_read_are_those_of_the_inputs(shape, precision: str):
    tensors = made(shape, precision).tensors
    read = sum(t.numel() * t.element_size() for name, t in tensors.items() if not name.endswith("_scale"))
    assert KERNEL.work(shape, precision).bytes_read == read


def test_impossible_cases_are_refused_with_their_numbers():
    with pytest.raises(UsageError, match="kv_heads=3 does not divide heads=4"):
        case(4, 4, 8, 0, heads=4, kv_heads=3)
    with pytest.raises(UsageError, match="q_len=5 above kv_len=4"):
        case(5, 4, 8, 1)
    with pytest.raises(UsageError, match="value_dim=16 above head_dim=8"):
        case(4, 4, 8, 0, value_dim=16, shared_kv=1)
    with pytest.raises(UsageError, match=r"unknown value 'head'.*Did you mean 'heads'"):
        case(4, 4, 8, 0, bias="head")


@pytest.mark.parametrize("device", [CPU, GPU], ids=["cpu", "gpu"])
def test_suites_hold_both_head_sizes_prefill_decode_and_real_shapes(device: DeviceView):
    quick, standard, full = ([dict(c) for c in iterate_cases(KERNEL, [suite], device)] for suite in SUITES)
    assert {c["head_dim"] for c in quick} == {64, 128}
    assert {c["causal"] for c in quick} == {0, 1}
    assert any(c["q_len"] == 1 and c["kv_heads"] < c["heads"] and c["kv_len"] >= 4096 for c in standard)
    assert any(c["head_dim"] == 40 and c["kv_len"] == 77 for c in standard)
    assert any(1 < c["q_len"] < c["kv_len"] and c["causal"] for c in full)
    assert any(c.get("bias") == "heads" for c in full)
    assert any(c["head_dim"] == 576 and c.get("value_dim") == 512 and c.get("shared_kv") for c in full)
    assert all(c in standard for c in quick)
    assert all(c in full for c in standard)


# --- the right answer -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*SHAPES, *LATER_SHAPES])
def test_reference_is_the_definition(shape):
    inputs = made(shape, "fp64")
    torch.testing.assert_close(KERNEL.reference(inputs), plain_attention(inputs), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [*SHAPES, *LATER_SHAPES])
def test_reference_of_some_rows_is_those_rows_in_the_order_asked(shape):
    inputs = made(shape, "fp16")
    rows = torch.randperm(KERNEL.output_rows(shape), generator=torch.Generator().manual_seed(2))[:7]
    torch.testing.assert_close(KERNEL.reference(inputs, rows), KERNEL.reference(inputs)[rows], rtol=1e-12, atol=1e-14)


def test_reference_of_int8_is_that_of_the_dequantised_inputs():
    inputs = made(case(9, 77, 40, 1), "int8")
    floats = {name: inputs[name].double() * inputs[f"{name}_scale"].double() for name in ("q", "k", "v")}
    assert 0.9 < float(floats["q"].std()) < 1.1
    dequantised = Inputs(inputs.case, "fp64", CPU, floats)
    torch.testing.assert_close(KERNEL.reference(inputs), plain_attention(dequantised), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_reference_applies_each_scale(precision: str):
    plain = made(case(9, 33, 40, 0, bias="heads"), precision)
    factors = {"q_scale": 0.5, "k_scale": 4.0, "v_scale": 3.0}
    scaled = {name: t * factors[name] if name in factors else t for name, t in plain.tensors.items()}
    floats = {n: scaled[n].double() * scaled[f"{n}_scale"].double() for n in ("q", "k", "v")}
    expected = plain_attention(Inputs(plain.case, "fp64", CPU, {**floats, "bias": plain["bias"]}))
    torch.testing.assert_close(
        KERNEL.reference(Inputs(plain.case, precision, CPU, scaled)), expected, rtol=1e-12, atol=1e-14
    )


# --- implementations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "precision"), HERE)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_implementation_is_right_within_the_rule(shape, name: str, precision: str):
    implementation = KERNEL.implementations()[name]
    inputs = made(shape, precision)
    output = implementation.build(KERNEL, inputs)()
    assert output.shape == inputs["q"].shape
    assert output.dtype == inputs["q"].dtype
    allowed = KERNEL.tolerance(shape, precision, implementation.accumulates(precision), OUTPUT[output.dtype])
    assert relative_error(output, inputs) <= allowed


@pytest.mark.parametrize(
    ("shape", "name", "precision"),
    [
        pytest.param(*shape.values, name, precision, id=f"{shape.id}-{name}-{precision}")
        for shape in LATER_SHAPES
        for name, precision in HERE
        if name == "sdpa"  # it declines a processor, and computes the same there
        or not KERNEL.implementations()[name].reason_unsupported(shape.values[0], precision, CPU_WITH_UNITS)
    ],
)
def test_implementations_that_take_the_later_fields_are_right(shape, name: str, precision: str):
    implementation = KERNEL.implementations()[name]
    if name == "sdpa" and "not both" in implementation.reason_unsupported(shape, precision, APPLE):
        pytest.skip("SDPA takes a bias or a causal mask")
    inputs = made(shape, precision)
    output = implementation.build(KERNEL, inputs)()
    allowed = KERNEL.tolerance(shape, precision, implementation.accumulates(precision), OUTPUT[output.dtype])
    assert relative_error(output, inputs) <= allowed


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_later_shape_has_an_implementation_on_a_processor(precision: str):
    for shape in LATER_SHAPES:
        found = KERNEL.implementations().values()
        assert any(not i.reason_unsupported(shape.values[0], precision, CPU_WITH_UNITS) for i in found), shape.id


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", ["flash", "math"])
def test_the_rule_holds_over_4096_keys(name: str, precision: str):
    shape = case(16, 4096, 128, 1, heads=2, kv_heads=1, batch=1)
    inputs = made(shape, precision)
    error = relative_error(KERNEL.implementations()[name].build(KERNEL, inputs)(), inputs)
    assert error <= KERNEL.tolerance(shape, precision, "fp32", precision)


def test_fp16_that_came_through_bf16_fails_as_fp16():
    shape = case(32, 512, 64, 0)
    inputs = made(shape, "fp16")
    lower = {name: inputs[name].bfloat16() for name in ("q", "k", "v")}
    output = torch.nn.functional.scaled_dot_product_attention(lower["q"], lower["k"], lower["v"], enable_gqa=True)
    assert relative_error(output.half(), inputs) > KERNEL.tolerance(shape, "fp16", "fp32", "fp16")


def test_tf32_allows_for_weights_rounded_to_tf32_and_fp32_does_not():
    shape = case(32, 512, 64, 0, heads=2, kv_heads=2)
    inputs = made(shape, "tf32")
    q, k, v = (inputs[name] for name in ("q", "k", "v"))
    weights = torch.softmax(q @ k.transpose(-1, -2) / 8.0, -1)  # 8 = √64
    error = relative_error(round_to_tf32(weights) @ v, inputs)
    assert KERNEL.tolerance(shape, "fp32", "fp32", "fp32") < error <= KERNEL.tolerance(shape, "tf32", "fp32", "fp32")
    assert KERNEL.tolerance(shape, "tf32", "fp32", "fp32") < UNIT_ROUNDOFF["bf16"]  # and BF16 still fails as tf32


def test_top_left_alignment_of_the_mask_fails():
    shape = case(9, 77, 64, 1, heads=2, kv_heads=2)
    inputs = made(shape, "fp32")
    output = torch.nn.functional.scaled_dot_product_attention(inputs["q"], inputs["k"], inputs["v"], is_causal=True)
    assert relative_error(output, inputs) > 1000 * KERNEL.tolerance(shape, "fp32", "fp32", "fp32")


def test_a_call_leaves_torchs_choice_of_backends_as_it_was():
    before = torch.backends.cuda.math_sdp_enabled(), torch.backends.cuda.flash_sdp_enabled()
    for name in ("flash", "math", "upcast"):
        KERNEL.implementations()[name].build(KERNEL, made(SHAPES[0].values[0], "fp16"))()
    assert before == (torch.backends.cuda.math_sdp_enabled(), torch.backends.cuda.flash_sdp_enabled())


@pytest.mark.parametrize("shape", [*SHAPES[:4], *LATER_SHAPES])
def test_what_flex_attention_is_given_means_the_same(shape):
    """Its arguments, on torch's uncompiled path: what is compiled for a GPU is this."""
    from torch.nn.attention.flex_attention import flex_attention

    inputs = made(shape, "fp32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it is not compiled
        output = flex_attention(**flex_arguments(inputs))
    assert relative_error(output, inputs) <= KERNEL.tolerance(shape, "fp32", "fp32", "fp32")


def test_a_backend_that_refuses_raises_and_does_not_fall_back():
    # The memory-efficient kernel is CUDA's: on a CPU torch's dispatcher refuses it, as it may refuse a case elsewhere.
    with pytest.raises(NotImplementedError, match="torch refuses the backend EFFICIENT_ATTENTION"):
        KERNEL.implementations()["efficient"].build(KERNEL, made(case(8, 8, 8, 0, heads=2, kv_heads=2), "fp32"))


# --- what is not supported, and why ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "precision", "device", "reason"),
    [
        ("flash", case(8, 8, 64, 0), "fp32", GPU, "fp16 and bf16 only"),
        ("flash", case(8, 8, 64, 0), "fp16", TURING, "compute capability 8.0; T4 is older"),
        ("flash", case(8, 8, 320, 0), "fp16", GPU, "head_dim up to 256, not 320"),
        ("efficient", case(8, 8, 64, 0), "fp16", GPU, "no grouped KV heads"),
        ("efficient", case(8, 8, 44, 0, kv_heads=4), "fp16", GPU, "multiples of 8 at fp16, not 44"),
        ("efficient", case(8, 8, 64, 0, kv_heads=4), "bf16", TURING, "bf16 from compute capability 8.0"),
        ("cudnn", case(8, 8, 64, 0), "fp32", GPU, "cudnn has no fp32"),
        ("cudnn", case(8, 8, 257, 0), "fp16", GPU, "up to 256 here, not 257"),
        ("cudnn", case(8, 8, 64, 0), "fp16", CPU, "runs on cuda, not on cpu"),
        ("math", case(8, 8, 64, 0), "tf32", CPU, "TF32 units on NVIDIA's GPUs only"),
        ("sdpa", case(8, 8, 64, 0), "fp32", CPU, "each backend is an implementation of its own"),
        ("matmul", case(8, 8, 64, 0), "fp16", CPU, "torch has no fast FP16"),
        ("onednn-int8", case(8, 8, 64, 0), "int8", CPU, "exact with VNNI or AMX only"),
        ("int_mm", case(8, 8, 64, 0), "int8", GPU, "torch has no int8 attention on cuda"),
        ("fp32-exact", case(8, 8, 64, 0), "int8", CPU_WITH_UNITS, "has int8 units"),
        ("flash", case(8, 8, 64, 0, value_dim=32), "fp16", CPU, "values as wide as keys, not value_dim=32 beside"),
        ("flash", case(8, 8, 64, 0, value_dim=32), "fp16", GPU, "values as wide as keys, not value_dim=32 beside"),
        ("flash", case(8, 8, 64, 0, bias="heads"), "fp16", GPU, "takes no bias"),
        ("flash", case(8, 8, 64, 1, bias="heads"), "fp16", CPU, "a bias or a causal mask, not both"),
        ("upcast", case(8, 8, 64, 1, bias="heads"), "fp16", CPU, "a bias or a causal mask, not both"),
        ("math", case(8, 8, 64, 1, bias="heads"), "fp32", GPU, "a bias or a causal mask, not both"),
        ("sdpa", case(8, 8, 64, 1, bias="heads"), "fp32", APPLE, "a bias or a causal mask, not both"),
        ("cudnn", case(8, 8, 64, 1, bias="heads"), "fp16", GPU, "a bias or a causal mask, not both"),
        ("cudnn", case(8, 8, 64, 0, value_dim=512), "fp16", GPU, "takes value_dim in multiples of 8 up to 256"),
        ("efficient", case(8, 8, 64, 0, kv_heads=4, value_dim=20), "fp16", GPU, "value_dim in multiples of 8 at fp16"),
        (
            "efficient",
            case(8, 8, 64, 0, kv_heads=4, value_dim=32),
            "fp16",
            AMD,
            "attention wants values as wide",
        ),
        ("fp32-exact", case(8, 8, 64, 0, bias="heads"), "int8", CPU, "has no bias"),
        ("onednn-int8", case(8, 8, 64, 0, bias="heads"), "int8", CPU_WITH_UNITS, "has no bias"),
        ("int_mm", case(8, 8, 64, 0, bias="heads"), "int8", CPU_WITH_UNITS, "has no bias"),
        ("triton", case(8, 8, 64, 0), "fp16", CPU, "triton runs on cuda, not on cpu"),
        ("triton", case(8, 8, 64, 0), "fp16", TURING, "compute capability 8.0"),
        ("triton", case(8, 8, 64, 0), "fp8", AMPERE, "FP8 needs compute capability 8.9; A100 is older"),
        ("triton", case(8, 8, 64, 0), "fp8", MI250X, "gfx90a has no FP8 matrix instructions"),
        ("triton", case(8, 8, 64, 0), "tf32", AMD, "TF32 units on NVIDIA's GPUs only"),
        ("triton", case(8, 8, 64, 0), "fp64", GPU, "triton has no fp64"),
        ("triton", case(8, 8, 1032, 0), "fp16", GPU, "head_dim up to 1024, not 1032"),
        ("triton", case(8, 8, 64, 0, value_dim=520), "fp16", GPU, "value_dim up to 512, not 520"),
        ("triton-mixed", case(8, 8, 64, 0), "fp16", GPU, "triton-mixed has no fp16"),
        ("flex", case(8, 8, 8, 0), "fp16", GPU, "head_dim from 16, not 8"),
        ("flex", case(8, 8, 64, 0), "fp16", TURING, "compute capability 8.0"),
    ],
)
def test_reasons_name_what_is_missing(monkeypatch, name, shape, precision, device, reason):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())  # whether or not Triton is installed
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert reason in KERNEL.implementations()[name].reason_unsupported(shape, precision, device)


def test_without_triton_its_kernels_say_that_it_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    for name, precision in (("triton", "fp16"), ("triton-mixed", "int8"), ("flex", "fp16")):
        found = KERNEL.implementations()[name]
        assert found.reason_unsupported(case(8, 8, 64, 0), precision, GPU) == "Triton is not installed"


def test_an_fp16_second_product_is_another_accumulation():
    assert KERNEL.implementations()["triton-mixed"].accumulates("int8") == "mixed"
    assert KERNEL.implementations()["triton"].accumulates("int8") == "int32"
    assert KERNEL.tolerance(case(8, 8, 64, 0), "int8", "mixed", "bf16") == TOLERANCE_INT8_ATTENTION


@pytest.mark.parametrize("device", [CPU, CPU_WITH_UNITS], ids=["without units", "with units"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "int8"])
def test_a_processor_has_an_implementation_of_every_quick_case(precision: str, device: DeviceView):
    for shape in KERNEL.cases("quick", device):
        assert any(not i.reason_unsupported(shape, precision, device) for i in KERNEL.implementations().values())


def test_scores_that_do_not_fit_in_memory_are_refused_with_their_size():
    small = DeviceView(type="cuda", torch_device="cuda:0", vendor="nvidia", capability=(8, 0), memory_bytes=2**34)
    shape = case(4096, 4096, 128, 0, heads=32, kv_heads=8, batch=4)
    reason = KERNEL.implementations()["math"].reason_unsupported(shape, "fp16", small)
    assert reason == "writes out the scores: 3 × 8.0 GiB, and the device has 16.0 GiB"


def test_what_executes_the_work_is_named_where_it_is_not_the_precisions_own_unit():
    shape = case(8, 8, 64, 0, kv_heads=4)
    operations = KERNEL.work(shape, "fp16").operations

    def executed(name: str, precision: str, device: DeviceView):
        hook = KERNEL.implementations()[name].executed
        assert hook is not None
        return hook(shape, precision, device)

    assert executed("upcast", "fp16", CPU_WITH_UNITS).precision == "fp32"
    assert executed("flash", "fp16", CPU).precision == "fp32"
    assert executed("flash", "fp16", CPU_WITH_UNITS) is None
    assert executed("fp32-exact", "int8", CPU).precision == "fp32"
    three_products = executed("efficient", "fp32", GPU)
    assert (three_products.precision, three_products.operations) == ("tf32", 3 * operations)


def test_importing_the_kernel_leaves_torch_alone():
    program = "import sys, kernels.attention; sys.exit(not {'torch', 'triton'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
