"""The tables themselves, and a user's own file over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError, UnavailableError, UsageError
from bench.ratings import KEYS, Entry, check, load, match, peaks_of
from bench.ratings.formula import comparisons
from bench.ratings.peaks import KEY_FIGURES
from bench.ratings.tables import FIGURES, USER_KEYS

TABLES = load()


def write(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_are_unique_and_the_tables_whole() -> None:
    names = [e.name for e in TABLES.entries]
    assert len(names) == len(set(names)) == 183
    assert len(TABLES.rates) == 156
    assert len(TABLES.microarchitectures) == 21
    assert len(TABLES.models) == 13


@pytest.mark.parametrize("entry", TABLES.entries, ids=lambda e: e.name)
def test_an_entry_with_figures_says_where_they_come_from(entry: Entry) -> None:
    if any(getattr(entry, figure) is not None for figure in FIGURES):
        assert entry.source
        assert entry.source_kind
        assert entry.seen_as or entry.confidence
    assert set(entry.driver_names_seen) <= {*entry.names} | {f"{name} (nvgpu)" for name in entry.names}
    assert set(entry.capped) <= set(KEYS)


def test_no_figure_is_a_sparse_one() -> None:
    # A 2:4-sparse headline is twice what units, rate and clock give.
    assert min(c.ratio for c in comparisons(TABLES)) > 0.94


def test_sources_name_no_anonymous_copy() -> None:
    for entry in TABLES.entries:
        assert "index " not in f"{entry.source} {entry.hardware_source} {entry.notes}"


def test_epoch_is_credited_wherever_it_is_used() -> None:
    used = [e for e in TABLES.entries if "Epoch" in e.source]
    assert len(used) >= 30
    assert all("CC BY 4.0" in e.attribution for e in used)


def test_a_user_entry_adds_a_device_and_its_kind_is_user(tmp_path: Path) -> None:
    path = write(tmp_path, '[[device]]\nname = "NVIDIA X9"\nfp16_tflops = 100\nbandwidth_gb_per_s = 2000\n')
    entry = match(load([path]), "NVIDIA X9", torch_device="cuda", memory_bytes=2**35)
    assert entry is not None
    peaks = peaks_of(entry)
    assert peaks["fp16/fp32"].operations_per_s == 100e12
    assert peaks["bandwidth"].bytes_per_s == 2000e9
    assert {rated.kind for rated in peaks.values()} == {"user"}
    assert str(path) in peaks["fp16/fp32"].source


def test_a_user_entry_overrides_only_what_it_gives(tmp_path: Path) -> None:
    path = write(tmp_path, '[[device]]\nname = "H100 SXM5 80GB"\nfp16_tflops = 800\n')
    entry = match(load([path]), "NVIDIA H100 80GB HBM3")
    assert entry is not None
    peaks = peaks_of(entry)
    assert (peaks["fp16/fp32"].kind, peaks["fp16/fp32"].operations_per_s) == ("user", 800e12)
    assert (peaks["bf16/fp32"].kind, peaks["bf16/fp32"].operations_per_s) == ("datasheet", 989.4e12)
    assert peaks["int8/mixed"].kind == "user"


def test_a_users_vector_figure_wins_over_a_built_in_matrix_figure(tmp_path: Path) -> None:
    path = write(tmp_path, '[[device]]\nname = "Instinct MI210"\nfp32_tflops = 22\n')
    entry = match(load([path]), "AMD Instinct MI210")
    assert entry is not None
    assert peaks_of(entry)["fp32/fp32"].operations_per_s == 22e12


def test_a_user_may_rate_a_slice_and_claim_a_listed_name(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[[device]]\nname = "my slice"\nnames = ["NVIDIA L40S-24Q"]\nfp16_tflops = 181\n'
        '[[device]]\nname = "my B200"\nnames = ["NVIDIA B200"]\nfp16_tflops = 2000\n',
    )
    tables = load([path])
    assert getattr(match(tables, "NVIDIA L40S-24Q"), "name", None) == "my slice"
    assert getattr(match(tables, "NVIDIA B200"), "name", None) == "my B200"


def test_a_later_file_goes_over_an_earlier_one(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text('[[device]]\nname = "X9"\nfp16_tflops = 1\nint8_tops = 3\n')
    second.write_text('[[device]]\nname = "X9"\nfp16_tflops = 2\n')
    entry = load([first, second]).entry("X9")
    assert entry is not None
    assert (entry.fp16_tflops, entry.int8_tops) == (2, 3)
    assert peaks_of(entry)["int8/int32"].kind == "user"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no [[device]] entry"),
        ("nonsense", "is not TOML"),
        ("[[devices]]\nname = 'x'\n", "Did you mean 'device'"),
        ("device = 3\n", "no [[device]] entry"),
        ("device = [3]\n", "entry 1 is not a [[device]] table"),
        ("[[device]]\nfp16_tflops = 1\n", "entry 1: name"),
        ("[[device]]\nname = ''\nfp16_tflops = 1\n", "entry 1: name"),
        ("[[device]]\nname = 'X9'\n", "no figure"),
        ("[[device]]\nname = 'X9'\nfp16_tflop = 1\n", "Did you mean 'fp16_tflops'"),
        ("[[device]]\nname = 'X9'\nfp16_tflops = 'much'\n", "fp16_tflops: expected `float`"),
        ("[[device]]\nname = 'X9'\nfp16_tflops = 0\n", "fp16_tflops: expected `float` > 0"),
        ("[[device]]\nname = 'X9'\nfp16_tflops = -3.0\n", "fp16_tflops: expected `float` > 0"),
        ("[[device]]\nname = 'X9'\nfp16_tflops = inf\n", "fp16_tflops: expected `float` <="),
        ("[[device]]\nname = 'X9'\nfp16_tflops = nan\n", "fp16_tflops"),
        ("[[device]]\nname = 'X9'\nfp16_tflops = 1\nunits = 0\n", "units: expected `int`"),
        ("[[device]]\nname = 'X9'\nfp16_tflops = 1\ndevices_per_row = []\n", "devices_per_row"),
        ("[[device]]\nname = 'X9'\nfp16_tflops = 1\npci_ids = ['2330']\n", "pci_ids"),
        ("[[device]]\nname = 'X9'\nfp16_tflops = 1\nuser_file = 'x'\n", "user_file"),
        ("[[device]]\nname = 'X9'\nint8_tops = 1\n[[device]]\nname = 'X9'\nint8_tops = 2\n", "there twice"),
        ("x = " + "9" * 5000, "is not TOML"),
    ],
)
def test_a_wrong_user_file_is_one_line_that_names_file_and_key(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load([path])
    message = str(caught.value)
    assert says in message
    assert str(path) in message
    assert "\n" not in message


def test_a_file_that_is_not_there_or_is_a_folder_is_unavailable(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(UnavailableError, match="cannot read"):
            load([path])


VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    st.lists(st.one_of(st.integers(0, 9), st.text("abc:*0", max_size=5)), max_size=3),
)


@given(rows=st.lists(st.dictionaries(st.sampled_from([*USER_KEYS, "tflops"]), VALUES, max_size=6), max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_toml_is_read_or_refused_and_never_breaks(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    lines = []
    for row in rows:
        lines += ["[[device]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items())]
    path = write(tmp_path, "\n".join(lines))
    try:
        tables = load([path])
    except BenchError as error:
        assert str(path) in str(error)
    else:
        for entry in tables.entries:
            for rated in peaks_of(entry).values():
                assert (rated.operations_per_s or rated.bytes_per_s or 0) > 0


@given(data=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bytes.toml"
    path.write_bytes(data)
    with pytest.raises(BenchError, match=r"bytes\.toml"):
        load([path])


def test_a_figure_kept_for_its_formula_has_one_that_agrees() -> None:
    ratios = {(c.name, c.figure): c.ratio for c in comparisons(TABLES)}
    kept = [e for e in TABLES.entries if "kept because" in e.source]
    assert len(kept) >= 5
    for entry in kept:
        for figure in ("tf32_tflops", "bf16_tflops", "fp16_tflops", "int8_tops"):
            if getattr(entry, figure) is not None:
                assert ratios[entry.name, figure] == pytest.approx(1, abs=0.03)


def test_what_is_left_out_is_named_and_left_out(checkout: Path) -> None:
    said = (checkout / "DATA-LICENSES.md").read_text(encoding="utf-8")
    for name, figure in (
        ("H800 SXM5 80GB", "fp16_tflops"),
        ("DGX Spark GB10", "bf16_tflops"),
        ("M2 Max GPU (38-core)", "bandwidth_gb_per_s"),
        ("Arc Pro B50", "int8_tops"),
        ("WSE-2 (CS-2)", "fp16_tflops"),
    ):
        entry = TABLES.entry(name)
        assert entry is not None
        assert getattr(entry, figure) is None
        assert name in said


def test_the_guides_example_is_a_file_that_loads(checkout: Path, tmp_path: Path) -> None:
    guide = (checkout / "docs" / "ratings.md").read_text(encoding="utf-8")
    example = guide.partition("```toml\n")[2].partition("```")[0]
    tables = load([write(tmp_path, example)])
    assert match(tables, "NVIDIA X9") is not None
    nvl = match(tables, "NVIDIA H100 NVL")
    assert nvl is not None
    assert peaks_of(nvl)["fp8/fp32"].kind == "user"


def test_the_guide_lists_every_figure_that_a_user_may_give(checkout: Path) -> None:
    guide = (checkout / "docs" / "ratings.md").read_text(encoding="utf-8")
    rated = {figure for figures in KEY_FIGURES.values() for figure in figures} | {"bandwidth_gb_per_s"}
    assert all(figure in guide for figure in rated)


def test_the_guide_shows_the_check_as_it_is(checkout: Path) -> None:
    guide = (checkout / "docs" / "ratings.md").read_text(encoding="utf-8")
    for disagreement in check(TABLES):
        assert f"| {disagreement.name} " in guide
        assert disagreement.figure in guide
    assert f"{len(comparisons(TABLES)) - len(check(TABLES))} of the {len(comparisons(TABLES))} figures" in guide
