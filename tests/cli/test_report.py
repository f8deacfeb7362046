"""`report`: which runs and which hardware it shows, and what it refuses."""

from __future__ import annotations

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
    assert done.code == 0 and "1 devices" in done.err, done.err
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
    ("arguments", "says"),
    [
        (("latest", "-o", "out.xlsx"), ".html, .svg"),
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
