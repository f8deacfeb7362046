"""`report`: which runs and which hardware it shows, and what it refuses."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import records
from tests.conftest import Cli
from tests.factories import measurement, run_file


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A run in the store of the command line under test."""
    file = run_file([measurement()])
    return write(file, tmp_path / "results" / f"{file.run.id}.jsonl")


def write(file: records.RunFile, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(map(records.encode, [file.run, *file.devices, *file.measurements])))
    return path


def test_a_run_becomes_a_page(cli: Cli, stored: Path, tmp_path: Path) -> None:
    done = cli("report", str(stored), "-o", "out.html", "--language", "zh", "--price", "Some*=2/h")
    assert done.code == 0 and ": 1 device, " in done.err, done.err
    text = (tmp_path / "out.html").read_text("utf-8")
    assert "算力实测报告" in text and "Some CPU" in text and "7.2 PFLOP" not in text
    assert 'data-value="3600000000000000.0"' in text


def test_alone_it_takes_the_newest_run_and_the_reference(cli: Cli, stored: Path, tmp_path: Path) -> None:
    assert cli("report", "-o", "out.html").code == 0
    text = (tmp_path / "out.html").read_text("utf-8")
    assert "Some CPU" in text and "AMD EPYC" in text


def test_with_an_empty_store_the_reference_is_shown(cli: Cli, tmp_path: Path) -> None:
    assert cli("report", "-o", "out.html").code == 0
    assert "AMD EPYC" in (tmp_path / "out.html").read_text("utf-8")


def test_rated_hardware_stands_beside_it_and_is_marked(cli: Cli, stored: Path, tmp_path: Path) -> None:
    assert cli("report", "latest", "--with", "h100 sxm*", "-o", "out.html").code == 0
    text = (tmp_path / "out.html").read_text("utf-8")
    assert "H100 SXM5 80GB" in text and 'data-status="rated only"' in text


def test_one_chart_is_a_picture(cli: Cli, stored: Path, tmp_path: Path) -> None:
    assert cli("report", "latest", "-o", "out.svg", "--precision", "fp32").code == 0
    assert ElementTree.parse(tmp_path / "out.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("suffix", "holds"),
    [
        (".md", "| 2.00 ± 0.02 TFLOPS | 4.00 TFLOPS (computed) |"),
        (".csv", "Some CPU,Some CPU,"),
        (".json", '"label": "Some CPU"'),
    ],
)
def test_the_name_of_the_file_says_its_format(cli: Cli, stored: Path, tmp_path: Path, suffix: str, holds: str) -> None:
    done = cli("report", str(stored), "-o", f"out{suffix}")
    assert done.code == 0 and done.out == "" and ": 1 device, " in done.err, done.err
    assert holds in (tmp_path / f"out{suffix}").read_text("utf-8")


@pytest.mark.parametrize("where", [(), ("-o", "-")], ids=["alone", "-o -"])
def test_without_a_file_it_prints_devices_side_by_side(cli: Cli, stored: Path, where: tuple[str, ...]) -> None:
    done = cli("report", *where, "--title", "A title", "--price", "Some*=2/h")
    assert done.code == 0 and done.err == "", done.err
    lines = done.out.splitlines()
    assert lines[0] == "A title" and "Some CPU" in lines[2] and "AMD EPYC" in lines[2]
    assert ", 50 %" in done.out and "3.6 PFLOP" in done.out and "\x1b" not in done.out


@pytest.mark.parametrize("form", ["markdown", "csv", "json"])
def test_what_is_printed_is_what_a_file_would_hold(cli: Cli, stored: Path, tmp_path: Path, form: str) -> None:
    suffix = {"markdown": ".md"}.get(form, f".{form}")
    assert cli("report", "latest", "-o", f"out{suffix}").code == 0
    assert cli("report", "latest", "--format", form).out == (tmp_path / f"out{suffix}").read_text("utf-8")


def test_markdown_speaks_chinese_where_asked(cli: Cli, stored: Path) -> None:
    done = cli("report", "latest", "--format", "markdown", "--language", "zh")
    assert done.code == 0 and "## 算力实测报告" in done.out and "| 设备" in done.out


def test_one_chart_as_a_png_needs_the_extra_or_is_one(cli: Cli, stored: Path, tmp_path: Path) -> None:
    done = cli("report", "latest", "-o", "out.png", "--chart", "delivered")
    if find_spec("vl_convert") is None:
        assert done.code == 3 and "suanli-bench[report]" in done.err and not (tmp_path / "out.png").exists()
    else:
        assert done.code == 0 and (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("latest", "-o", "out.xlsx"), ".html, .md, .csv, .json, .svg, .png"),
        (("latest", "-o", "out.md", "--format", "csv"), "--format: is of what is printed"),
        (("latest", "--format", "html"), "html"),
        (("latest", "--raw"), "--raw: only goes with -o FILE.html"),
        (("latest", "-o", "out.csv", "--title", "x"), "--title: only goes with"),
        (("latest", "-o", "out.json", "--language", "zh"), "--language: only goes with"),
        (("latest", "-o", "out.html", "--with", "nosuch*"), "--with: 'nosuch*'"),
        (("latest", "-o", "out.html", "--price", "free"), "--price: 'free'"),
        (("latest", "-o", "out.html", "--price", "a=0/h"), "above 0"),
        (("latest", "-o", "out.html", "--chart", "roofline"), "--chart: only goes with"),
        (("latest", "-o", "out.svg", "--precision", "fp3"), "fp3"),
    ],
)
def test_what_is_wrong_is_named(cli: Cli, stored: Path, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = cli("report", *arguments)
    assert done.code == 2 and says in done.err and done.err.count("\n") == 1
    assert not list(tmp_path.glob("out.*"))


def test_a_file_that_is_there_is_not_replaced_unasked(cli: Cli, stored: Path, tmp_path: Path) -> None:
    (tmp_path / "out.html").write_text("mine")
    assert cli("report", "latest", "-o", "out.html").code == 2
    assert (tmp_path / "out.html").read_text() == "mine"
    assert cli("report", "latest", "-o", "out.html", "--force").code == 0


def test_a_chart_of_what_was_not_measured_is_no_file(cli: Cli, tmp_path: Path) -> None:
    write(run_file([measurement(timed=False, status="failed", reason="x")]), tmp_path / "a.jsonl")
    done = cli("report", "a.jsonl", "-o", "out.svg", "--chart", "waterfall")
    assert done.code == 3 and "--chart" in done.err and not (tmp_path / "out.svg").exists()
