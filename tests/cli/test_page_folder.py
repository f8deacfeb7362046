"""The folder of run files beside a report's page: whole, linked, never over what is there unasked."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bench import records
from tests.conftest import Cli
from tests.factories import measurement, run_file


def write(path: Path) -> Path:
    file = run_file([measurement()])
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(map(records.encode, [file.run, *file.devices, *file.measurements])))
    return path


@pytest.fixture
def stored(tmp_path: Path) -> list[Path]:
    """Six runs."""
    return [write(tmp_path / "results" / f"run{place}.jsonl") for place in range(6)]


def test_more_than_five_devices_bring_their_run_files_and_the_page_says_so(
    cli: Cli, stored: list[Path], tmp_path: Path
) -> None:
    done = cli("report", *map(str, stored), "-o", "out.html")
    assert done.code == 0 and "out-data: 6 run files" in done.err, done.err
    text = (tmp_path / "out.html").read_text("utf-8")
    assert 'href="out-data/"' in text
    for path in stored:
        assert gzip.decompress((tmp_path / "out-data" / f"{path.name}.gz").read_bytes()) == path.read_bytes()
        assert f'href="out-data/{path.name}.gz"' in text
    assert len(list((tmp_path / "out-data").iterdir())) == 6, "nothing else, and nothing half-written"


def test_a_page_of_few_has_them_where_asked_for(cli: Cli, stored: list[Path], tmp_path: Path) -> None:
    assert cli("report", str(stored[0]), "-o", "plain.html").code == 0
    assert not (tmp_path / "plain-data").exists()
    assert cli("report", str(stored[0]), "-o", "raw.html", "--raw").code == 0
    packed = tmp_path / "raw-data" / "run0.jsonl.gz"
    assert gzip.decompress(packed.read_bytes()) == stored[0].read_bytes()
    assert cli("report", str(packed), "-o", "again.html", "--raw").code == 0
    assert (tmp_path / "again-data" / "run0.jsonl.gz").read_bytes() == packed.read_bytes(), "not compressed twice"


def test_what_lies_there_is_not_replaced_unasked_and_never_removed(
    cli: Cli, stored: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "out-data").mkdir()
    (tmp_path / "out-data" / "mine.txt").write_text("mine")
    done = cli("report", str(stored[0]), "-o", "out.html", "--raw")
    assert done.code == 2 and "out-data" in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "out.html").exists()
    assert cli("report", str(stored[0]), "-o", "out.html", "--raw", "--force").code == 0
    assert (tmp_path / "out-data" / "mine.txt").read_text() == "mine"


def test_a_link_in_its_place_is_refused_even_with_force(cli: Cli, stored: list[Path], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out-data").symlink_to("elsewhere")
    assert cli("report", str(stored[0]), "-o", "out.html", "--raw", "--force").code == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_chart_has_no_folder(cli: Cli, stored: list[Path]) -> None:
    done = cli("report", str(stored[0]), "-o", "out.svg", "--raw")
    assert done.code == 2 and "--raw" in done.err
