"""`python -m bench`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    from bench.cli.main import main as command_line

    return command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
