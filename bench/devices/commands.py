"""Running a small system tool whose absence, refusal or slowness is no failure."""

from __future__ import annotations

import os
import subprocess

_TIMEOUT_S = 5.0
"""Identity tools answer in milliseconds; a hung driver must not hang the benchmark."""


def output_of(*command: str) -> str | None:
    """What the command prints, in the C locale; None where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
