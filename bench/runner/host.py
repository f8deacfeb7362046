"""What the run line says of the machine and the software around a run; torch is not imported for it."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any, Final

import bench

RELEVANT_PREFIXES: Final = (
    "OMP_",
    "MKL_",
    "KMP_",
    "GOMP_",
    "CUDA_",
    "NVIDIA_",
    "CUBLAS",
    "CUDNN_",
    "HIP_",
    "ROCR_",
    "HSA_",
    "TORCH",
    "PYTORCH_",
    "ATEN_",
    "ONEDNN_",
    "DNNL_",
    "TRITON_",
    "MALLOC_",
    "BENCH_",
)
"""Environment variables that are known to move a measurement."""
ANONYMOUS: Final = "anonymous"


def name(anonymize: bool) -> str:
    """This machine's name, or "anonymous"."""
    return ANONYMOUS if anonymize else socket.gethostname()


def host(anonymize: bool) -> dict[str, Any]:
    """Operating system, architecture and name of this machine; the name left out when asked."""
    return {
        "name": name(anonymize),
        "os": platform.system(),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
    }


def environment(anonymize: bool) -> dict[str, str]:
    """The environment variables that matter; of those that hold a path only their names when anonymous."""
    found = {name: value for name, value in sorted(os.environ.items()) if name.startswith(RELEVANT_PREFIXES)}
    if "LD_PRELOAD" in os.environ:
        found["LD_PRELOAD"] = os.environ["LD_PRELOAD"]
    if anonymize:
        found = {name: "(a path)" if "/" in value else value for name, value in found.items()}
    return found


def git_state(anonymize: bool = False) -> dict[str, Any] | None:
    """Commit and dirtiness of the working directory's checkout; None outside one.

    Anonymous only of the checkout that bench itself runs from, without the branch: any other is somebody's project.
    """
    commit = _git("rev-parse", "HEAD")
    if commit is None or (anonymize and not _is_our_checkout()):
        return None
    status = _git("status", "--porcelain", "--untracked-files=no")
    branch = None if anonymize else _git("rev-parse", "--abbrev-ref", "HEAD")
    return {"commit": commit, "branch": branch, "dirty": bool(status)}


def _is_our_checkout() -> bool:
    """Whether the working directory's checkout has this package at its root: not one that has it in an environment."""
    root = _git("rev-parse", "--show-toplevel")
    return root is not None and Path(bench.__file__).resolve().parent.parent == Path(root).resolve()


def page_settings() -> dict[str, Any] | None:
    """Transparent huge pages and page size: they move CPU figures by several percent."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    try:
        chosen = setting.read_text().split("[")[1].split("]")[0]
    except (OSError, IndexError):
        chosen = None
    size = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else None
    return {"transparent_hugepage": chosen, "page_bytes": size}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
