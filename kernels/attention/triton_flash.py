"""The Triton kernels of attention. Importing this imports Triton.

How they are launched is in `kernels.attention.triton_launch`, the block sizes are in `kernels.attention.tiles`.
FlashAttention's forward pass (Dao, arXiv 2307.08691): blocks of queries over blocks of keys, the softmax running along
in powers of two; with few queries the keys are split among programs and the parts combined ("flash decoding").
"""

from __future__ import annotations

from typing import Any, Final

import triton
import triton.language as tl

PLAIN: Final = 0
"""Weights at the type of the values, summed before they are rounded to it; all but the two below."""
FP8: Final = 1
"""Weights 0 … 1 times 2**7, so that e4m3 (least normal 2**-6, largest 448; e4m3fnuz: 2**-7, 240) holds more of them."""
INT8: Final = 2
"""Weights rounded to 0 … 127 of the largest in their row of the block: a scale for each row and block of keys."""


@triton.jit
def _load(
    block: tl.tensor,
    keys: tl.tensor,
    dims: tl.tensor,
    kv_len: tl.tensor,
    width: tl.constexpr,
    ragged: tl.constexpr,
    edge: tl.constexpr,
) -> Any:
    """A block (keys, dims): zero past `width` where it is `ragged`, past the last key where it may reach the `edge`."""
    if ragged:
        inside = dims[None, :] < width
        if edge:
            inside = inside & (keys[:, None] < kv_len)
        loaded = tl.load(block, mask=inside, other=0.0)
    elif edge:
        loaded = tl.load(block, mask=keys[:, None] < kv_len, other=0.0)
    else:
        loaded = tl.load(block)
    return loaded


@triton.jit
def _load_rows(block: tl.tensor, row_inside: tl.tensor, dims: tl.tensor, width: tl.constexpr) -> Any:
    """A block (rows, dims) of queries, zero outside."""
    return tl.load(block, mask=row_inside[:, None] & (dims[None, :] < width), other=0.0)


@triton.jit
def _scores(
    q_main: tl.tensor,
    q_rest: tl.tensor,
    k_main: tl.tensor,
    k_rest: tl.tensor,
    rest: tl.constexpr,
    input_precision: tl.constexpr,
) -> Any:
    """q·kᵀ of one block, FP32 or int32, the head in two parts where `rest` is not 0."""
    scores = tl.dot(q_main, tl.trans(k_main), input_precision=input_precision)
    if rest > 0:
        scores = tl.dot(q_rest, tl.trans(k_rest), scores, input_precision=input_precision, out_dtype=scores.dtype)
    return scores.to(tl.float32)


@triton.jit
def _weigh(
    scores: tl.tensor,
    scale: tl.tensor,
    value: tl.tensor,
    sums: tl.tensor,
    total: tl.tensor,
    highest: tl.tensor,
    how: tl.constexpr,
    input_precision: tl.constexpr,
) -> Any:
    """The softmax of a block of scores, times `scale` in powers of two, added to what is summed so far.

    Hidden scores are −inf. `highest` is the running maximum of each row, from the start finite: −inf minus it is −inf.
    """
    if how == 2:
        # The weights of a block are rounded in steps of its own largest one, and scaled to the running one after.
        scores = scores * scale
        of_block = tl.maximum(tl.max(scores, 1), -3.0e38)
        raised = tl.maximum(highest, of_block)
        kept = tl.exp2(highest - raised)
        added = tl.exp2(of_block - raised)
        weights = tl.floor(tl.minimum(tl.exp2(scores - of_block[:, None]), 1.0) * 127.0 + 0.5)
        total = total * kept + tl.sum(weights, 1) * added
        product = tl.dot(weights.to(tl.int8), value).to(tl.float32)
        sums = sums * kept[:, None] + product * added[:, None]
    else:
        raised = tl.maximum(highest, tl.max(scores, 1) * scale)
        kept = tl.exp2(highest - raised)
        if how == 1:
            # Their own sum in FP32: Hopper's units keep 14 bits of a longer one.
            weights = tl.exp2(scores * scale - (raised[:, None] - 7.0)).to(value.dtype)
            total = total * kept + tl.sum(weights.to(tl.float32), 1)
            sums = sums * kept[:, None] + tl.dot(weights, value)
        else:
            weights = tl.exp2(scores * scale - raised[:, None])
            total = total * kept + tl.sum(weights, 1)
            sums = tl.dot(weights.to(value.dtype), value, sums * kept[:, None], input_precision=input_precision)
    return sums, total, raised


@triton.jit
def _over_keys(
    sums: tl.tensor,
    total: tl.tensor,
    highest: tl.tensor,
    q_main: tl.tensor,
    q_rest: tl.tensor,
    k: tl.tensor,
    v: tl.tensor,
    bias_rows: tl.tensor,
    row_inside: tl.tensor,
    last_seen: tl.tensor,
    low: tl.tensor,
    high: tl.tensor,
    kv_len: tl.tensor,
    scale: tl.tensor,
    v_key_stride: tl.tensor,
    v_dim_stride: tl.tensor,
    head_dim: tl.constexpr,
    value_dim: tl.constexpr,
    main: tl.constexpr,
    rest: tl.constexpr,
    value_width: tl.constexpr,
    block_keys: tl.constexpr,
    edge: tl.constexpr,
    biased: tl.constexpr,
    reuse: tl.constexpr,
    mixed: tl.constexpr,
    how: tl.constexpr,
    input_precision: tl.constexpr,
) -> Any:
    """The keys `low` … `high`, a block at a time. Without `edge` every row sees all of them, and they are whole blocks.

    `reuse`: the first part of a key is its value, so that it is loaded once.
    """
    in_main = tl.arange(0, main)
    in_value = tl.arange(0, value_width)
    for start in range(low, high, block_keys):
        keys = start + tl.arange(0, block_keys)
        k_block = k + keys[:, None] * head_dim
        k_main = _load(k_block + in_main[None, :], keys, in_main, kv_len, head_dim, main > head_dim, edge)
        k_rest = k_main
        if rest > 0:
            in_rest = main + tl.arange(0, rest)
            k_rest = _load(k_block + in_rest[None, :], keys, in_rest, kv_len, head_dim, main + rest > head_dim, edge)
        scores = _scores(q_main, q_rest, k_main, k_rest, rest, input_precision)
        times = scale
        if biased:
            inside = row_inside[:, None] & (keys[None, :] < kv_len)
            added = tl.load(bias_rows[:, None] + keys[None, :], mask=inside, other=0.0)
            scores = scores * scale + added.to(tl.float32) * 1.4426950408889634
            times = 1.0
        if edge:
            scores = tl.where(keys[None, :] <= last_seen[:, None], scores, float("-inf"))
        if reuse:
            value = k_main
        else:
            v_block = v + keys[:, None] * v_key_stride + in_value[None, :] * v_dim_stride
            value = _load(v_block, keys, in_value, kv_len, value_dim, value_width > value_dim, edge)
        if mixed:
            value = value.to(tl.float16)
        sums, total, highest = _weigh(scores, times, value, sums, total, highest, how, input_precision)
    return sums, total, highest


@triton.jit
def attend(
    q: tl.tensor,
    k: tl.tensor,
    v: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    part_sums: tl.tensor,
    part_totals: tl.tensor,
    part_highest: tl.tensor,
    scale: tl.tensor,
    v_scale: tl.tensor,
    all_rows: tl.tensor,
    kv_heads: tl.tensor,
    q_len: tl.tensor,
    kv_len: tl.tensor,
    v_head_stride: tl.tensor,
    v_key_stride: tl.tensor,
    v_dim_stride: tl.tensor,
    group: tl.constexpr,
    head_dim: tl.constexpr,
    value_dim: tl.constexpr,
    main: tl.constexpr,
    rest: tl.constexpr,
    value_width: tl.constexpr,
    causal: tl.constexpr,
    biased: tl.constexpr,
    reuse: tl.constexpr,
    mixed: tl.constexpr,
    how: tl.constexpr,
    input_precision: tl.constexpr,
    block_rows: tl.constexpr,
    block_keys: tl.constexpr,
    splits: tl.constexpr,
) -> None:
    """One program: a block of rows of one KV head, over all keys that they see or over one of `splits` shares of them.

    Rows are the queries of all heads of the group, those of one position together: a block reads K and V once for all
    of them, and a decoding step fills its block. q, k, bias and out are contiguous. `scale` holds log2(e).
    """
    row_blocks = tl.cdiv(q_len * group, block_rows)
    number = tl.program_id(0)
    # The last rows first: under a causal mask they see most keys, and the short ones fill in at the end.
    first_row = (row_blocks - 1 - number % row_blocks) * block_rows
    owner = (number // row_blocks).to(tl.int64)  # batch · kv_heads + kv_head, also batch · heads over group
    rows = first_row + tl.arange(0, block_rows)
    position = rows // group
    row_inside = position < q_len
    row_number = (owner * group + rows % group) * q_len + position
    bias_row = ((owner % kv_heads) * group + rows % group) * q_len + position

    in_main = tl.arange(0, main)
    q += row_number[:, None] * head_dim
    q_main = _load_rows(q + in_main[None, :], row_inside, in_main, head_dim)
    q_rest = q_main
    if rest > 0:
        in_rest = main + tl.arange(0, rest)
        q_rest = _load_rows(q + in_rest[None, :], row_inside, in_rest, head_dim)

    low = 0
    high = kv_len
    if splits > 1:
        share = tl.cdiv(tl.cdiv(kv_len, block_keys), splits) * block_keys
        low = tl.program_id(1) * share
        high = tl.minimum(low + share, kv_len)
    seen_by_all = high
    last_seen = tl.zeros((block_rows,), tl.int32) + (kv_len - 1)
    if causal:
        # Aligned at the bottom right: the last query sees the last key.
        last_seen = position + (kv_len - q_len)
        last_row = tl.minimum(first_row + block_rows, q_len * group) - 1
        high = tl.minimum(high, last_row // group + (kv_len - q_len) + 1)
        seen_by_all = tl.minimum(high, first_row // group + (kv_len - q_len) + 1)
    whole = low + tl.maximum(seen_by_all - low, 0) // block_keys * block_keys

    sums = tl.zeros((block_rows, value_width), tl.float32)
    total = tl.zeros((block_rows,), tl.float32)
    highest = tl.zeros((block_rows,), tl.float32) - 3.0e38
    k += owner * kv_len * head_dim
    v += owner * v_head_stride
    bias_rows = bias + bias_row * kv_len
    sums, total, highest = _over_keys(
        sums, total, highest, q_main, q_rest, k, v, bias_rows, row_inside, last_seen, low, whole, kv_len, scale,
        v_key_stride, v_dim_stride, head_dim, value_dim, main, rest, value_width, block_keys,
        False, biased, reuse, mixed, how, input_precision,
    )  # fmt: skip
    sums, total, highest = _over_keys(
        sums, total, highest, q_main, q_rest, k, v, bias_rows, row_inside, last_seen, whole, high, kv_len, scale,
        v_key_stride, v_dim_stride, head_dim, value_dim, main, rest, value_width, block_keys,
        True, biased, reuse, mixed, how, input_precision,
    )  # fmt: skip

    in_value = tl.arange(0, value_width)
    out_mask = row_inside[:, None] & (in_value[None, :] < value_dim)
    if splits > 1:
        row_number += tl.program_id(1) * all_rows
        tl.store(part_totals + row_number, total, mask=row_inside)
        tl.store(part_highest + row_number, highest, mask=row_inside)
        tl.store(part_sums + row_number[:, None] * value_dim + in_value[None, :], sums, mask=out_mask)
    else:
        answer = sums / total[:, None] * v_scale
        out_block = out + row_number[:, None] * value_dim + in_value[None, :]
        tl.store(out_block, answer.to(out.dtype.element_ty), mask=out_mask)


@triton.jit
def combine(
    out: tl.tensor,
    part_sums: tl.tensor,
    part_totals: tl.tensor,
    part_highest: tl.tensor,
    v_scale: tl.tensor,
    all_rows: tl.tensor,
    value_dim: tl.constexpr,
    value_width: tl.constexpr,
    splits: tl.constexpr,
) -> None:
    """One program: one row of the output from its `splits` parts, each brought to the largest maximum among them."""
    row = tl.program_id(0).to(tl.int64)
    in_value = tl.arange(0, value_width)
    inside = in_value < value_dim
    highest = tl.load(part_highest + row)
    total = tl.load(part_totals + row)
    sums = tl.load(part_sums + row * value_dim + in_value, mask=inside, other=0.0)
    for split in range(1, splits):
        place = row + split * all_rows
        of_part = tl.load(part_highest + place)
        raised = tl.maximum(highest, of_part)
        kept = tl.exp2(highest - raised)
        added = tl.exp2(of_part - raised)
        total = total * kept + tl.load(part_totals + place) * added
        part = tl.load(part_sums + place * value_dim + in_value, mask=inside, other=0.0)
        sums = sums * kept + part * added
        highest = raised
    tl.store(out + row * value_dim + in_value, (sums / total * v_scale).to(out.dtype.element_ty), mask=inside)
