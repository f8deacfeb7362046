"""Hooks of mkdocs: what the pages link to outside docs/ becomes part of the site, and the links lead there.

On GitHub and in a checkout those links lead to the repository; the site has copies, of the same version, under
`project/`: documents as pages, a folder as its README or a list of its files, anything else as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

CHECKOUT = Path(__file__).resolve().parent.parent
COPIES = "project/"
FENCE = re.compile(r"(^```.*?^```[^\n]*$)", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is linked to, and what that links to."""
    from mkdocs.structure.files import File, InclusionLevel

    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        source = waiting.pop()
        given: dict[str, str] = {"abs_src_path": str(CHECKOUT / source)}
        if source.endswith(".md"):
            text = (CHECKOUT / source).read_text("utf-8") if (CHECKOUT / source).is_file() else listing(source)
            found = {one for one in linked(text, source) if not one.startswith("docs/")} - seen
            seen |= found
            waiting += sorted(found)
            given = {"content": text}
        if not source.startswith("docs/"):
            files.append(File.generated(config, uri(source), inclusion=InclusionLevel.NOT_IN_NAV, **given))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """The page with its links as the site has them."""
    at = page.file.src_uri
    source = at.removeprefix(COPIES) if at.startswith(COPIES) else f"docs/{at}"
    return in_site(markdown, source)


def linked(text: str, source: str) -> Iterator[str]:
    """The files within the project that a document links to, from the checkout's root; a folder is its page."""
    for part in FENCE.split(text)[::2]:
        for found in LINK.finditer(part):
            yield resolve(found[1], source)


def in_site(text: str, source: str) -> str:
    """A document with its links as the site has them; shell blocks stay."""

    def moved(found: re.Match[str]) -> str:
        target = os.path.relpath(uri(resolve(found[1], source)), PurePosixPath(uri(source)).parent)
        return f"]({PurePosixPath(target).as_posix()}{found[2] or ''})"

    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(moved, part) for part in parts[::2]]
    return "".join(parts)


def resolve(target: str, source: str) -> str:
    """Where a link leads, from the checkout's root. A folder's page is its README, or else a list of its files."""
    path = os.path.normpath(PurePosixPath(source).parent / target)
    if (CHECKOUT / path).is_dir():
        path = f"{path}/{'README' if (CHECKOUT / path / 'README.md').is_file() else 'index'}.md"
    return PurePosixPath(path).as_posix()


def uri(path: str) -> str:
    """Where the site has a file of the checkout."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{COPIES}{path}"


def listing(source: str) -> str:
    """The page of a folder that has none: its files."""
    folder = PurePosixPath(source).parent
    names = sorted(one.name for one in (CHECKOUT / folder).iterdir() if one.is_file())
    return "\n".join([f"# {folder}", "", *(f"- [{name}]({name})" for name in names), ""])
