"""The documents hold: links lead somewhere, and every command in them parses with the real parser."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli.main import COMMANDS, parser_for
from bench.errors import UsageError

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("examples/**/*.md")])

PROMPT = re.compile(r"^\s*(?:\$ )?")
COMMAND = re.compile(r"(?:^|&& |; )python -m bench\b([^|;&>#]*)")


def name(document: Path) -> str:
    return document.relative_to(CHECKOUT).as_posix()


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def commands(text: str) -> Iterator[str]:
    """The arguments of every `python -m bench …` in shell blocks and in backquotes."""
    for block in re.findall(r"^```(?:bash|console|sh|shell)\n(.*?)^```", text, flags=re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            yield from (found.strip() for found in COMMAND.findall(PROMPT.sub("", line)))
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    yield from (found.strip() for found in re.findall(r"`python -m bench ([^`]+)`", prose))


FOUND = [(name(document), line) for document in DOCUMENTS for line in commands(document.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        aimed = (document.parent / path).resolve() if path else document
        assert aimed.exists(), f"{name(document)}: {target}"
        assert not anchor or anchor in anchors(aimed), f"{name(document)}: {target}"


@pytest.mark.parametrize(("document", "line"), FOUND, ids=[f"{document}: {line}" for document, line in FOUND])
def test_every_command_in_the_documents_parses(document: str, line: str) -> None:
    words = shlex.split(line)
    if words == ["--help"]:
        return
    command, *arguments = words
    assert command in COMMANDS, f"{document} names a command that does not exist: {line}"
    if "--help" in arguments:
        return
    try:
        parser_for(command).parse_args(arguments)
    except UsageError as error:
        pytest.fail(f"{document}: python -m bench {line}: {error}")


def test_the_readme_has_the_two_commands(checkout: Path) -> None:
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    assert "\npython -m pip install -c constraints.txt '.[report]' && python -m bench run\n" in readme
    assert "\npython -m pip install tox && python -m tox\n" in readme


def test_the_readme_lists_every_command_and_no_other(checkout: Path) -> None:
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    table = readme.partition("\n## Commands\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `python -m bench (\w+)", table, flags=re.M)) == set(COMMANDS)


def test_the_readme_lists_the_exit_codes_that_the_help_lists(checkout: Path) -> None:
    from bench.cli.main import EPILOG

    readme = (checkout / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| exit code |")[2].partition("\n\n")[0]
    told = re.search(r"Exit codes: (.*)", EPILOG, re.DOTALL)
    assert told
    assert re.findall(r"^\| (\d+) \|", table, flags=re.M) == re.findall(r"(\d+) ", told.group(1))
