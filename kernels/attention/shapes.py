"""Which attention problems are measured: the cases of each suite, for processors and for accelerators.

Each line names the public model configuration that its heads and lengths come from; batch sizes are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.kernel import Case

FIELDS: Final = ("batch", "heads", "kv_heads", "q_len", "kv_len", "head_dim", "causal")
LATER_FIELDS: Final[Mapping[str, int | str]] = {"value_dim": 0, "shared_kv": 0, "bias": "none"}
"""Fields that not every case has, and what their absence means: a case without them keeps the name it always had."""

_Rows = tuple[tuple[int, ...], ...]

# A call should stay near 30 ms in the quick suite: about 1 GFLOP on two cores, about 100 GFLOP and up on a GPU.
_CPU: Final[dict[str, _Rows]] = {
    "quick": (
        (1, 12, 12, 512, 512, 64, 0),  # BERT base: 12 heads of 64, 512 positions
        (1, 4, 1, 1024, 1024, 128, 1),  # one KV group of Llama 3 8B (32 heads on 8 KV heads, head_dim 128), prefill
    ),
    "standard": (
        (1, 12, 12, 512, 512, 64, 1),  # GPT-2 small: 12 heads of 64
        (1, 4, 4, 1024, 1024, 128, 0),  # FLUX.1: heads of 128, unmasked; a sixth of its 24
        (1, 32, 8, 1, 4096, 128, 1),  # Llama 3 8B decoding: one query over 4096 keys
        (1, 32, 8, 1, 16384, 64, 1),  # Llama 3.2 1B decoding: 32 heads on 8 KV heads, head_dim 64
        (1, 6, 6, 1500, 1500, 64, 0),  # Whisper tiny's encoder: 6 heads of 64, 1500 frames
        (1, 8, 8, 4096, 77, 40, 0),  # Stable Diffusion 1.5 cross attention: 64×64 latents, 320/8 = 40, 77 text tokens
        (1, 8, 8, 1024, 1024, 80, 0),  # Stable Diffusion 1.5 self attention at 32×32: 640/8 = 80
    ),
    "full": (
        (1, 32, 8, 2048, 2048, 128, 1),  # Llama 3 8B prefill
        (1, 32, 8, 512, 4096, 128, 1),  # Llama 3 8B chunked prefill: 512 new queries at the end of 4096 positions
        (1, 8, 8, 4096, 4096, 40, 0),  # Stable Diffusion 1.5 self attention at 64×64
        (1, 20, 20, 1500, 1500, 64, 0),  # Whisper large-v3's encoder: 20 heads of 64
        (5, 20, 20, 1, 1500, 64, 0),  # Whisper large-v3's cross attention, five beams
        (8, 8, 8, 384, 384, 32, 0),  # AlphaFold 2's MSA row attention, without its bias: 8 heads of 32
        (1, 8, 8, 900, 900, 32, 0),  # BEVFormer's decoder: 900 queries, 8 heads of 32
    ),
}

_ACCELERATOR: Final[dict[str, _Rows]] = {
    "quick": (
        (8, 16, 16, 2048, 2048, 64, 0),  # BERT large and GPT-2 medium: 16 heads of 64
        (4, 32, 8, 4096, 4096, 128, 1),  # Llama 3 8B prefill: 32 heads on 8 KV heads, head_dim 128
    ),
    "standard": (
        (8, 16, 16, 2048, 2048, 64, 1),  # GPT-2 medium: 16 heads of 64
        (4, 32, 32, 4096, 4096, 128, 1),  # Llama 2 7B prefill: 32 heads of 128, no grouping
        (4, 32, 32, 4096, 4096, 128, 0),
        (32, 32, 8, 1, 4096, 128, 1),  # Llama 3 8B decoding, 32 sequences
        (1, 32, 8, 1, 131072, 128, 1),  # Llama 3.1 8B decoding at its longest context
        (2, 24, 24, 4608, 4608, 128, 0),  # FLUX.1: 24 heads of 128, 4096 image and 512 text tokens
        (2, 8, 8, 4096, 4096, 40, 0),  # Stable Diffusion 1.5 self attention: 64×64 latents, 320/8 = 40
        (2, 8, 8, 4096, 77, 40, 0),  # and its cross attention to 77 text tokens
        (8, 20, 20, 1500, 1500, 64, 0),  # Whisper large-v3's encoder: 20 heads of 64, 1500 frames
    ),
    "full": (
        (1, 32, 8, 8192, 8192, 128, 1),  # Llama 3 8B prefill at its full context
        (4, 64, 8, 2048, 2048, 128, 1),  # Llama 3 70B: 64 heads on 8 KV heads
        (1, 8, 1, 8192, 8192, 128, 1),  # Llama 3 70B on eight devices: 8 heads on 1 KV head each
        (4, 32, 8, 512, 8192, 128, 1),  # Llama 3 8B chunked prefill: 512 new queries at the end of 8192 positions
        (2, 10, 10, 4096, 4096, 64, 0),  # Stable Diffusion XL at 64×64: 640 channels in heads of 64
        (5, 20, 20, 1, 1500, 64, 0),  # Whisper large-v3's cross attention, five beams
        (512, 8, 8, 384, 384, 32, 0),  # AlphaFold 2's MSA row attention, without its bias: 512 clusters, 8 heads of 32
        (8, 8, 8, 900, 900, 32, 0),  # BEVFormer's decoder: 900 queries, 8 heads of 32
        (1, 8, 4, 4096, 4096, 256, 1),  # Gemma 2 9B has heads of 256; half of its 16 on 8
    ),
}


def _row(*values: int, **later: int | str) -> Case:
    return {**dict(zip(FIELDS, values, strict=True)), **later}


# Those with a field of `LATER_FIELDS`: in the full suite alone, so that the others stay what reference results hold.
_CPU_FULL: Final = (
    _row(8, 8, 8, 384, 384, 32, 0, bias="heads"),  # AlphaFold 2's MSA row attention: the pair bias of 8 heads
    _row(1, 16, 1, 1, 4096, 576, 1, value_dim=512, shared_kv=1),  # DeepSeek-V3's MLA decoding, 16 of its 128 heads
)
_ACCELERATOR_FULL: Final = (
    _row(512, 8, 8, 384, 384, 32, 0, bias="heads"),  # AlphaFold 2's MSA row attention: 512 clusters, a bias a head
    _row(30, 744, 744, 144, 144, 32, 0, bias="heads"),  # Pangu-Weather, layer 1: 30 longitudes, 124 windows × 6 heads
    _row(32, 128, 1, 1, 4096, 576, 1, value_dim=512, shared_kv=1),  # DeepSeek-V3's MLA decoding: latent 512, rope 64
)


def cases(suite: str, device_type: str) -> list[Case]:
    """The cases of a suite on "cpu" or on any other device type; a suite holds those of the smaller suites too."""
    on_cpu = device_type == "cpu"
    table = _CPU if on_cpu else _ACCELERATOR
    names = list(table)
    rows = [_row(*row) for name in names[: names.index(suite) + 1] for row in table[name]]
    if suite == "full":
        rows.extend(_CPU_FULL if on_cpu else _ACCELERATOR_FULL)
    return rows


def integers(case: Case) -> dict[str, int]:
    """The case's fields as integers, with those that it leaves out: value_dim is then head_dim, bias is 0 or 1."""
    fields = {name: int(case[name]) for name in FIELDS}
    fields["value_dim"] = int(case.get("value_dim", 0)) or fields["head_dim"]
    fields["shared_kv"] = int(case.get("shared_kv", 0))
    fields["bias"] = int(case.get("bias", "none") != "none")
    return fields


def named(case: dict[str, int | str]) -> dict[str, int | str]:
    """The case without those of `LATER_FIELDS` that say what their absence says."""
    left_out = {name for name, absent in LATER_FIELDS.items() if case.get(name) == absent}
    if case.get("value_dim") == case["head_dim"]:
        left_out.add("value_dim")
    return {name: value for name, value in case.items() if name not in left_out}


def pairs(case: Case) -> int:
    """(query, key) pairs of one head that the mask leaves.

    Causal is aligned at the bottom right: the last query sees every key, so query i of q_len sees the first
    kv_len − q_len + i + 1 of them, and a decoding step (q_len 1) sees all.
    """
    q_len, kv_len = int(case["q_len"]), int(case["kv_len"])
    if not int(case["causal"]):
        return q_len * kv_len
    return q_len * (kv_len - q_len) + q_len * (q_len + 1) // 2
