"""`plan` through the real command line; the page on centres is reproduced by its own commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench import records
from tests.conftest import Cli
from tests.factories import device, measurement, run_file

SITE = """
[[devices]]
name = "Some CPU"
count = 1000
power_w = 200.0
pue = 1.3
price = 1000.0
currency = "CNY"
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """One device at 4 TFLOPS rated, FP32: 2 TFLOPS in one case, 1 TFLOPS in another."""
    rated = {"fp32/fp32": records.Rated(kind="computed", operations_per_s=4e12, source="a formula")}
    content = run_file([measurement(), measurement(median_s=2e-3, case={"m": 2, "n": 1, "k": 1})])
    lines = [content.run, device(ratings=rated), *content.measurements]
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"".join(map(records.encode, lines)))
    return path


def test_rated_measured_and_effective_are_told_apart(cli: Cli, run: Path, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    done = cli("plan", str(tmp_path / "site.toml"), str(run), "--format", "json")
    assert done.code == 0, done.err
    (entry,) = json.loads(done.out)["entries"]
    (rated,), (measured,), (effective,) = entry["rated"], entry["measured"], entry["effective"]
    assert rated["operations_per_s"] == 4 * 10**15
    assert (measured["operations_per_s"], measured["text"]) == (2 * 10**15, "2 P")
    # 4e9 operations in 3 ms, a thousand times.
    assert effective["operations_per_s"] == pytest.approx(4e9 / 3e-3 * 1000)
    assert effective["work"] == "kernel gemm"
    assert (entry["facility_w"], entry["cost"]) == (260_000, 1_000_000)


def test_the_table_names_the_basis_of_every_figure(cli: Cli, run: Path, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    done = cli("plan", str(tmp_path / "site.toml"), str(run))
    rows = [line for line in done.out.splitlines() if line.startswith("Some CPU  ")]
    assert [re.split(r"\s{2,}", row)[3] for row in rows] == ["rated", "measured", "effective"]
    assert "500000 CNY per measured P at fp32" in done.out


def test_how_many_for_a_wanted_power(cli: Cli, run: Path) -> None:
    words = ("plan", str(run), "--device", "Some CPU", "--need", "1 P", "--precision", "fp32")
    assert "1 P rated at fp32: 250 of Some CPU" in " ".join(cli(*words).out.split())
    assert "1 P measured at fp32: 500 of Some CPU" in " ".join(cli(*words, "--basis", "measured").out.split())
    effective = cli(*words, "--basis", "effective", "--work", "kernel gemm")
    assert "1 P effective at fp32, kernel gemm: 750 of Some CPU" in " ".join(effective.out.split())
    assert cli("plan", "--device", "no such", "--need", "1 P", "--precision", "fp16").code == 3


def test_a_report_has_its_chapters_in_order(cli: Cli, run: Path, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    report = tmp_path / "report.md"
    words = ("plan", str(tmp_path / "site.toml"), str(run), "--report", str(report))
    assert cli(*words).code == 0
    text = report.read_text(encoding="utf-8")
    assert re.findall(r"^## \d\. (.+)$", text, flags=re.M) == [
        "Scale by precision",
        "Interconnect",
        "Training and inference effectiveness",
        "Availability",
        "Energy and cost",
    ]
    assert "measured at one moment, Some CPU: 1 of 1 devices delivered a row that counts" in text
    assert "measured, Some CPU: unknown: no run file given has a usable collective row of it" in text
    assert cli(*words).code == 2  # never silently over another


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[[devices]]\nname = "a"\nnameplate = "100"', "100 P"),
        ('[[devices]]\nname = "a"', "count or a nameplate"),
        ('[[devices]]\nname = "a"\ncount = 1\nprecision = "half"', "half"),
        ('[[devices]]\nname = "a"\ncount = 1\nkind = "rumoured"', "rumoured"),
        ('[[devices]]\nname = "a"\ncount = 1\npue = 0.9', "pue"),
        ('[[devices]]\nname = "a"\ncount = 1\ncolour = 1', "colour"),
        ("devices", "TOML"),
    ],
)
def test_a_wrong_list_is_one_line(cli: Cli, tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "site.toml").write_text(text)
    done = cli("plan", str(tmp_path / "site.toml"))
    assert (done.code, done.err.count("\n"), word in done.err) == (2, 1, True), done.err


def test_the_page_on_centres_is_what_its_commands_print(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    page = (checkout / "docs" / "centre.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"```toml\n# (\S+)\n(.*?)```", page, flags=re.S):
        (tmp_path / name).write_text(text)
    shown = re.findall(r"```console\n\$ python -m bench (plan [^\n]*)\n(.*?)```", page, flags=re.S)
    assert len(shown) >= 2
    for command, output in shown:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]
        paths = [str(tmp_path / word) if word.endswith(".toml") else word for word in words]
        paths = [str(checkout / word) if word.startswith("results/") else word for word in paths]
        done = cli(*paths)
        assert done.code == 0, done.err
        assert done.out.split() == output.split()
