"""Finds kernels and implementations through entry points; the only way in which the harness knows of either.

Groups: `bench.kernels` (a Kernel class each) and `bench.implementations` (an Implementation each, whose `kernel` names
the kernel it adds to). A plugin that fails to import is one warning; everything else goes on without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from bench.errors import UsageError, unknown_name
from bench.kernel import Implementation, Kernel

KERNELS_GROUP = "bench.kernels"
IMPLEMENTATIONS_GROUP = "bench.implementations"


@dataclass
class Plugins:
    """What is installed: kernels by name, the implementations others add to them, and what failed to import."""

    kernels: dict[str, type[Kernel]] = field(default_factory=dict)
    added: dict[str, list[Implementation]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """kernel name → "distribution version" that brings it."""
    warnings: list[str] = field(default_factory=list)

    def kernel(self, name: str) -> Kernel:
        """A new instance of the kernel of that name; UsageError with the names there are."""
        if name not in self.kernels:
            if not self.kernels:
                raise UsageError("no kernels are installed: run `python -m pip install .` in the checkout first")
            raise unknown_name("--kernel", name, self.kernels)
        return self.kernels[name]()

    def implementations(self, kernel: str) -> dict[str, Implementation]:
        """Every implementation of a kernel by name: its own first, then those that other packages add."""
        found = self.kernels[kernel].implementations() if kernel in self.kernels else {}
        for implementation in self.added.get(kernel, []):
            found.setdefault(implementation.name, implementation)
        return found


@cache
def load() -> Plugins:
    """Import every registered plugin once per process."""
    plugins = Plugins()
    for entry in _sorted(KERNELS_GROUP):
        kernel = _import(entry, plugins)
        if kernel is None:
            continue
        if not (isinstance(kernel, type) and issubclass(kernel, Kernel)):
            _warn(plugins, entry, f"{entry.value} is not a subclass of bench.kernel.Kernel")
        elif kernel.name in plugins.kernels:
            _warn(plugins, entry, f"a kernel named {kernel.name!r} is already there ({plugins.origins[kernel.name]})")
        else:
            plugins.kernels[kernel.name] = kernel
            plugins.origins[kernel.name] = _origin(entry)
    for entry in _sorted(IMPLEMENTATIONS_GROUP):
        implementation = _import(entry, plugins)
        if implementation is None:
            continue
        if not isinstance(implementation, Implementation):
            _warn(plugins, entry, f"{entry.value} is not marked with @bench.kernel.implementation")
        elif implementation.kernel not in plugins.kernels:
            _warn(plugins, entry, f"it adds to a kernel {implementation.kernel!r} that is not installed")
        elif implementation.name in plugins.implementations(implementation.kernel):
            _warn(plugins, entry, f"{implementation.kernel} already has an implementation {implementation.name!r}")
        else:
            plugins.added.setdefault(implementation.kernel, []).append(implementation)
    return plugins


def kernels() -> dict[str, type[Kernel]]:
    """The installed kernels by name."""
    return load().kernels


def _sorted(group: str) -> list[EntryPoint]:
    # The same order on every machine, and one entry where a path is listed twice on sys.path.
    return sorted(set(entry_points(group=group)), key=lambda entry: (entry.name, entry.value))


def _import(entry: EntryPoint, plugins: Plugins) -> object | None:
    try:
        loaded: object = entry.load()
    except (Exception, SystemExit) as error:  # a plugin may fail in any way; it must not take the rest along
        _warn(plugins, entry, f"{type(error).__name__}: {error}")
        return None
    return loaded


def _warn(plugins: Plugins, entry: EntryPoint, why: str) -> None:
    message = " ".join(why.split())
    plugins.warnings.append(f"plugin {entry.name!r} ({_origin(entry)}) left out: {message}")


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
