"""The history site: whole, self-contained, and nothing that a name could break or run."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.analysis.history import History, history
from bench.errors import UnavailableError
from bench.report import history_page
from bench.store.index import printable
from tests.histories import Accepted, noisy, points, stepped

HOSTILE = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "{{ 7 * 7 }}{% for x in y %}",
    "</title></style></script><img src=x onerror=alert(1)>",
    "<!-- ]]> & &lt; &#60;",
    "\u202egnp.exe\u2066\u200f",
    "\x00\x1b[2J\r\n\t",
    "../../etc/passwd",
    "𝒳名前שלום",
)


class Read(HTMLParser):
    """What a browser would find: elements, their attributes, and the text of names."""

    VOID = frozenset({"meta", "input", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def page(one: History, folder: Path) -> str:
    history_page.write_file([one], folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def test_a_folder_has_an_index_and_a_page_a_series(tmp_path: Path) -> None:
    everything = [stepped(series=name) for name in ("gemm", "conv")]
    history_page.write_folder(iter(everything), tmp_path / "site")
    index = Read((tmp_path / "site" / "index.html").read_text(encoding="utf-8"))
    links = [attributes["href"] for tag, attributes in index.elements if tag == "a"]
    assert len(links) == 2
    for link, one in zip(links, everything, strict=True):
        text = (tmp_path / "site" / str(link)).read_text(encoding="utf-8")
        assert one.series in Read(text).texts
        assert "../index.html" in text


def test_the_same_series_keeps_its_page_and_another_class_has_its_own() -> None:
    assert history_page.anchor_of(stepped()) == history_page.anchor_of(history(points([1.0])))
    assert history_page.anchor_of(stepped()) != history_page.anchor_of(stepped(class_id="other"))


def test_a_page_shows_every_run_every_change_and_why_a_run_is_not_used(tmp_path: Path) -> None:
    one = stepped([Accepted("run0030", reason="a safer algorithm")])
    read = Read(page(one, tmp_path))
    assert read.count("circle") == 60
    assert any("accepted: a safer algorithm" in text for text in read.texts)
    grey = history(points([1e-3, 1e-3], quarantined=True))
    assert "in quarantine" in page(grey, tmp_path)


def test_a_chart_can_be_read_without_seeing_it(tmp_path: Path) -> None:
    read = Read(page(stepped(), tmp_path))
    (chart,) = [attributes for tag, attributes in read.elements if attributes.get("class") == "chart"]
    assert chart["role"] == "img" and chart["tabindex"] == "0"
    assert "1 change of level: +20 %." in str(chart["aria-label"])
    assert read.count("title") == 61  # the page's and each dot's
    assert len([tag for tag, _ in read.elements if tag == "tr"]) >= 61  # all points as a table


def test_a_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    text = page(stepped(), tmp_path)
    assert "http" not in text.replace("http-equiv", "")
    read = Read(text)
    assert not {tag for tag, _ in read.elements} & {"img", "link", "iframe", "object", "embed", "base"}
    (policy,) = [a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.S)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_wherever_they_stand(tmp_path: Path, name: str) -> None:
    harmless, hostile = (
        Read(page(history(points(noisy([1e-3] * 30 + [2e-3] * 30), series=n, class_id=n, commit=n), [a]), tmp_path))
        for n, a in (
            ("plain", Accepted("run0030", class_id="plain", reason="plain")),
            (name, Accepted("run0030", reason=name)),
        )
    )
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    assert [set(a) for _, a in hostile.elements] == [set(a) for _, a in harmless.elements]
    assert printable(name) in hostile.texts


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1), st.text(), st.text())
def test_any_name_comes_back_as_the_text_that_it_is(tmp_path: Path, series: str, run: str, reason: str) -> None:
    found = points([1e-3] * 5 + [2e-3], series=series, class_id=series, run_id=run)
    read = Read(page(history(found), tmp_path))
    plain = Read(page(history(points([1e-3] * 5 + [2e-3], class_id="x")), tmp_path))
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in plain.elements]
    # The parser hands on text in pieces where it meets a lone `&` or `<`.
    assert "".join(read.texts).count(printable(series)) >= 2


def test_a_class_shows_what_it_is_made_of(tmp_path: Path) -> None:
    one = stepped()
    path = tmp_path / "page.html"
    history_page.write_file([one], path, {one.class_id: {"device": "<b>Some CPU</b>", "torch": "2.13"}})
    read = Read(path.read_text(encoding="utf-8"))
    assert "<b>Some CPU</b>" in read.texts and "2.13" in read.texts and read.count("b") == 0


def test_where_jinja2_is_absent_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    history_page._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UnavailableError, match=r"suanli-bench\[report\]"):
        history_page.write_file([stepped()], tmp_path / "page.html")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot write"):
        history_page.write_file([stepped()], tmp_path / "file" / "page.html")


def rendered(chromium: str, path: Path, folder: Path) -> str:
    """The page's elements as they stand once a browser has run its script."""
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [*command, "--virtual-time-budget=2000", "--dump-dom", path.as_uri()],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return done.stdout


PROBE = """<script>
const search = document.getElementById("search");
search.value = "GEMM"; search.dispatchEvent(new Event("input"));
const chart = document.querySelector("svg.chart");
chart.focus();
for (const key of ["Home", "ArrowRight", "ArrowRight"]) chart.dispatchEvent(new KeyboardEvent("keydown", {key}));
</script>"""


def test_search_and_arrow_keys_work_in_a_browser_and_no_foreign_script_does(
    tmp_path: Path, require: Callable[[str], str]
) -> None:
    chromium = require("chromium")
    path = tmp_path / "page.html"
    history_page.write_file([stepped(series=f"{kernel}[m=1]") for kernel in ("gemm", "conv")], path)
    text = path.read_text(encoding="utf-8")
    probed = text.replace("</body>", f"{PROBE}</body>")

    path.write_text(probed, encoding="utf-8")
    blocked = rendered(chromium, path, tmp_path)
    assert "2 shown" in blocked, "our own script ran"
    assert "1 shown" not in blocked, "the policy let a foreign script run"

    path.write_text(re.sub(r'<meta http-equiv="Content[^>]*>', "", probed), encoding="utf-8")
    driven = rendered(chromium, path, tmp_path)
    assert "1 shown" in driven
    assert "3 of 60: " in driven and "commit c0002" in driven
