"""For tests of what a run says of the checkout that it was measured in."""

from __future__ import annotations

import subprocess
from pathlib import Path

BRANCH = "alice"
COMMITTER = ("-c", "user.name=somebody", "-c", "user.email=", "-c", "commit.gpgsign=false")


def checked_out(git: str, folder: Path) -> None:
    """Make the folder the checkout of somebody's project: one commit, on a branch that bears a name."""
    (folder / "README").write_text("hello")
    for words in (["init", "-q"], ["checkout", "-q", "-b", BRANCH], ["add", "README"], ["commit", "-q", "-m", "one"]):
        subprocess.run([git, *COMMITTER, *words], cwd=folder, check=True)
