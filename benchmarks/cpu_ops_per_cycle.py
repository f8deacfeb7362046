"""Measures the operations per cycle that one core of this processor reaches, instruction set by instruction set.

    python benchmarks/cpu_ops_per_cycle.py [--repeat 5] [--format table|json]

The figures of `bench/ratings/data/cpu-isa.toml` whose basis is "measured" come from here. Each loop is built from
cpu_ops_per_cycle.c with gcc or clang and run on one core; its cycles are counted by a chain of dependent multiplies in
the same process. Printed is the largest of the repeats: a neighbour can only take away.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")

KERNELS: dict[str, tuple[tuple[str, ...], str]] = {
    # loop → (flags of /proc/cpuinfo that it needs, what it does)
    "fp64_fma": (("avx2", "fma"), "AVX2 FP64 multiply-add"),
    "fp32_fma": (("avx2", "fma"), "AVX2 FP32 multiply-add"),
    "int16_multiply": (("avx2",), "AVX2 vpmaddwd alone: what the integer multipliers bound int8 to"),
    "int16_madd": (("avx2",), "AVX2 int8 widened to int16, vpmaddwd + vpaddd: exact into int32"),
    "int8_maddubs": (("avx2",), "AVX2 int8 by vpmaddubsw + vpmaddwd + vpaddd: saturates, exact for 7 bits"),
    "avx_vnni": (("avx_vnni",), "AVX-VNNI int8 dot product"),
    "avx512_fp64_fma": (("avx512f",), "AVX-512 FP64 multiply-add"),
    "avx512_fp32_fma": (("avx512f",), "AVX-512 FP32 multiply-add"),
    "avx512_fp16_fma": (("avx512_fp16",), "AVX512-FP16 multiply-add, sums in FP16"),
    "avx512_bf16_dot": (("avx512_bf16",), "AVX512-BF16 dot product"),
    "avx512_vnni": (("avx512_vnni",), "AVX512-VNNI int8 dot product"),
    "amx_bf16": (("amx_bf16", "amx_tile"), "AMX-BF16 tile product"),
    "amx_fp16": (("amx_fp16", "amx_tile"), "AMX-FP16 tile product, sums in FP32"),
    "amx_int8": (("amx_int8", "amx_tile"), "AMX-INT8 tile product"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="processes per loop; the largest result counts")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    args = parser.parse_args()
    if args.repeat < 1:
        parser.error(f"--repeat: {args.repeat} is not 1 or more")
    if platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux":
        return refuse(f"the loops are x86-64 for Linux; this is {platform.machine()} on {sys.platform}")
    compiler = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        return refuse("no C compiler: install gcc or clang (the harness itself needs none)")
    flags = cpu_flags()
    with tempfile.TemporaryDirectory() as folder:
        results = {
            name: measure(compiler, name, Path(folder), args.repeat) if flags.issuperset(needs) else f"no {needs[0]}"
            for name, (needs, _) in KERNELS.items()
        }
    if args.format == "json":
        print(json.dumps({"schema": 1, "results": results}, indent=1))
        return 0
    for name, result in results.items():
        figure = result if isinstance(result, str) else f"{result['operations_per_cycle']:8.2f} per cycle"
        clock = "" if isinstance(result, str) else f" at {result['clock_hz'] / 1e9:.2f} GHz"
        print(f"{KERNELS[name][1]:<75} {figure}{clock}")
    return 0


def refuse(why: str) -> int:
    print(f"cpu_ops_per_cycle: {why}", file=sys.stderr)
    return 3


def cpu_flags() -> set[str]:
    """The flags of the first processor, as Linux spells them."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            return set(value.split())
    return set()


def measure(compiler: str, name: str, folder: Path, repeat: int) -> dict[str, float] | str:
    """The best of `repeat` processes, or why there is none."""
    program = folder / name
    build = subprocess.run(
        [compiler, "-O2", f"-DKERNEL_{name}", str(SOURCE), "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    if build.returncode:
        return f"does not build: {(build.stderr.strip().splitlines() or ['?'])[0]}"
    best: dict[str, float] | None = None
    for _ in range(repeat):
        run = subprocess.run([str(program)], capture_output=True, text=True, check=False)
        if run.returncode:
            return f"does not run: {run.stderr.strip() or f'exit {run.returncode}'}"
        result: dict[str, float] = json.loads(run.stdout)
        if best is None or result["operations_per_cycle"] > best["operations_per_cycle"]:
            best = result
    return best if best is not None else "not run"


if __name__ == "__main__":
    sys.exit(main())
