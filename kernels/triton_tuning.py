"""What the Triton kernels share: which devices they run on, and the tile sizes that are fastest there, kept on disk.

Holds no kernel and no tile sizes: those stand beside each kernel. Imports neither torch nor Triton by itself.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, Final

from bench.kernel import DeviceView
from kernels.tensors import cuda_capability

SHARED_MEMORY_BYTES: Final = {
    # The most that a block may ask for: CUDA C++ programming guide, "Technical specifications per compute capability".
    "sm_80": 163 * 1024,
    "sm_86": 99 * 1024,
    "sm_89": 99 * 1024,
    "sm_90": 227 * 1024,
    "sm_100": 227 * 1024,
    "sm_120": 99 * 1024,
    # LDS of a workgroup: AMD's ISA guides of CDNA 1–3 and RDNA 3 and 4. CDNA 4 has 160 KiB; what fits 64 fits there.
    "gfx9": 64 * 1024,
    "gfx11": 64 * 1024,
    "gfx12": 64 * 1024,
}

CDNA: Final = ("gfx908", "gfx90a", "gfx94", "gfx95")
"""Those of gfx9 that have matrix instructions: MI100 and newer, not Vega."""

INTERPRETER: Final = "interpreter"
"""The family of a CPU: Triton's interpreter, in tests. No implementation supports it, so that no run has such a row."""

LIMIT_S: Final = 30.0
"""Longest that one choice may take (ours): a row that takes minutes is taken for hung. Candidates that are not reached
are left out, and the choice is not kept on disk."""
LOOK_S: Final = 0.01
LOOKS: Final = 5
"""Looks of ten milliseconds at each candidate, in turns, so that a clock that moves meets them all; the median counts
(ours). Candidates differ by tens of percent where it matters."""
CALLS_AHEAD: Final = 50
SLEEP_CYCLES: Final = 200_000
"""Of the device for each call that the host makes meanwhile: a tenth of a millisecond at 2 GHz (ours)."""
GIVE_UP: Final = 1.5
"""A candidate slower than this many times the fastest so far gets no further look (ours)."""

_chosen: dict[str, Config] = {}
"""What this process has chosen or read: a call is built again for each rotated copy of the inputs."""


@dataclass(frozen=True)
class Config:
    """One way to compile a Triton kernel: its `tl.constexpr` sizes and how it is laid over warps and time."""

    constants: tuple[tuple[str, int], ...]
    warps: int = 4
    stages: int = 2
    options: tuple[tuple[str, int], ...] = ()
    """Options of one vendor's compiler, such as AMD's `matrix_instr_nonkdim`."""

    def __getitem__(self, name: str) -> int:
        return dict(self.constants)[name]

    def arguments(self) -> dict[str, int]:
        """The keyword arguments of a launch."""
        return {**dict(self.constants), "num_warps": self.warps, "num_stages": self.stages, **dict(self.options)}


def config(warps: int, stages: int, options: tuple[tuple[str, int], ...] = (), **constants: int) -> Config:
    """`config(8, 3, block_m=128, block_n=256)`: a Config written as a launch would be."""
    return Config(tuple(constants.items()), warps, stages, options)


@dataclass(frozen=True)
class Launch:
    """One call of a Triton kernel on given arguments: calling it launches and returns `output`."""

    kernel: Any
    grid: tuple[int, ...]
    arguments: tuple[Any, ...]
    constants: Mapping[str, Any]
    output: Any

    def __call__(self) -> Any:
        self.kernel[self.grid](*self.arguments, **self.constants)
        return self.output

    def compile(self) -> None:
        """Compile as a launch would, without launching."""
        self.kernel.warmup(*self.arguments, grid=self.grid, **self.constants)


# --- where Triton runs --------------------------------------------------------------------------------------------


def family(device: DeviceView) -> str:
    """The architecture as far as tile sizes depend on it, a key of `SHARED_MEMORY_BYTES`; "" where Triton's `tl.dot`
    has no matrix units to use, `INTERPRETER` for a CPU."""
    if device.type == "cpu":
        return INTERPRETER
    if device.type != "cuda":
        return ""
    if device.vendor == "amd":
        if device.architecture.startswith(CDNA):
            return "gfx9"
        return next((name for name in ("gfx11", "gfx12") if device.architecture.startswith(name)), "")
    major, minor = cuda_capability(device)
    if major == 8:
        return "sm_89" if minor == 9 else "sm_86" if minor == 6 else "sm_80"
    return {9: "sm_90", 10: "sm_100", 11: "sm_100", 12: "sm_120"}.get(major, "sm_120" if major > 12 else "")


def interpreted() -> bool:
    """Whether Triton is told to run its kernels as Python; read when it is imported, so set it before."""
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on", "yes", "y")


def triton_reason(device: DeviceView) -> str:
    """Why a Triton kernel can't be measured on the device; "" when it can. Does not import Triton."""
    if device.type != "cuda":
        return f"Triton's kernels run on CUDA and ROCm devices, not on {device.type}"
    if interpreted():
        return "TRITON_INTERPRET is set: Triton's interpreter computes on the CPU, and there is nothing to measure"
    if not family(device):
        return "Triton's matrix products need compute capability 8.0 or newer, or AMD's CDNA, RDNA 3 or RDNA 4"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    return ""


# --- the choice ---------------------------------------------------------------------------------------------------


def best_config(
    key: str,
    configs: Sequence[Config],
    build: Callable[[Config], Callable[[], object]],
    device: DeviceView,
    source: ModuleType,
) -> Config:
    """The fastest of `configs` on the device: read from disk if it was chosen before, else measured now.

    `key` names the problem (kernel, case, precision). `build(config)` returns a call of it; one with a `compile`, as
    `Launch` has, is compiled beside the others. `source` is the module that holds the kernel: a change in it makes
    earlier choices void. The configs stand in the order of what is likely best; one that does not compile, or asks for
    more than the device has, is passed over, and where none works the first one's error is raised. Takes seconds the
    first time: call it before the timed callable is returned. Where Triton interprets, nothing is measured and the
    first one is taken.
    """
    if len(configs) == 1 or interpreted():
        return configs[0]
    identity = _identity(key, configs, device, source)
    path = cache_folder() / f"{hashlib.sha256(_text(identity).encode()).hexdigest()[:32]}.json"
    found = _chosen.get(path.name) or _read(path, identity, configs)
    if found is None:
        seconds, complete = _measured(configs, build, device)
        found = min(seconds, key=lambda each: seconds[each])
        if complete:
            _write(path, {"identity": identity, "config": asdict(found), "seconds": list(seconds.values())})
    _chosen[path.name] = found
    return found


def cache_folder() -> Path:
    """Where choices are kept: under $XDG_CACHE_HOME where that is an absolute path (as its specification asks), else
    under ~/.cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "suanli-bench" / "triton"


def _identity(key: str, configs: Sequence[Config], device: DeviceView, source: ModuleType) -> dict[str, Any]:
    """All that a choice depends on; read back with it, so that two digests that collide are told apart."""
    import triton

    return {
        "key": key,
        "device": device.name,
        "architecture": device.architecture,
        "units": device.units,
        "triton": triton.__version__,
        "source": hashlib.sha256(Path(str(source.__file__)).read_bytes()).hexdigest(),
        "configs": [asdict(each) for each in configs],
    }


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _read(path: Path, identity: dict[str, Any], configs: Sequence[Config]) -> Config | None:
    """The choice kept at `path`; None where there is none, or what is there is torn, foreign or of another time."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if _text(kept["identity"]) != _text(identity):
            return None
        return next((each for each in configs if _text(asdict(each)) == _text(kept["config"])), None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, kept: dict[str, Any]) -> None:
    """Keep a choice; whoever reads at the same time sees the old file or the new one. A folder that can't be written
    costs the next run its seconds again, and nothing else."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            temporary = file.name
            file.write(_text(kept))
        Path(temporary).replace(path)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _measured(
    configs: Sequence[Config], build: Callable[[Config], Callable[[], object]], device: DeviceView
) -> tuple[dict[Config, float], bool]:
    """Seconds per call of each config that works, and whether all were tried."""
    import torch

    calls: dict[Config, Callable[[], object]] = {}
    errors: list[Exception] = []
    end = time.monotonic() + LIMIT_S
    with torch.cuda.device(device.torch_device):
        compile_ahead(configs, build)
        for each in configs:
            if calls and time.monotonic() > end:
                break
            try:
                call = build(each)
                call()
                torch.cuda.synchronize()
            except Exception as error:  # a compiler's, a driver's or ours: the next candidate may do
                errors.append(error)
            else:
                calls[each] = call
        if not calls:
            raise errors[0]
        return _race(calls), len(calls) + len(errors) == len(configs)


def compile_ahead(configs: Sequence[Config], build: Callable[[Config], Callable[[], object]]) -> None:
    """Compile what `build` makes of the configs side by side, where it has a `compile` as `Launch` and this Triton can
    (from 3.5).

    Raises nothing: what fails here fails again when it is called. Does not launch.
    """
    import triton

    if not hasattr(triton, "AsyncCompileMode"):
        return
    workers = min(len(configs), os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool, triton.AsyncCompileMode(pool, ignore_errors=True):
        for each in configs:
            with suppress(Exception):
                compile_it = getattr(build(each), "compile", None)
                if compile_it is not None:
                    compile_it()


def _race(calls: dict[Config, Callable[[], object]]) -> dict[Config, float]:
    """Seconds per call of each on the current CUDA device, the median of looks taken in turns."""
    looks: dict[Config, list[float]] = {each: [] for each in calls}
    for _ in range(LOOKS):
        for each, call in calls.items():
            best = min((min(seen) for seen in looks.values() if seen), default=0.0)
            if not looks[each] or min(looks[each]) <= GIVE_UP * best:
                looks[each].append(_look(call))
    return {each: median(seen) for each, seen in looks.items()}


def _look(call: Callable[[], object]) -> float:
    """Seconds per call, by a pair of device events around as many calls as `LOOK_S` holds.

    The stream sleeps while the host gets ahead: a launch takes Triton longer than many a small product.
    """
    import torch

    once = _events_s(call, 1)
    times = max(1, min(CALLS_AHEAD, int(LOOK_S / max(once, 1e-7))))
    torch.cuda._sleep(times * SLEEP_CYCLES)  # type: ignore[no-untyped-call]  # torch gives it no types
    return _events_s(call, times)


def _events_s(call: Callable[[], object], times: int) -> float:
    import torch

    start, end = torch.Event("cuda", enable_timing=True), torch.Event("cuda", enable_timing=True)
    start.record()
    for _ in range(times):
        call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e-3 / times
