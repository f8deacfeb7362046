"""`python -m bench ratings` through the real command line."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli

PRECISIONS = ["fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8"]


def test_match_prints_one_json_document_of_the_contract(cli: Cli) -> None:
    arguments = ("--torch-device", "cuda", "--memory-gb", "80", "--format", "json")
    result = cli("ratings", "--match", "NVIDIA H100 80GB HBM3", *arguments)
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    assert document["schema"] == 1
    found = document["match"]
    assert (found["vendor"], found["name"]) == ("NVIDIA", "H100 SXM5 80GB")
    assert list(found["peaks"]) == PRECISIONS
    assert found["peaks"]["fp16"] == pytest.approx(989.4e12)
    assert found["peaks_by_accumulation"]["fp16/fp16"] == pytest.approx(989.4e12)
    assert found["bandwidth_bytes_per_s"] == pytest.approx(3350e9)


def test_match_is_null_where_no_row_is_the_devices_own(cli: Cli) -> None:
    result = cli("ratings", "--match", "NVIDIA GeForce RTX 4090 D", "--format", "json")
    assert result.code == 0
    document = json.loads(result.out)
    assert document["schema"] == 1
    assert document["match"] is None


def test_match_without_a_row_says_so_and_how_to_add_one(cli: Cli) -> None:
    result = cli("ratings", "--match", "GRID T4-16C")
    assert result.code == 0
    assert "No row" in result.out
    assert "--ratings my.toml" in result.out


def test_a_precision_without_source_is_null(cli: Cli) -> None:
    document = json.loads(cli("ratings", "--match", "Tesla T4", "--format", "json").out)
    assert document["match"]["peaks"]["bf16"] is None


@pytest.mark.parametrize(("memory", "row"), [("32", "32GB"), ("64", "64GB"), ("31.5", "32GB"), ("61.4", "64GB")])
def test_memory_decides_between_modules_of_one_name(cli: Cli, memory: str, row: str) -> None:
    result = cli("ratings", "--match", "Orin (nvgpu)", "--memory-gb", memory, "--format", "json")
    assert json.loads(result.out)["match"]["name"] == f"Jetson AGX Orin {row}"


def test_memory_may_be_in_either_gigabyte(cli: Cli) -> None:
    for memory in ("80", "79.1", "85"):
        result = cli("ratings", "--match", "NVIDIA H100 80GB HBM3", "--memory-gb", memory, "--format", "json")
        assert json.loads(result.out)["match"]["name"] == "H100 SXM5 80GB"


def test_units_and_pci_id_are_taken_into_account(cli: Cli) -> None:
    for hint in (("--units", "114"), ("--pci-id", "10de:2331"), ("--torch-device", "xpu")):
        result = cli("ratings", "--match", "NVIDIA H100 80GB HBM3", *hint, "--format", "json")
        assert json.loads(result.out)["match"] is None


@pytest.mark.parametrize("form", ["table", "markdown", "csv"])
def test_a_name_searches_the_rows_in_any_case(cli: Cli, form: str) -> None:
    result = cli("ratings", "h200", "--format", form)
    assert result.code == 0
    assert "H200 SXM 141GB" in result.out
    assert "H200 NVL 141GB" in result.out
    assert "H100" not in result.out


def test_csv_is_csv(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("ratings", "--format", "csv").out)))
    assert len(rows) == 183
    assert next(r for r in rows if r["row"] == "A100 SXM4 80GB")["fp16"] == "312.0"


def test_a_name_that_no_row_holds_is_one_line_with_the_nearest(cli: Cli) -> None:
    result = cli("ratings", "H2000")
    assert (result.code, result.out) == (3, "")
    assert "'H2000'" in result.err
    assert "nearest" in result.err
    assert result.err.count("\n") == 1


def test_check_lists_the_disagreements(cli: Cli) -> None:
    result = cli("ratings", "--check", "--format", "json")
    assert result.code == 0
    document = json.loads(result.out)
    assert (document["schema"], document["compared"], len(document["disagreements"])) == (1, 452, 22)
    assert "22 of 452" in cli("ratings", "--check").out


def test_a_users_file_is_searched_and_matched(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('[[device]]\nname = "NVIDIA X9"\nfp16_tflops = 100\n')
    result = cli("ratings", "--match", "NVIDIA X9", "--ratings", str(path), "--format", "json")
    found = json.loads(result.out)["match"]
    assert found["peaks"]["fp16"] == 100e12
    assert found["kind"] == "user"
    assert "NVIDIA X9" in cli("ratings", "x9", "--ratings", str(path)).out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--match", "x", "--check"), 2, "--match and --check"),
        (("a100", "--check"), 2, "NAME and --check"),
        (("--match", ""), 2, "--match"),
        (("--memory-gb", "80"), 2, "--memory-gb: only goes with --match"),
        (("--match", "x", "--memory-gb", "-1"), 2, "--memory-gb"),
        (("--match", "x", "--memory-gb", "nan"), 2, "--memory-gb"),
        (("--match", "x", "--memory-gb", "much"), 2, "--memory-gb"),
        (("--match", "x", "--units", "0"), 2, "--units"),
        (("--format", "xml"), 2, "--format"),
        (("--ratings", "absent.toml"), 3, "absent.toml"),
    ],
)
def test_wrong_use_is_one_line_with_what_is_allowed(cli: Cli, arguments: tuple[str, ...], code: int, says: str) -> None:
    result = cli("ratings", *arguments)
    assert (result.code, result.out) == (code, "")
    assert says in result.err
    assert "Traceback" not in result.err
    assert result.err.count("\n") == 1


def test_ratings_never_import_torch() -> None:
    program = (
        "import sys; from bench.cli.main import main; code = main(['ratings', '--match', 'NVIDIA H200']);"
        "assert code == 0; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
