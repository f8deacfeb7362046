"""The scenarios as data: whole, sourced, known to the kernels they name, and counted as a reader would by hand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench import plugins, suites
from bench.errors import UsageError
from bench.kernel import SUITES
from bench.suites import SIZES, Entry, Scenario
from bench.suites.page import text
from bench.suites.scenarios import scenario

SCENARIOS = suites.load()
ENTRIES = [(one, entry) for one in SCENARIOS.values() for entry in one.entry]
IDS = [f"{one.name}/{entry.id}" for one, entry in ENTRIES]


def test_the_ten_applications_are_there() -> None:
    assert list(SCENARIOS) == [
        *("llm_pretrain", "llm_finetune", "chat_decode", "aigc_diffusion", "protein_fold", "weather"),
        *("face_recognition", "speech_translation", "driving_perception", "rendering"),
    ]
    assert not {*SUITES, suites.ALL} & set(SCENARIOS)


@pytest.mark.parametrize(("one", "entry"), ENTRIES, ids=IDS)
def test_the_kernel_takes_both_sizes_at_every_precision(one: Scenario, entry: Entry) -> None:
    kernel = plugins.load().kernel(entry.kernel)
    assert set(entry.precisions) <= set(kernel.precisions)
    full, tiny = (kernel.complete_case(entry.at(size)) for size in ("full", "tiny"))
    for precision in entry.precisions:
        assert 0 < kernel.work(tiny, precision).operations <= kernel.work(full, precision).operations


@pytest.mark.parametrize(("one", "entry"), ENTRIES, ids=IDS)
def test_tiny_divides_by_powers_of_two_and_is_small(one: Scenario, entry: Entry) -> None:
    for field, value in entry.tiny.items():
        ratio, rest = divmod(int(entry.case[field]), value)
        assert rest == 0 and ratio > 1 and ratio & (ratio - 1) == 0, field
    work = (
        plugins.load()
        .kernel(entry.kernel)
        .work(plugins.load().kernel(entry.kernel).complete_case(entry.at("tiny")), entry.precisions[0])
    )
    assert work.operations <= 5e9 and work.bytes <= 150e6


def test_no_row_of_a_run_of_all_scenarios_is_measured_twice() -> None:
    # Rows of one kernel, case and precision are one series: two entries would be taken for two launches.
    for size in SIZES:
        keys = [
            (entry.kernel, tuple(plugins.load().kernel(entry.kernel).complete_case(entry.at(size)).items()), precision)
            for _, entry in ENTRIES
            for precision in entry.precisions
        ]
        assert len(set(keys)) == len(keys)


BY_HAND = {
    "llm_pretrain/qkv": 2 * 8192 * 6144 * 4096,
    "llm_pretrain/attn": 4 * 32 * 128 * (8192 * 8193 // 2),
    "chat_decode/dec_attn_4k": 4 * 32 * 32 * 4096 * 128,
    "chat_decode/mla_decode": 2 * 32 * 128 * 4096 * (576 + 512),
    "chat_decode/moe_expert": 2 * (8192 * 8) * 4096 * 7168,
    "aigc_diffusion/unet_c320_64": 2 * 2 * 320 * 64 * 64 * 320 * 9,
    "aigc_diffusion/cross_attn_64": 4 * 2 * 8 * 4096 * 77 * 40,
    "protein_fold/tri_mult": 2 * 128 * 384**3,
    "weather/win_attn_l1": 4 * 3720 * 6 * 144 * 144 * 32,
    "weather/win_attn_l2": 4 * 960 * 12 * 144 * 144 * 32,
    "weather/patch_embed": 2 * 192 * (7 * 360 * 181) * (5 * 2 * 4 * 4),
    "speech_translation/enc_conv1": 2 * 1280 * 3000 * 128 * 3,
    "speech_translation/ds_conv": 2 * 16 * 32 * 79 * 341 * 5 * 20,
    "driving_perception/r101_stem": 2 * 6 * 64 * (464 * 800) * 3 * 49,
    "driving_perception/value_proj": 2 * 6 * (23200 + 5800 + 1450 + 375) * 256 * 256,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_operations_are_those_counted_by_hand(name: str) -> None:
    suite, _, wanted = name.partition("/")
    (entry,) = (entry for entry in SCENARIOS[suite].entry if entry.id == wanted)
    kernel = plugins.load().kernel(entry.kernel)
    assert kernel.work(kernel.complete_case(entry.at("full")), entry.precisions[0]).operations == BY_HAND[name]


def test_what_was_not_read_again_says_so() -> None:
    for one, entry in ENTRIES:
        words = f"{entry.source} {entry.weight_from}"
        assert "M" not in entry.tags or "recalled" in words, f"{one.name}/{entry.id}"
        assert entry.weight > 1 or entry.weight_from


def test_a_suite_is_named_with_or_without_a_size() -> None:
    request = suites.parse("weather", SUITES)
    assert request is not None and [one.name for one in request.scenarios] == ["weather"]
    assert (request.size_on("cpu"), request.size_on("cuda")) == ("tiny", "full")
    full = suites.parse("scenarios:full", SUITES)
    assert full is not None and len(full.scenarios) == len(SCENARIOS) and full.size_on("cpu") == "full"
    assert suites.parse("quick", SUITES) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("wether", ["--suite", "wether", "'weather'"]),
        ("weather:huge", ["weather", "'huge'", "tiny"]),
        ("weather:", ["weather", "tiny"]),
        ("quick:tiny", ["quick has no sizes"]),
        ("", ["--suite", "standard"]),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_there_is(given: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        suites.parse(given, SUITES)
    assert all(word in str(error.value) for word in words), error.value


GOOD = """
name = "toy"
title = "A toy"
step = "a step"
[[entry]]
id = "one"
kernel = "gemm"
case = { m = 8, n = 8, k = 8 }
precisions = ["fp32"]
weight_from = "1: made up"
source = "made up"
tags = ["+"]
"""


def test_a_scenario_is_read_whole() -> None:
    one = scenario(GOOD)
    assert one.entry[0].weight == 1 and one.entry[0].at("tiny") == {"m": 8, "n": 8, "k": 8}
    assert one.precisions == ("fp32",)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('source = "made up"', ""),
        ('weight_from = "1: made up"', ""),
        ('tags = ["+"]', 'tags = ["?"]'),
        ('tags = ["+"]', "tags = []"),
        ('tags = ["+"]', 'tags = ["+"]\nweigth = 3'),
        ('tags = ["+"]', 'tags = ["+"]\nweight = 0'),
        ('precisions = ["fp32"]', 'precisions = ["fp12"]'),
        ('tags = ["+"]', 'tags = ["+"]\ntiny = { q = 4 }'),
        ("[[entry]]", GOOD[GOOD.index("[[entry]]") :] + "[[entry]]"),
    ],
)
def test_a_scenario_with_a_mistake_is_refused(old: str, new: str) -> None:
    with pytest.raises((msgspec.ValidationError, ValueError)):
        scenario(GOOD.replace(old, new, 1))


def test_the_page_is_the_generated_one(checkout: Path) -> None:
    published = (checkout / "docs" / "scenarios.md").read_text(encoding="utf-8")
    assert published == text(), "run: python -m bench.suites.page > docs/scenarios.md"
    assert all(entry.source.replace("|", "\\|").replace("**", "\\*\\*") in published for _, entry in ENTRIES)
