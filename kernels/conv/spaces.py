"""The spaces of convolutions that `python -m bench find` searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.kernel import DeviceView

LAYOUTS: Final = ("nchw", "nhwc")
CPU_IMAGES: Final = (1, 2, 4, 8)
CPU_CHANNELS: Final = (16, 32, 48, 64, 96, 128, 192, 256)
CPU_SIDES: Final = (7, 14, 16, 28, 32, 56)
GPU_IMAGES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
GPU_CHANNELS: Final = (32, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
GPU_SIDES: Final = (7, 14, 16, 28, 32, 56, 64, 112)


def search_spaces(device: DeviceView) -> Mapping[str, Mapping[str, Sequence[int | str]]]:
    """`3x3` and `1x1`: layers of stride 1 over images, channels, the side of the image and the layout."""
    on_cpu = device.type == "cpu"
    images, channels, sides = (CPU_IMAGES, CPU_CHANNELS, CPU_SIDES) if on_cpu else (GPU_IMAGES, GPU_CHANNELS, GPU_SIDES)
    layers = {"n": images, "c": channels, "k": channels, "h=w": sides, "layout": LAYOUTS}
    return {"3x3": {**layers, "r=s": (3,), "padding": (1,)}, "1x1": {**layers, "r=s": (1,), "padding": (0,)}}
