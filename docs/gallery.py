"""Draws docs/gallery/ anew: runs every `python -m bench report …` of docs/gallery.md, in the checkout.

The page is the list; a picture that it no longer names is removed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / "gallery.md"
FOLDER = CHECKOUT / "docs" / "gallery"
COMMAND = re.compile(r"^python -m bench (report .*)$", flags=re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    """The arguments of every command of the page's shell blocks, in their order."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(found) for block in blocks for found in COMMAND.findall(block)]


def output(arguments: list[str]) -> Path:
    """Where a command draws, from the checkout's root."""
    return Path(arguments[arguments.index("-o") + 1])


def main() -> int:
    """Draw them all; the exit code of the first that fails, else 0."""
    wanted = commands(PAGE.read_text("utf-8"))
    for arguments in wanted:
        done = subprocess.run([sys.executable, "-m", "bench", *arguments, "--force"], cwd=CHECKOUT, check=False)
        if done.returncode:
            return done.returncode
    drawn = {CHECKOUT / output(arguments) for arguments in wanted}
    for picture in set(FOLDER.glob("*.svg")) - drawn:
        picture.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
