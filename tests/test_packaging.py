"""The wheel: what is in it, what it asks for, and that it is built where there is no package registry."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from bench import __version__

pytestmark = pytest.mark.slow

CORE = {"torch", "psutil", "nvidia-ml-py", "tabulate", "rich", "msgspec"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Iterator[zipfile.ZipFile]:
    """The wheel of the checkout's tracked and new files, built without isolation and without an index."""
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    for part in ("bench", "kernels"):
        # A copy, so that the build leaves nothing behind in the checkout.
        shutil.copytree(checkout / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(checkout / part, source / part)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(folder),
    ]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return message_from_bytes(wheel.read(name))


def requirements(metadata: Message, extra: str | None) -> set[str]:
    """The names that METADATA asks for, in the core or for one extra."""
    found = set()
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        if (extra is None and not marker) or (extra is not None and f"'{extra}'" in marker.replace('"', "'")):
            found.add(re.split(r"[<>=!~ \[(]", requirement.strip())[0])
    return found


def test_the_wheel_serves_every_platform(wheel: zipfile.ZipFile) -> None:
    assert Path(wheel.filename or "").name == f"suanli_bench-{__version__}-py3-none-any.whl"


def test_every_module_and_data_file_of_the_checkout_is_in_the_wheel(wheel: zipfile.ZipFile, checkout: Path) -> None:
    inside = set(wheel.namelist())
    wanted = {
        path.relative_to(checkout).as_posix()
        for part in ("bench", "kernels")
        for path in (checkout / part).rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".md"}
    }
    assert wanted <= inside
    assert {name for name in inside if name.startswith("bench/ratings/data/") and name.endswith(".toml")}


def test_kernels_stays_a_namespace_that_other_distributions_can_share(wheel: zipfile.ZipFile) -> None:
    assert "kernels/__init__.py" not in wheel.namelist()


def test_nothing_but_the_two_packages_is_installed(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"bench", "kernels", f"suanli_bench-{__version__}.dist-info"}


def test_the_wheel_carries_its_licence(wheel: zipfile.ZipFile) -> None:
    assert any(name.endswith("LICENSE") for name in wheel.namelist())


def test_the_core_asks_for_six_packages_and_no_more(metadata: Message) -> None:
    assert requirements(metadata, None) == CORE


def test_the_install_commands_extra_exists(metadata: Message) -> None:
    assert {"report", "test", "lint"} <= set(metadata.get_all("Provides-Extra", []))


def test_entry_points_of_the_wheel_lead_to_kernels(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    entries = configparser.ConfigParser(delimiters="=")
    entries.read_string(wheel.read(name).decode())
    assert set(entries["bench.kernels"]) >= {"gemm", "conv", "attention", "memory"}
    inside = wheel.namelist()
    for target in entries["bench.kernels"].values():
        stem = target.partition(":")[0].replace(".", "/")
        assert f"{stem}.py" in inside or f"{stem}/__init__.py" in inside
    assert list(entries["console_scripts"].values()) == ["bench.__main__:main"]


def test_every_dependency_has_its_line_of_reason(checkout: Path, metadata: Message) -> None:
    decisions = (checkout / "docs" / "decisions.md").read_text(encoding="utf-8")
    asked = requirements(metadata, None) | requirements(metadata, "test") | requirements(metadata, "lint")
    assert not {name for name in asked if f"`{name}`" not in decisions}
