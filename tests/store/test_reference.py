"""Reference results are found in an installed package and in a checkout, and both builds carry them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from bench import records
from bench.store import reference

SHIPPED = "bench/results_reference/"
PRINTS = "from bench.store.reference import reference_runs\nprint(*reference_runs(), sep='\\n')"


def python(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """What a Python of its own prints, with `path` before everything that is installed."""
    code = f"import sys; sys.path.insert(0, {str(path)!r})\n{PRINTS}" if path else PRINTS
    command = [sys.executable, "-I", *(arguments or ("-c", code))]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """A copy of what the build reads, so that it leaves nothing in the checkout."""
    folder = tmp_path_factory.mktemp("build") / "source"
    for part in ("bench", "kernels", "results/reference"):
        shutil.copytree(checkout / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for part in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(checkout / part, folder / part)
    return folder


def wheel_of(source: Path, folder: Path) -> Path:
    command = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(source)]
    python(*command, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


def expected(checkout: Path) -> set[str]:
    return {path.name for path in (checkout / "results" / "reference").glob("*.jsonl")}


# --- where it looks ---------------------------------------------------------------------------------------------------


def test_what_is_shipped_reads_as_runs_that_ended() -> None:
    runs = reference.reference_runs()
    assert runs
    assert all(records.read(path).end is not None for path in runs)


@pytest.mark.parametrize("installed", [True, False])
def test_package_data_come_before_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    (tmp_path / "bench" / "results_reference").mkdir(parents=True)
    (tmp_path / "results" / "reference").mkdir(parents=True)
    (tmp_path / "results" / "reference" / "checkout.jsonl").touch()
    if installed:
        (tmp_path / "bench" / "results_reference" / "shipped.jsonl").touch()
    monkeypatch.setattr("bench.__file__", str(tmp_path / "bench" / "__init__.py"))
    assert [path.name for path in reference.reference_runs()] == ["shipped.jsonl" if installed else "checkout.jsonl"]


def test_without_either_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.__file__", str(tmp_path / "bench" / "__init__.py"))
    assert reference.reference_folder() is None
    assert reference.reference_runs() == []


def test_a_checkout_is_found_from_anywhere(tmp_path: Path, checkout: Path) -> None:
    found = python(cwd=tmp_path, path=checkout).split()
    assert {Path(line).name for line in found} == expected(checkout)
    assert {Path(line).parent for line in found} == {checkout / "results" / "reference"}


# --- what is built ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_wheel_carries_them_and_finds_them_outside_the_checkout(
    source: Path, tmp_path: Path, checkout: Path
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel_of(source, tmp_path)) as wheel:
        inside = {name.removeprefix(SHIPPED) for name in wheel.namelist() if name.startswith(SHIPPED)}
        wheel.extractall(site)
    assert inside == expected(checkout)
    found = python(cwd=tmp_path, path=site).split()
    assert {Path(line).name for line in found} == expected(checkout)
    assert {Path(line).parent for line in found} == {site / "bench" / "results_reference"}


@pytest.mark.slow
def test_a_wheel_of_the_source_distribution_carries_them_too(source: Path, tmp_path: Path, checkout: Path) -> None:
    python("-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(source), cwd=tmp_path)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    with zipfile.ZipFile(wheel_of(unpacked, tmp_path)) as wheel:
        inside = {name.removeprefix(SHIPPED) for name in wheel.namelist() if name.startswith(SHIPPED)}
    assert inside == expected(checkout)


@pytest.mark.slow
def test_an_editable_install_reads_the_checkouts(source: Path, tmp_path: Path, checkout: Path) -> None:
    target = tmp_path / "site"
    arguments = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target), "--editable", str(source)]
    python("-m", "pip", "install", *arguments, cwd=tmp_path)
    # Without the environment's own packages, for one of them is bench: only ours, and what reading run files needs.
    (tmp_path / "needed").mkdir()
    (tmp_path / "needed" / "msgspec").symlink_to(Path(msgspec.__file__).parent)
    code = f"import site, sys; sys.path.append({str(tmp_path / 'needed')!r}); site.addsitedir({str(target)!r})\n"
    found = python("-S", "-c", code + PRINTS, cwd=tmp_path).split()
    assert {Path(line).parent for line in found} == {source / "results" / "reference"}
    assert {Path(line).name for line in found} == expected(checkout)
