"""The documents as a site: the menu has every page, and links that leave docs/ lead to copies (tox builds it)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml


@pytest.fixture(scope="module")
def hooks(checkout: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_links", checkout / "docs" / "site_links.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, list):
        for one in nav:
            yield from pages(one)
    elif isinstance(nav, dict):
        for one in nav.values():
            yield from pages(one)


@pytest.fixture(scope="module")
def menu(checkout: Path) -> list[str]:
    return list(pages(yaml.safe_load((checkout / "mkdocs.yml").read_text("utf-8"))["nav"]))


def test_the_menu_has_every_page_of_docs_once(menu: list[str], checkout: Path) -> None:
    found = [page for page in menu if not page.startswith("project/")]
    assert sorted(found) == sorted(path.name for path in (checkout / "docs").glob("*.md"))


def test_what_the_menu_has_of_the_project_is_there(menu: list[str], checkout: Path) -> None:
    found = [page.removeprefix("project/") for page in menu if page.startswith("project/")]
    assert {"README.md", "README.zh-CN.md", "results/reference/README.md"} <= set(found)
    assert [page for page in found if not (checkout / page).is_file()] == []


@pytest.mark.parametrize(
    ("source", "written", "in_site"),
    [
        ("docs/ci.md", "[a](store.md#which-run)", "[a](store.md#which-run)"),
        ("docs/ci.md", "[a](../action.yml)", "[a](project/action.yml)"),
        ("docs/ci.md", "[a](../README.md#start)", "[a](project/README.md#start)"),
        ("docs/ci.md", "[a](../ci/github)", "[a](project/ci/github/index.md)"),
        ("docs/ci.md", "[a](../results/reference)", "[a](project/results/reference/README.md)"),
        ("README.md", "[a](docs/method.md)", "[a](../method.md)"),
        ("README.md", "[a](LICENSE)", "[a](LICENSE)"),
        ("results/reference/README.md", "[a](../../docs/store.md)", "[a](../../../store.md)"),
        ("docs/ci.md", "![a](gallery/x.svg)", "![a](gallery/x.svg)"),
        ("docs/ci.md", "[a](https://example.org/x) [b](#here)", "[a](https://example.org/x) [b](#here)"),
        ("docs/ci.md", "```text\n[a](../action.yml)\n```\n", "```text\n[a](../action.yml)\n```\n"),
    ],
)
def test_links_lead_to_where_the_site_has_their_target(
    hooks: ModuleType, source: str, written: str, in_site: str
) -> None:
    assert hooks.in_site(written, source) == in_site


def test_a_folder_without_a_readme_is_the_list_of_its_files(hooks: ModuleType, checkout: Path) -> None:
    text = hooks.listing("ci/github/index.md")
    assert text.startswith("# ci/github\n")
    for path in (checkout / "ci" / "github").iterdir():
        assert f"[{path.name}]({path.name})" in text


def test_what_is_linked_to_is_found_once_it_is_outside_shell_blocks(hooks: ModuleType) -> None:
    text = "[a](../LICENSE) [b](https://example.org)\n\n```bash\n[c](../tox.ini)\n```\n"
    assert list(hooks.linked(text, "docs/ci.md")) == ["LICENSE"]
