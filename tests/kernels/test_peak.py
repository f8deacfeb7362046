"""peak: exact sums from every unit, loops that are compiled safely or refused with the reason, ceilings as rows."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from bench.errors import UsageError
from bench.kernel import SUITES, DeviceView, Inputs, Role
from kernels.peak import Peak, compiled
from kernels.peak.graphics import DOT_PRECISIONS, FMA_PRECISIONS, LEAST_TILE, dot_configs, fma_configs
from kernels.peak.processor import ANYWHERE, PROCESSOR_LOOPS, Pool, placement
from kernels.peak.shapes import BLOCK_CHAINS, GPU_CHAINS, LENGTH_MOST, LENGTH_STEP
from kernels.peak.units import UNITS
from tests.conftest import Cli
from tests.kernels.checks import (
    AVX2,
    DEVICES,
    GRAVITON_3,
    H100,
    HERE,
    MI300X,
    SAPPHIRE_RAPIDS,
    T4,
    assert_right,
    available,
    made,
    output_of,
    reason,
    skip_without_interpreter,
)

ARM = {unit.name for unit in UNITS if unit.name.startswith(("neon", "sve"))}
BUILDS = [(unit, loops) for unit in UNITS for loops in unit.loops.values()]
HERE_RUN = [(name, p) for p in Peak.precisions for name in available(Peak(), {"chains": BLOCK_CHAINS}, p, HERE)]
UNKNOWN_TO_THE_COMPILER = ("no such instruction", "unknown", "invalid", "unrecognized", "not supported", "missing")
needs_a_unit = pytest.mark.skipif(not HERE_RUN, reason="no C compiler, or no unit that a loop is written for")

Absent = Callable[[str, str], NoReturn]
Plant = Callable[[bytes], Path]


@pytest.fixture
def compiler(absent: Absent) -> str:
    return compiled.compiler() or absent("cc", compiled.NO_COMPILER)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of compiled loops, empty and not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return compiled.cache_folder()


@pytest.fixture
def load(compiler: str) -> Callable[[], object]:
    """Load one unit's library of this machine as a process does that has not loaded it before."""
    mine = [unit for unit in UNITS if (unit.name in ARM) == (platform.machine() in ("aarch64", "arm64"))]
    plain = next(unit for unit in mine if unit.name in ("avx2-fma", "neon-fma"))
    return lambda: compiled.library.__wrapped__(plain.loops["fp32"], plain.options)


@pytest.fixture
def plant(cache: Path, load: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Put content where the library will be looked for, in a second cache: this process has loaded the first one's."""

    def put(content: bytes) -> Path:
        load()
        (name,) = (path.name for path in cache.iterdir())
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "second"))
        folder = compiled.cache_folder()
        for each in (folder.parent.parent, folder.parent, folder):
            each.mkdir(mode=0o700)
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o700)
        return folder / name

    return put


# --- the answer ---------------------------------------------------------------------------------------------------


@needs_a_unit
@pytest.mark.parametrize(("name", "precision"), HERE_RUN)
@pytest.mark.parametrize(("blocks", "length"), [(1, 2048), (2, 6144), (7, 4096)])
def test_every_unit_of_this_processor_is_exact(name: str, precision: str, blocks: int, length: int) -> None:
    case = {"chains": blocks * BLOCK_CHAINS, "length": length}
    assert_right(Peak(), made(Peak(), case, precision, seed=blocks), name)


@needs_a_unit
@pytest.mark.parametrize("data", ["zeros", "ones", "uniform"])
def test_every_kind_of_data_is_exact(data: str) -> None:
    name, precision = HERE_RUN[0]
    inputs = made(Peak(), {"chains": BLOCK_CHAINS, "length": 2048}, precision, data)
    assert torch.equal(output_of(Peak(), inputs, name).double(), Peak().reference(inputs))


@needs_a_unit
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_answer_does_not_hang_on_the_number_of_threads(threads: int) -> None:
    name, precision = HERE_RUN[0]
    inputs = made(Peak(), {"chains": 3 * BLOCK_CHAINS, "length": 2048}, precision)
    inputs = Inputs(inputs.case, precision, replace(HERE, units=threads), inputs.tensors)
    assert_right(Peak(), inputs, name)


@needs_a_unit
def test_a_call_leaves_its_caller_where_it_may_run() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system places threads itself")
    name, precision = HERE_RUN[0]
    before = os.sched_getaffinity(0)
    output_of(Peak(), made(Peak(), {"chains": 2 * BLOCK_CHAINS, "length": 2048}, precision), name)
    assert os.sched_getaffinity(0) == before


def threads_here() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@needs_a_unit
@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_threads_end_with_the_call_that_they_were_made_for() -> None:
    name, precision = HERE_RUN[0]
    inputs = made(Peak(), {"chains": 4 * BLOCK_CHAINS, "length": 2048}, precision)
    inputs = Inputs(inputs.case, precision, replace(HERE, units=4), inputs.tensors)
    gc.collect()
    before = threads_here()
    call = Peak().implementations()[name].build(Peak(), inputs)
    call()
    assert threads_here() == before + 3
    del call
    gc.collect()
    assert threads_here() == before


@pytest.mark.slow
def test_every_unit_of_another_processor_is_exact_in_an_emulator(
    tmp_path: Path, checkout: Path, require: Callable[[str], str]
) -> None:
    """Arm's, on any machine that has a cross compiler and qemu; SVE at each length of a vector."""
    cross, emulator = require("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64") or require("qemu-aarch64-static")
    source = checkout / "tests" / "kernels" / "peak_emulated.c"
    for unit in (unit for unit in UNITS if unit.name in ARM):
        for precision, loops in unit.loops.items():
            program = tmp_path / loops
            encoding = {"bf16": 1, "fp16": 2}.get(precision, 0)
            defines = [f"-DUNIT_{loops}", f"-DENCODING={encoding}"]
            words = [cross, "-std=gnu11", "-O2", "-static", "-pthread", *unit.options, *defines, str(source)]
            subprocess.run([*words, "-o", str(program)], check=True, timeout=120)
            lengths = (1, 4, 16) if unit.name == "sve-fma" else (1,)
            for quarters in lengths:
                words = [emulator, "-cpu", f"max,sve-max-vq={quarters}", str(program)]
                done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
                assert done.returncode == 0, f"{unit.name} {precision} at {quarters} × 128 bits: {done.stdout}"


def test_the_work_is_two_operations_a_multiply_add_and_memory_is_next_to_nothing() -> None:
    work = Peak().work({"chains": 3072, "length": 4096}, "fp32")
    assert work.operations == 2 * 3072 * 4096
    assert work.bytes_written == 3072 * 4
    assert work.operations / work.bytes > 1000


@pytest.mark.parametrize("precision", Peak.precisions)
def test_inputs_are_powers_of_two_at_the_precision_and_hang_on_the_seed(precision: str) -> None:
    inputs = [made(Peak(), {"chains": BLOCK_CHAINS}, precision, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (torch.cat([each["a"], each["b"]]).double() for each in inputs)
    assert set(first.abs().tolist()) <= {1.0, 2.0}
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert sum(each.nbytes for each in inputs[0].tensors.values()) == Peak().work(inputs[0].case, precision).bytes_read


def test_a_step_left_out_would_show() -> None:
    inputs = made(Peak(), {"chains": BLOCK_CHAINS, "length": LENGTH_MOST}, "fp32")
    right = Peak().reference(inputs)
    assert torch.equal(right.float().double(), right), "FP32 holds every sum"
    shorter = right * (LENGTH_MOST - 1) / LENGTH_MOST
    assert float((shorter - right).norm()) > Peak().tolerance(inputs.case, "fp32", "fp32", "fp32") == 0.0


def test_chosen_rows_and_the_projection_are_those_of_the_whole_reference() -> None:
    inputs = made(Peak(), {"chains": 4 * BLOCK_CHAINS, "length": 2048}, "fp32")
    whole = Peak().reference(inputs)
    rows = torch.tensor([17, 0, len(whole) - 1])
    vector = torch.arange(1.0, 17.0, dtype=torch.float64)
    assert torch.equal(Peak().reference(inputs, rows), whole[rows])
    assert torch.equal(Peak().projection(inputs, vector), whole @ vector)
    assert len(whole) == Peak().output_rows(inputs.case)


# --- which unit, and why not --------------------------------------------------------------------------------------


def names(precision: str, device: DeviceView) -> list[str]:
    return available(Peak(), {"chains": 12 * BLOCK_CHAINS}, precision, device)


def test_the_units_are_those_of_the_flags(compiler: str) -> None:
    assert names("fp32", AVX2) == ["avx2-fma"]
    assert names("int8", AVX2) == ["avx2-maddubs", "avx2-maddwd"]
    full = replace(SAPPHIRE_RAPIDS, isa=SAPPHIRE_RAPIDS.isa | {"amx_tile", "avx512f", "avx2", "fma"})
    assert names("fp32", full) == ["avx512-fma", "avx2-fma"]
    assert names("bf16", full) == ["amx-bf16", "avx512-bf16"]
    assert names("int8", full)[:2] == ["amx-int8", "avx512-vnni"]
    assert names("fp16", full) == ["avx512-fp16"]
    arm = replace(GRAVITON_3, isa=GRAVITON_3.isa | {"asimd", "sve", "asimdfhm"})
    assert names("fp64", arm) == ["sve-fma", "neon-fma"]
    assert names("fp16", arm) == ["neon-fp16", "neon-fmlal"]
    assert names("bf16", arm) == ["neon-bfmmla"]
    assert names("int8", arm) == ["neon-smmla", "neon-sdot"]


def test_sums_in_fp16_are_an_accumulation_of_their_own() -> None:
    implementations = Peak().implementations()
    assert (
        implementations["avx512-fp16"].accumulates("fp16") == implementations["neon-fp16"].accumulates("fp16") == "fp16"
    )
    assert (
        implementations["amx-fp16"].accumulates("fp16") == implementations["neon-fmlal"].accumulates("fp16") == "fp32"
    )


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp8", "tf32"])
def test_a_precision_without_a_unit_has_one_reason(precision: str) -> None:
    implementations = Peak().implementations()
    having = [name for name, one in implementations.items() if precision in one.precisions]
    (why,) = {reason(Peak(), name, {"chains": BLOCK_CHAINS}, precision, AVX2) for name in having}
    assert why.startswith(f"this processor has no {precision} unit")


def test_without_a_compiler_there_is_no_unit_and_the_reason_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert names("fp32", AVX2) == []
    assert reason(Peak(), "avx2-fma", {"chains": BLOCK_CHAINS}, "fp32", AVX2) == compiled.NO_COMPILER
    with pytest.raises(NotImplementedError, match="no C compiler"):
        compiled.library.__wrapped__("AVX2_FP32", ())


def test_a_run_without_a_compiler_prints_the_reason(cli: Cli, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    case = f"chains={BLOCK_CHAINS}"
    done = cli(
        "run", "--device", "cpu", "--kernel", "peak", "--case", case, "--precision", "fp32", env={"PATH": str(empty)}
    )
    assert done.code == 3
    assert compiled.NO_COMPILER in " ".join(done.out.split()) or "no fp32 unit" in done.out


@needs_a_unit
def test_a_run_records_a_ceiling_by_its_role_and_checks_it(cli: Cli) -> None:
    _, precision = HERE_RUN[0]
    case = f"chains={2 * BLOCK_CHAINS},length=2048"
    arguments = ("--device", "cpu", "--kernel", "peak", "--case", case, "--precision", precision, "--retries", "0")
    done = cli("run", *arguments, "--format", "json")
    rows = [row for row in map(json.loads, done.out.splitlines()) if row["type"] == "measurement"]
    assert [row["role"] for row in rows] == [Role.CEILING]
    assert rows[0]["check"] == {"error": 0.0, "tolerance": 0.0, "passed": True}
    assert rows[0]["rate"]["operations_per_s"] > 0


# --- compiled at run time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "loops"), BUILDS, ids=[loops for _, loops in BUILDS])
def test_every_loop_compiles_where_the_compiler_knows_its_instructions(
    unit: object, loops: str, tmp_path: Path, compiler: str
) -> None:
    assert isinstance(unit, type(UNITS[0]))
    on_arm = platform.machine() in ("aarch64", "arm64")
    other = "x86_64-linux-gnu-gcc" if on_arm else "aarch64-linux-gnu-gcc"
    chosen = compiler if (unit.name in ARM) == on_arm else shutil.which(other)
    if chosen is None:
        pytest.skip(f"{other} is not installed")
    words = compiled.command(chosen, loops, unit.options, tmp_path / "loop.so")
    done = subprocess.run([*words, "-Wall", "-Wextra", "-Werror"], capture_output=True, text=True, check=False)
    if done.returncode and any(word in done.stderr.lower() for word in UNKNOWN_TO_THE_COMPILER):
        pytest.skip(f"{chosen} does not know {unit.name}: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr


def test_a_library_is_compiled_once_and_kept_where_nobody_else_can_write(
    cache: Path, load: Callable[[], object]
) -> None:
    load()
    (kept,) = cache.iterdir()
    assert cache.stat().st_mode & 0o777 == 0o700
    assert kept.stat().st_mode & 0o777 == 0o700
    made_at = kept.stat().st_mtime_ns
    load()
    assert [path.stat().st_mtime_ns for path in cache.iterdir()] == [made_at]


def test_what_others_can_write_is_neither_loaded_nor_touched(plant: Plant, load: Callable[[], object]) -> None:
    planted = plant(b"planted")
    planted.parent.chmod(0o777)
    load()
    assert [path.read_bytes() for path in planted.parent.iterdir()] == [b"planted"]


def test_a_folder_that_is_a_link_is_not_used(cache: Path, tmp_path: Path, load: Callable[[], object]) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir(mode=0o700)
    cache.parent.mkdir()
    cache.symlink_to(target)
    load()
    assert list(target.iterdir()) == []


def test_a_folder_that_others_could_replace_is_not_used(cache: Path, load: Callable[[], object]) -> None:
    cache.parent.mkdir()
    cache.parent.chmod(0o777)
    load()
    assert list(cache.iterdir()) == []


def test_a_file_that_others_could_write_is_built_again(plant: Plant, load: Callable[[], object]) -> None:
    planted = plant(b"planted")
    planted.chmod(0o666)
    load()
    assert planted.read_bytes() != b"planted"
    assert planted.stat().st_mode & 0o777 == 0o700


def test_a_file_that_does_not_load_is_built_again(plant: Plant, load: Callable[[], object]) -> None:
    planted = plant(b"of another system")
    load()
    assert planted.read_bytes() != b"of another system"


def test_without_a_cache_it_is_compiled_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[], object]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load() is not None


def test_many_at_once_leave_one_file(cache: Path, load: Callable[[], object]) -> None:
    with ThreadPoolExecutor(4) as several:
        assert all(several.map(lambda _: load(), range(4)))
    assert len(list(cache.iterdir())) == 1


def test_what_does_not_compile_says_why(cache: Path, compiler: str) -> None:
    with pytest.raises(NotImplementedError, match=r"can't build the NOTHING loop: .*UNIT_"):
        compiled.library.__wrapped__("NOTHING", ())
    assert list(cache.iterdir()) == []


@needs_a_unit
def test_a_pool_that_the_system_refuses_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        """A library whose pool can't be opened."""

        class _Function:
            def __call__(self, threads: int, cpus: object, why: object) -> None:
                why._obj.value = 1  # type: ignore[attr-defined]  # what ctypes.byref points to

        peak_open, peak_close, peak_run = _Function(), _Function(), _Function()

    monkeypatch.setattr(compiled, "library", lambda loops, options: Refusing())
    with pytest.raises(NotImplementedError, match="AMX_INT8 unit"):
        Pool("AMX_INT8", (), 1)


# --- where threads run --------------------------------------------------------------------------------------------


@pytest.fixture
def four_cpus_of_two_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cpu, siblings in enumerate(("0-1", "0-1", "2-3", "2-3")):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "core_cpus_list").write_text(siblings + "\n")
    monkeypatch.setattr("kernels.peak.processor.TOPOLOGY", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)


@pytest.mark.usefixtures("four_cpus_of_two_cores")
@pytest.mark.parametrize(
    ("threads", "cpus"), [(1, [0]), (2, [0, 2]), (3, [0, 2, 1]), (4, [0, 2, 1, 3]), (5, [ANYWHERE] * 5)]
)
def test_threads_take_a_core_each_before_they_share_one(threads: int, cpus: list[int]) -> None:
    assert placement(threads) == cpus


# --- cases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
def test_the_case_is_the_same_in_every_suite_and_serves_every_unit(device: DeviceView) -> None:
    cases = [Peak().cases(suite, device) for suite in SUITES]
    assert cases[0] == cases[1] == cases[2]
    ((case,),) = cases[:1]
    assert Peak().complete_case(case) == dict(case)
    if device.type == "cpu":
        assert case["chains"] == device.units * BLOCK_CHAINS
    else:
        assert int(case["chains"]) % LEAST_TILE == 0


def test_a_processor_with_tiles_gets_longer_calls() -> None:
    tiles = replace(SAPPHIRE_RAPIDS, isa=SAPPHIRE_RAPIDS.isa | {"amx_tile"})
    assert Peak().cases("standard", tiles)[0]["length"] > Peak().cases("standard", AVX2)[0]["length"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("length=2048", "needs chains="),
        ("chains=2000", "no multiple of 1536"),
        ("chains=1536,length=3000", "no multiple of 2048"),
        (f"chains=1536,length={LENGTH_MOST + LENGTH_STEP}", "outside"),
    ],
)
def test_a_wrong_case_names_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Peak().parse_case(text)


# --- Triton -------------------------------------------------------------------------------------------------------

INSTRUCTIONS = {
    ("triton-dot", "sm_80", "fp16"): "mma.sync",
    ("triton-dot", "sm_80", "int8"): "mma.sync",
    ("triton-dot", "sm_90", "bf16"): "wgmma.mma_async",
    ("triton-dot", "sm_90", "tf32"): "wgmma.mma_async",
    ("triton-dot", "sm_90", "fp8"): "wgmma.mma_async",
    ("triton-dot", "sm_100", "fp16"): "tcgen05.mma",
    ("triton-dot", "gfx942", "fp16"): "v_mfma",
    ("triton-dot", "gfx942", "int8"): "v_mfma",
    ("triton-dot", "sm_80", "fp64"): "mma.sync",
    ("triton-dot", "sm_90", "fp64"): "mma.sync",
    ("triton-fma", "sm_90", "fp32"): "fma.rn.f32",
    ("triton-fma", "sm_90", "fp64"): "fma.rn.f64",
}


@pytest.fixture
def apart(absent: Absent, checkout: Path) -> Callable[..., Any]:
    """`apart(command, arguments…, interpret=…)`: what tests/kernels/peak_triton.py answers, in a process of its own."""
    if importlib.util.find_spec("triton") is None:
        absent("triton", "Triton is not installed")

    def ask(*arguments: str, interpret: str) -> Any:
        if interpret == "1":
            skip_without_interpreter()
        done = subprocess.run(
            [sys.executable, str(checkout / "tests" / "kernels" / "peak_triton.py"), *arguments],
            env={**os.environ, "TRITON_INTERPRET": interpret},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return ask


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precisions"), [("triton-dot", DOT_PRECISIONS), ("triton-fma", FMA_PRECISIONS)])
def test_tritons_loops_are_exact_in_the_interpreter(
    apart: Callable[..., Any], name: str, precisions: tuple[str, ...]
) -> None:
    answers = apart("interpret", name, *precisions, interpret="1")
    assert answers == dict.fromkeys(precisions, True)


@pytest.mark.slow
def test_tritons_loops_compile_for_gpus_that_are_not_here_and_use_their_units(apart: Callable[..., Any]) -> None:
    answers = apart("compile", json.dumps(list(INSTRUCTIONS)), interpret="0")
    for (key, instruction), found in zip(INSTRUCTIONS.items(), answers, strict=True):
        assert any(word.startswith(instruction) for word in found), (key, found)


@pytest.mark.parametrize("device", [H100, MI300X, replace(H100, capability=(8, 0)), replace(H100, capability=(12, 0))])
@pytest.mark.parametrize("precision", Peak.precisions)
def test_a_gpus_case_has_a_layout_for_every_precision(precision: str, device: DeviceView) -> None:
    chains = 132 * GPU_CHAINS
    if precision in FMA_PRECISIONS:
        found = fma_configs(precision, chains, device)
        assert found
        assert all(chains % each["sums"] == 0 for each in found)
    if precision in DOT_PRECISIONS:
        found = dot_configs(precision, chains, device)
        assert found
        assert all(chains % (each["rows"] * each["columns"]) == 0 for each in found)
        assert all(LENGTH_STEP % each["depth"] == 0 for each in found)


def test_what_a_gpu_lacks_is_said() -> None:
    case = {"chains": GPU_CHAINS}
    assert "runs on cpu" in reason(Peak(), "avx2-fma", case, "fp32", H100)
    assert reason(Peak(), "triton-dot", case, "fp16", T4)
    ampere = replace(H100, capability=(8, 0), architecture="sm_80")
    if importlib.util.find_spec("triton") is not None:
        assert "8.9" in reason(Peak(), "triton-dot", case, "fp8", ampere)
        assert reason(Peak(), "triton-dot", case, "tf32", MI300X)
        assert "triton-fma" in reason(Peak(), "triton-dot", case, "fp64", MI300X)
        assert reason(Peak(), "triton-dot", case, "fp64", H100) == ""
        assert "multiple" in reason(Peak(), "triton-dot", {"chains": BLOCK_CHAINS}, "fp16", H100)
        assert reason(Peak(), "triton-dot", case, "int8", H100) == ""


def test_it_is_a_ceiling() -> None:
    assert Peak.role is Role.CEILING
    assert all(name in Peak().implementations() for name in PROCESSOR_LOOPS)
