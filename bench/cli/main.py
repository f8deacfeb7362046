"""The frame of the command line: finds the command, turns errors into one line and an exit code.

Only the command that is asked for is imported, so that `--help` costs no more than the standard library.
"""

from __future__ import annotations

import argparse
import codecs
import keyword
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Final, NoReturn

from bench.errors import BenchError, UnavailableError, UsageError, unknown_name

EXIT_INTERRUPTED: Final = 130
SPELL_OUT: Final = "bench.spell-out"
"""Our handler of characters that an encoding lacks."""

COMMANDS: Final[dict[str, str]] = {
    "run": "measure the device present and set it against its rated peak",
    "find": "search the shapes of a kernel for the most that a device achieves, and name those to avoid",
    "show": "read a run file back as a table, markdown, CSV or JSON",
    "devices": "list the devices here: what each is, what it supports, what it is rated at",
    "kernels": "list the kernels, their cases, precisions and implementations",
    "ratings": "search the rated peaks; say which row a reported name gets",
    "doctor": "say what would make a measurement here bad, and how to mend it",
    "compare": "say of each series of two runs whether it became slower, or why that can't be told",
    "ab": "measure two sides in turn on this machine: is B slower than A?",
    "baseline": "name runs to compare with, list and clear the names",
    "history": "show series over the runs of a store, and where they changed",
    "import": "read another tool's results into the store",
    "export": "write a run in another tool's format",
    "results": "list the runs of a store, compact old ones, rebuild the index",
    "report": "set runs and rated hardware side by side: a table, a page, markdown, data or a chart",
    "fleet": "put many devices side by side, and name the sick ones with the reason",
    "plan": "say what a list of devices is rated at, measured at and delivers, by precision",
}

EPILOG: Final = """\
Start with:
  python -m bench run                        the best device here, two minutes
  python -m bench run --device cuda          the GPU
  python -m bench run --kernel gemm --case m=4096,n=4096,k=4096 --precision fp16
  python -m bench show results/RUN.jsonl     read a run again

Exit codes: 0 done · 1 a regression, a sick device · 2 wrong usage · 3 could not measure or read · 4 unstable machine ·
  5 no baseline · 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are a UsageError: one line, exit 2, no usage dump."""

    behind_dashes: str = ""
    """For a command that hands words on: the attribute that gets those behind the first `--`."""

    def parse_known_args(  # type: ignore[override]  # argparse overloads it by the type of the namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, which can't tell positional words before an option from those behind `--`."""
        words = list(sys.argv[1:] if args is None else args)
        end = words.index("--") if self.behind_dashes and "--" in words else len(words)
        found, unknown = super().parse_known_args(words[:end], namespace)
        if self.behind_dashes:
            setattr(found, self.behind_dashes, words[end + 1 :])
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')} (see `{self.prog} --help`)")


def main(argv: Sequence[str]) -> int:
    """Run one command; returns the contract's exit code and never lets a traceback out unless --debug asks for it."""
    _tolerate_any_encoding()
    debug = "--debug" in argv or bool(os.environ.get("BENCH_DEBUG"))
    try:
        code = _dispatch(list(argv))
        sys.stdout.flush()
    except BenchError as error:
        if debug:
            import traceback

            traceback.print_exc()
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        # A second Ctrl-C has nothing left to end, and must not tear up the interpreter's own shutdown.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("bench: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough: end quietly, and keep the interpreter from flushing into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, RecursionError) as error:
        # What a file system or a file may still come up with where a command looked for nothing of the kind: a name
        # too long, a working directory that is gone, a million opening brackets.
        if debug:
            raise
        _complain(_words_on(error))
        return UnavailableError.exit_code
    return code


def _complain(message: str) -> None:
    """One line on stderr, whatever the names in it hold."""
    if not message.isprintable():
        from bench.store.index import printable

        message = printable(message)
    print(f"bench: {message}", file=sys.stderr)


def _words_on(error: OSError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "a file is nested too deeply to be read (--debug shows where)"
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def parser_for(command: str) -> Parser:
    """The complete parser of one command."""
    module = _module(command)
    parser = Parser(
        prog=f"python -m bench {command}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.description = COMMANDS[command].capitalize() + "."
    module.configure(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _dispatch(argv: list[str]) -> int:
    top = _top_parser()
    options = [word for word in argv if word != "--debug"]
    if not options or options[0].startswith("-"):
        if not options:
            top.print_help()
            return UsageError.exit_code
        top.parse_args(options)  # --help and --version end here, anything else is a usage error
        return 0
    command, *rest = options
    if command not in COMMANDS:
        raise unknown_name("command", command, COMMANDS)
    args = _parsed(parser_for(command), rest)
    args.argv = [command, *rest]
    code: int = _module(command).run(args)
    return code


def _parsed(parser: Parser, words: list[str]) -> argparse.Namespace:
    """The arguments; positional words may stand on both sides of an option, which plain argparse takes for unknown."""
    try:
        return parser.parse_args(words)
    except UsageError as refused:
        if parser.behind_dashes or "--" in words:
            raise
        try:
            return parser.parse_intermixed_args(words)
        except (UsageError, TypeError):  # TypeError: a parser with actions of its own can't do it
            raise refused from None


def _module(command: str) -> ModuleType:
    """The module of a command; where the word is Python's own (import) its name ends in an underscore."""
    return import_module(f"bench.cli.{command}{'_' * keyword.iskeyword(command)}")


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {help_line}" for name, help_line in COMMANDS.items())
    parser = Parser(
        prog="python -m bench",
        usage="python -m bench COMMAND [OPTIONS]",
        description="suanli-bench: measures what a device delivers of its rated computing power, and what is missing."
        f"\n\nCommands (each with --help):\n{listing}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"suanli-bench {_version()}")
    return parser


def _version() -> str:
    from bench import __version__

    return __version__


def _tolerate_any_encoding() -> None:
    """A terminal without UTF-8 shows `x` for `×`, and `?` where there is no such spelling, instead of an error."""
    codecs.register_error(SPELL_OUT, _spell_out)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=SPELL_OUT)


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from bench.report.table import ASCII

    lacking = error.object[error.start : error.end].translate(ASCII)
    return lacking.encode("ascii", "replace").decode("ascii"), error.end
