"""`devices` and `doctor` as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cli.main import main
from bench.devices import discover
from bench.precision import PRECISIONS
from bench.records import Device

Cli = Callable[..., Any]
Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Run the command line in this process, which has paid for torch once: (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize("command", ["devices", "doctor"])
def test_help_is_printed_without_torch(command: str) -> None:
    code = (
        "import sys; from bench.cli.main import main\n"
        f"try: main(['{command}', '--help'])\nexcept SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--device" in done.stdout


def test_the_processor_is_listed_with_its_units_and_every_peak_or_the_reason(cli: Cli) -> None:
    done = cli("devices", "--device", "cpu", "--format", "json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == 1
    (found,) = document["devices"]
    unrated = found.pop("unrated")
    device = msgspec.convert({**found, "type": "device"}, Device)
    assert device.device == "cpu"
    for name, precision in PRECISIONS.items():
        key = f"{name}/{precision.accumulate}"
        rated = device.ratings.get(key)
        assert (rated is not None and bool(rated.operations_per_s)) != bool(unrated.get(key)), key


def test_the_table_is_for_a_reader(here: Here) -> None:
    code, out, err = here("devices", "--device", "cpu")
    assert code == 0, err
    for word in ("cpu:", "core", "executed by", "rated peak", *PRECISIONS):
        assert word in out


def test_the_table_fits_the_terminal(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    _, out, _ = here("devices", "--device", "cpu")
    table = out.split("\n\n", 1)[1]
    assert max(map(len, table.splitlines())) <= 100


def test_markdown_and_csv_hold_the_same_rows(here: Here) -> None:
    rows = list(csv.DictReader(io.StringIO(here("devices", "--device", "cpu", "--format", "csv")[1])))
    assert set(PRECISIONS) <= {row["precision"] for row in rows}
    assert all(row["rated_per_s"] or row["source"] for row in rows)
    markdown = here("devices", "--device", "cpu", "--format", "markdown")[1]
    assert sum(line.startswith("| ") for line in markdown.splitlines()) == len(rows) + 1


@pytest.mark.parametrize("command", ["devices", "doctor"])
@pytest.mark.parametrize(("device", "expected"), [("cuda:4095", 3), ("quantum", 2), ("cuda:x", 2)])
def test_a_device_that_is_not_here_is_one_line_on_stderr(here: Here, command: str, device: str, expected: int) -> None:
    code, out, err = here(command, "--device", device)
    assert (code, out) == (expected, "")
    assert len(err.strip().splitlines()) == 1
    assert device in err


def test_a_ratings_file_that_cannot_be_read_is_said(here: Here, tmp_path: Path) -> None:
    code, _, err = here("devices", "--ratings", str(tmp_path / "absent.toml"))
    assert code == 3
    assert "absent.toml" in err


def test_a_rating_of_the_users_own_is_used(here: Here, tmp_path: Path) -> None:
    name = discover("cpu")[0].name
    own = tmp_path / "own.toml"
    own.write_text(f'[[device]]\nname = "{name}"\nfp16_tflops = 123.0\n')
    code, out, err = here("devices", "--device", "cpu", "--ratings", str(own))
    assert code == 0, err
    assert "123 TFLOPS" in out
    assert "user: " in out


def test_the_doctor_gives_findings_and_no_bad_exit(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    code, out, err = here("doctor", "--device", "cpu", "--format", "json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["schema"], document["devices"]) == (1, ["cpu"])
    assert {finding["level"] for finding in document["findings"]} <= {"ok", "note", "warning"}
    assert any("ONEDNN_DEFAULT_FPMATH_MODE" in finding["what"] for finding in document["findings"])
    levels = [finding["level"] for finding in document["findings"]]
    assert levels == sorted(levels, key=["warning", "note", "ok"].index)


def test_the_doctor_speaks_in_paragraphs_and_counts_at_the_end(here: Here) -> None:
    code, out, err = here("doctor", "--device", "cpu")
    assert code == 0, err
    assert out.splitlines()[-1].startswith("cpu: ")
    assert "why:" in out
