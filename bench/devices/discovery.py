"""Which devices torch presents here, and why one that was asked for is not among them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from bench.devices import cpu, cuda, other
from bench.devices.selection import KNOWN_TYPES, VENDOR_PACKAGES, Selection, parse_selection
from bench.errors import UnavailableError
from bench.kernel import DeviceView
from bench.records import Device


def discover(selection: str = "auto") -> list[Device]:
    """The devices that `--device` means, identified. Imports torch.

    `auto` is the first accelerator, else the processor; `all` every accelerator and the processor; TYPE the first
    device of the type; TYPE:i that one. Raises UsageError for what doesn't parse or names no type, UnavailableError
    (saying what is present, and why the device is not) for what is well-formed and absent.
    """
    chosen = parse_selection(selection)
    _import_torch_quietly()
    if chosen.type == "cpu":
        if chosen.index:
            raise UnavailableError(f"--device: {selection!r} is absent: the processor is one device, cpu")
        return [identify("cpu", 0)]
    if chosen.type not in ("auto", "all"):
        return [_one(chosen)]
    present = accelerators()
    if chosen.type == "auto":
        return [identify(*present[0])] if present else [identify("cpu", 0)]
    return [*(identify(kind, index) for kind, index in present), identify("cpu", 0)]


def _import_torch_quietly() -> None:
    """torch without NumPy, which nothing here needs, warns of that when it is imported."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
        importlib.import_module("torch")


def identify(kind: str, index: int) -> Device:
    """The record of one device that is present; `details["torch"]` is the torch that presents it."""
    import torch

    makers: dict[str, Callable[[], Device]] = {
        "cpu": cpu.identify,
        "cuda": lambda: cuda.identify(index),
        "xpu": lambda: other.identify_xpu(index),
        "mps": other.identify_mps,
    }
    device = makers.get(kind, lambda: other.identify_generic(kind, index))()
    device.details["torch"] = str(torch.__version__)
    return device


def accelerators() -> list[tuple[str, int]]:
    """(type, index) of every accelerator that torch presents, the type that torch prefers first."""
    return [(kind, index) for kind in _kinds() for index in range(_count(kind))]


def view(device: Device) -> DeviceView:
    """What a plugin may know of a device. Pure."""
    capability = device.capability
    return DeviceView(
        type=device.kind,
        torch_device=device.device,
        vendor=device.vendor,
        name=device.name,
        architecture=device.architecture,
        capability=(capability[0], capability[1]) if capability and len(capability) == 2 else None,
        isa=frozenset(device.isa),
        units=device.units.in_use or 1,
        memory_bytes=device.memory_bytes,
        cache_bytes=device.caches.get("llc"),
        torch_version=str(device.details.get("torch", "")),
        rank=device.rank if device.ranks > 1 else 0,
        ranks=device.ranks,
    )


def _kinds() -> list[str]:
    """Accelerator types that this torch knows: its current one, those it is built with, and PrivateUse1's."""
    import torch

    current = torch.accelerator.current_accelerator()
    names = [current.type] if current is not None else []
    names += ["cuda", "xpu", "mps", "mtia", "hpu"]
    private = _privateuse1_name()
    if private:
        names.append(private)
    return list(dict.fromkeys(names))


def _privateuse1_name() -> str | None:
    """What the registered third backend calls itself; None where none is registered."""
    import torch

    name = torch._C._get_privateuse1_backend_name()
    return str(name) if hasattr(torch, name) else None


def _count(kind: str) -> int:
    """Devices of a type that can be used now; a backend that fails to start presents none."""
    import torch

    module = torch.mps if kind == "mps" else getattr(torch, kind, None)
    try:
        if kind == "mps":
            return int(torch.backends.mps.is_available())
        return int(module.device_count()) if module is not None and module.is_available() else 0
    except Exception:  # A vendor's start-up code may raise anything; it must not hide the other devices.
        return 0


def _one(chosen: Selection) -> Device:
    """The one device of TYPE or TYPE:i. Imports the vendor's package where torch has not done so by itself."""
    import torch

    kind, index = chosen.type, chosen.index or 0
    kind = (_privateuse1_name() or kind) if kind == "privateuseone" else kind
    failed = _import_vendor_package(kind)
    count = _count(kind)
    if chosen.wants_hip and not getattr(torch.version, "hip", None):
        raise UnavailableError(_absent(chosen.text, f"torch {torch.__version__} is not built for ROCm"))
    if count == 0:
        raise UnavailableError(_absent(chosen.text, failed or _why_absent(torch, kind)))
    if index >= count:
        raise UnavailableError(_absent(chosen.text, f"{kind} has {count} device{'s' if count > 1 else ''}"))
    return identify(kind, index)


def _import_vendor_package(kind: str) -> str:
    """Import the package that brings `kind`, unless torch has it; returns why that failed, or ""."""
    import torch

    package = VENDOR_PACKAGES.get(kind)
    if package is None or hasattr(torch, kind):
        return ""
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        return f"{KNOWN_TYPES.get(kind, kind)} needs the package {package}, which is not installed ({error})"
    except Exception as error:  # A vendor's start-up code may raise anything, a missing library above all.
        return f"the package {package} does not load: {error}"
    return ""


def _absent(text: str, why: str) -> str:
    present = [f"{kind}:{index}" for kind, index in accelerators()]
    return f"--device: {text!r} is absent: {why}; present: {', '.join([*present, 'cpu'])}"


def _why_absent(torch: ModuleType, kind: str) -> str:
    """One clause on why torch presents no device of the type."""
    version: Any = torch.version
    built = {
        "cuda": bool(version.cuda or getattr(version, "hip", None)),
        "xpu": bool(getattr(version, "xpu", None)),
        "mps": bool(torch.backends.mps.is_built()),
    }.get(kind, hasattr(torch, kind))
    if not built:
        return f"torch {torch.__version__} is built without {'CUDA and without ROCm' if kind == 'cuda' else kind}"
    if kind == "mps":
        return "MPS needs macOS 14 or newer on a Mac with a Metal GPU"
    unseen = f"torch.{kind} sees no device (driver missing, or an environment variable hides it)"
    return _start_error(getattr(torch, kind)) or unseen


def _start_error(module: Any) -> str:
    try:
        module.init()
    except Exception as error:  # Whatever it is, it is the reason that is asked for.
        return str(error).strip().split("\n")[0]
    return ""
