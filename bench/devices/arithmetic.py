"""Whether torch may shorten FP32: everything off for strict FP32, TF32 on for rows that are labelled tf32."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any, Final

_FP32_SETTINGS: Final = (
    ("cuda", "matmul"),
    ("cudnn", "conv"),
    ("cudnn", "rnn"),
    ("mkldnn", "matmul"),
    ("mkldnn", "conv"),
    ("mkldnn", "rnn"),
)
"""Where torch ≥ 2.9 keeps `fp32_precision`, under torch.backends."""


def strict_fp32() -> None:
    """FP32 is IEEE FP32 and 16-bit products accumulate in FP32, on every backend of this process.

    Off are TF32 in cuBLAS and cuDNN, oneDNN's TF32 and BF16 modes, reductions in FP16 or BF16, FP16 accumulation, and
    the attention math path's 16-bit intermediate products. An environment that sets ONEDNN_DEFAULT_FPMATH_MODE reaches
    below torch: `health` warns of it.
    """
    _set_fp32(tf32=False)
    _full_accumulation()


def allow_tf32() -> None:
    """FP32 products may run as TF32, for rows labelled so; reductions stay in FP32."""
    _set_fp32(tf32=True)
    _full_accumulation()


def _set_fp32(*, tf32: bool) -> None:
    """Set the settings of old torch and the newer ones to the same, in this order.

    torch ≥ 2.9 keeps both and raises on reading where they disagree; the newer ones override, so they come last.
    """
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*new API settings to control TF32.*")
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        for backend, operation in _FP32_SETTINGS:
            setting: Any = getattr(getattr(torch.backends, backend), operation, None)
            # hasattr would raise on old torch for names that it doesn't know; AttributeError says the same.
            with contextlib.suppress(AttributeError):
                setting.fp32_precision = "tf32" if tf32 else "ieee"


def _full_accumulation() -> None:
    import torch

    matmul = torch.backends.cuda.matmul
    matmul.allow_fp16_reduced_precision_reduction = False
    matmul.allow_bf16_reduced_precision_reduction = False
    with contextlib.suppress(AttributeError, RuntimeError):  # since torch 2.7, and only where cuBLAS has it
        matmul.allow_fp16_accumulation = False
    with contextlib.suppress(AttributeError, RuntimeError):
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(False)
