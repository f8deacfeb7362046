"""`python -m bench kernels`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from bench import plugins
from bench.errors import unknown_name
from bench.kernel import Field

EXAMPLES = """\
examples:
  python -m bench kernels                 all of them
  python -m bench kernels gemm            the fields of its cases, its implementations
  python -m bench kernels --format json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = (
        "List the installed kernels: what each measures, the fields of its cases (for `run --case`), its precisions\n"
        "and implementations. Other packages add kernels and implementations through entry points."
    )
    parser.epilog = EXAMPLES
    parser.add_argument("kernel", metavar="KERNEL", nargs="?", help="one kernel in detail")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def run(args: argparse.Namespace) -> int:
    """Print the kernels; 0."""
    installed = plugins.load()
    for warning in installed.warnings:
        print(f"bench: warning: {warning}", file=sys.stderr)
    names = list(installed.kernels)
    if args.kernel is not None:
        if args.kernel not in installed.kernels:
            raise unknown_name("KERNEL", args.kernel, installed.kernels)
        names = [args.kernel]
    described = [_describe(installed, name) for name in names]
    if args.format == "json":
        print(json.dumps({"schema": 1, "kernels": described}, indent=2))
    elif args.kernel is not None:
        print(_detail(described[0]))
    else:
        print(_listing(described))
    return 0


def _describe(installed: plugins.Plugins, name: str) -> dict[str, Any]:
    kernel = installed.kernels[name]
    return {
        "name": name,
        "summary": kernel.summary,
        "role": kernel.role.value,
        "from": installed.origins[name],
        "precisions": list(kernel.precisions),
        "fields": [_field(spec) for spec in kernel.fields],
        "implementations": [
            {
                "name": implementation.name,
                "summary": implementation.summary,
                "precisions": list(implementation.precisions),
                "devices": list(implementation.devices) or ["any"],
            }
            for implementation in installed.implementations(name).values()
        ],
    }


def _field(spec: Field) -> dict[str, Any]:
    allowed: list[int | str] = list(spec.choices) or [spec.minimum, spec.maximum]
    return {"name": spec.name, "help": spec.help, "default": spec.default, "allowed": allowed}


def _listing(described: list[dict[str, Any]]) -> str:
    from tabulate import tabulate

    rows = [
        [
            kernel["name"],
            kernel["role"],
            kernel["summary"],
            " ".join(kernel["precisions"]),
            " ".join(implementation["name"] for implementation in kernel["implementations"]),
        ]
        for kernel in described
    ]
    headers = ["kernel", "role", "measures", "precisions", "implementations"]
    return str(tabulate(rows, headers=headers, tablefmt="simple", maxcolwidths=[None, None, 40, 20, 40]))


def _detail(kernel: dict[str, Any]) -> str:
    from tabulate import tabulate

    fields = [
        [
            field["name"],
            "required" if field["default"] is None else field["default"],
            (" … " if isinstance(field["allowed"][0], int) else ", ").join(map(str, field["allowed"])),
            field["help"],
        ]
        for field in kernel["fields"]
    ]
    implementations = [
        [each["name"], " ".join(each["precisions"]), " ".join(each["devices"]), each["summary"]]
        for each in kernel["implementations"]
    ]
    return "\n\n".join(
        [
            f"{kernel['name']} ({kernel['role']}, from {kernel['from']}): {kernel['summary']}",
            tabulate(fields, headers=["field", "default", "allowed", "meaning"], tablefmt="simple"),
            tabulate(
                implementations,
                headers=["implementation", "precisions", "devices", "how"],
                tablefmt="simple",
                maxcolwidths=[None, 30, 20, 70],
            ),
        ]
    )
