"""A choice of tile sizes is made once, kept, and never trusted when it is another's, torn or old."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import triton_tuning
from kernels.triton_tuning import Config, best_config, cache_folder, config
from tests.kernels.checks import H100

SLOW, FAST = config(4, 2, block_m=16), config(8, 3, block_m=32)
CONFIGS = [SLOW, FAST]


class Clock:
    """Stands in for the device's events, which this machine may lack: says what a config takes, and counts."""

    def __init__(self) -> None:
        self.seconds = {SLOW: 2.0, FAST: 1.0}
        self.complete = True
        self.asked = 0

    def __call__(self, configs: Any, build: Any, device: Any) -> tuple[dict[Config, float], bool]:
        self.asked += 1
        return {each: self.seconds[each] for each in configs}, self.complete


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Clock]:
    """A clock, an empty cache folder and a fresh process's memory."""
    clock = Clock()
    monkeypatch.setattr(triton_tuning, "_measured", clock)
    monkeypatch.setattr(triton_tuning, "_chosen", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "triton", SimpleNamespace(__version__="3.7.1"))
    return clock


def choose(key: str = "gemm", device: Any = H100, source: ModuleType = triton_tuning) -> Config:
    triton_tuning._chosen.clear()  # as a new process
    return best_config(key, CONFIGS, lambda each: lambda: None, device, source)


def kept() -> list[Path]:
    return sorted(cache_folder().iterdir())


def test_the_fastest_is_taken_and_kept_for_the_next_process(clock: Clock) -> None:
    assert choose() == FAST
    clock.seconds = {SLOW: 1.0, FAST: 2.0}
    assert choose() == FAST
    assert clock.asked == 1
    assert len(kept()) == 1


def test_another_problem_device_version_or_source_is_another_choice(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = ModuleType("other")
    other.__file__ = str(tmp_path / "other.py")
    Path(other.__file__).write_text("a = 1\n", encoding="utf-8")
    choose()
    choose("conv")
    choose(device=replace(H100, name="another"))
    choose(source=other)
    Path(other.__file__).write_text("a = 2\n", encoding="utf-8")
    choose(source=other)
    monkeypatch.setitem(__import__("sys").modules, "triton", SimpleNamespace(__version__="3.8.0"))
    choose()
    assert clock.asked == 6


def test_one_candidate_is_not_measured(clock: Clock) -> None:
    assert best_config("gemm", [SLOW], lambda each: lambda: None, H100, triton_tuning) == SLOW
    assert clock.asked == 0


def test_the_interpreter_measures_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert choose() == SLOW
    assert clock.asked == 0


def test_a_choice_that_ran_out_of_time_is_not_kept(clock: Clock) -> None:
    clock.complete = False
    assert choose() == FAST
    assert not cache_folder().exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"identity": 1}', '{"identity": {}, "config": {}}', "\x00"]
)
def test_a_torn_or_foreign_file_is_measured_anew(clock: Clock, content: str) -> None:
    choose()
    (path,) = kept()
    path.write_text(content, encoding="utf-8")
    assert choose() == FAST
    assert clock.asked == 2
    assert json.loads(path.read_text(encoding="utf-8"))["config"]["warps"] == 8


@given(st.binary(max_size=200))
def test_whatever_lies_in_the_file_reading_it_never_raises(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kept.json"
        path.write_bytes(content)
        assert triton_tuning._read(path, {"key": "gemm"}, CONFIGS) is None


def test_a_choice_that_is_no_candidate_any_more_is_measured_anew(clock: Clock) -> None:
    choose()
    (path,) = kept()
    content = json.loads(path.read_text(encoding="utf-8"))
    content["config"]["warps"] = 16
    path.write_text(json.dumps(content), encoding="utf-8")
    assert choose() == FAST
    assert clock.asked == 2


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert choose() == FAST
    assert choose() == FAST
    assert clock.asked == 2


def test_nothing_but_the_choice_is_left_in_the_folder(clock: Clock) -> None:
    choose()
    choose("conv")
    assert {path.suffix for path in kept()} == {".json"}


def test_the_folder_is_under_an_absolute_xdg_cache_home_or_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "suanli-bench" / "triton"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "suanli-bench" / "triton"


def test_a_config_is_the_keyword_arguments_of_a_launch() -> None:
    chosen = config(8, 3, (("matrix_instr_nonkdim", 16),), block_m=128, group_m=8)
    assert chosen["block_m"] == 128
    assert chosen.arguments() == {
        "block_m": 128, "group_m": 8, "num_warps": 8, "num_stages": 3, "matrix_instr_nonkdim": 16
    }  # fmt: skip


def test_what_can_be_compiled_is_compiled_beforehand_and_what_fails_is_left_for_its_call() -> None:
    triton = pytest.importorskip("triton", reason="Triton is not installed")
    if not hasattr(triton, "AsyncCompileMode"):
        pytest.skip("this Triton compiles nothing beside the others")
    compiled: list[Config] = []

    class Compilable:
        def __init__(self, chosen: Config) -> None:
            self.chosen = chosen

        def __call__(self) -> None:
            raise AssertionError("nothing is launched")

        def compile(self) -> None:
            compiled.append(self.chosen)
            raise RuntimeError("a compiler's error")

    plain = config(4, 1, block_m=64)
    triton_tuning.compile_ahead([*CONFIGS, plain], lambda each: Compilable(each) if each is not plain else lambda: None)
    assert compiled == CONFIGS
