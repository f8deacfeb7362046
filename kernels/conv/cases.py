"""The conv cases of each suite. Shapes come from public model configurations, cited beside them."""

from __future__ import annotations

from typing import Final, TypeAlias

from bench.kernel import SUITES, Case, DeviceView

Layer: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]
"""(n, c, h, w, k, r, s, stride, padding, groups)"""

GPU_QUICK: Final[tuple[Layer, ...]] = (
    # ResNet-50 at 224×224, batch 128: the 3×3 layers of the first and the third stage.
    (128, 64, 56, 56, 64, 3, 3, 1, 1, 1),
    (128, 256, 14, 14, 256, 3, 3, 1, 1, 1),
)

GPU_STANDARD: Final[tuple[Layer, ...]] = (
    # ResNet-50, batch 128: the 7×7 stem, a 1×1 layer, a strided 3×3 layer, the last stage.
    (128, 3, 224, 224, 64, 7, 7, 2, 3, 1),
    (128, 256, 56, 56, 64, 1, 1, 1, 0, 1),
    (128, 128, 56, 56, 128, 3, 3, 2, 1, 1),
    (128, 512, 7, 7, 512, 3, 3, 1, 1, 1),
    # Stable Diffusion 1 at 512×512, batch 2: U-Net layers at 64×64 and 16×16.
    (2, 320, 64, 64, 320, 3, 3, 1, 1, 1),
    (2, 1280, 16, 16, 1280, 3, 3, 1, 1, 1),
)

GPU_FULL: Final[tuple[Layer, ...]] = (
    (128, 144, 56, 56, 144, 3, 3, 1, 1, 144),  # MobileNetV2: a depthwise layer
    (128, 128, 56, 56, 128, 3, 3, 1, 1, 32),  # ResNeXt-50 (32×4d): 32 groups
    (128, 512, 28, 28, 1024, 1, 1, 2, 0, 1),  # ResNet-50: a strided 1×1 shortcut
    (128, 3, 112, 112, 64, 3, 3, 1, 1, 1),  # iResNet-100 at 112×112: stem, first strided layer
    (128, 64, 112, 112, 64, 3, 3, 2, 1, 1),
    (2, 2560, 8, 8, 1280, 3, 3, 1, 1, 1),  # Stable Diffusion 1: U-Net on the way up, then the decoder
    (2, 960, 64, 64, 320, 3, 3, 1, 1, 1),
    (1, 128, 512, 512, 128, 3, 3, 1, 1, 1),
    (6, 3, 928, 1600, 64, 7, 7, 2, 3, 1),  # BEVFormer base, six cameras: stem, third stage, feature pyramid
    (6, 128, 116, 200, 128, 3, 3, 1, 1, 1),
    (6, 256, 116, 200, 256, 3, 3, 1, 1, 1),
    (16, 1, 161, 700, 32, 5, 20, 2, 0, 1),  # DeepBench: DeepSpeech's first layer
    (1, 32, 1080, 1920, 32, 3, 3, 1, 1, 1),  # a denoising U-Net at 1080p
)

CPU_STANDARD: Final[tuple[Layer, ...]] = (
    # ResNet-50 at 224×224, one image: the 7×7 stem, a 1×1 layer, a strided 3×3 layer, the last stage.
    (1, 3, 224, 224, 64, 7, 7, 2, 3, 1),
    (1, 256, 56, 56, 64, 1, 1, 1, 0, 1),
    (1, 128, 56, 56, 128, 3, 3, 2, 1, 1),
    (1, 512, 7, 7, 512, 3, 3, 1, 1, 1),
    (1, 144, 56, 56, 144, 3, 3, 1, 1, 144),  # MobileNetV2: a depthwise layer
)

CPU_FULL: Final[tuple[Layer, ...]] = (
    (1, 128, 56, 56, 128, 3, 3, 1, 1, 32),  # ResNeXt-50 (32×4d): 32 groups
    (1, 512, 28, 28, 1024, 1, 1, 2, 0, 1),  # ResNet-50: a strided 1×1 shortcut
    (1, 3, 112, 112, 64, 3, 3, 1, 1, 1),  # iResNet-100 at 112×112: stem, first strided layer
    (1, 64, 112, 112, 64, 3, 3, 2, 1, 1),
    (1, 320, 64, 64, 320, 3, 3, 1, 1, 1),  # Stable Diffusion 1 at 512×512: a U-Net layer
    (1, 1, 161, 700, 32, 5, 20, 2, 0, 1),  # DeepBench: DeepSpeech's first layer
)


def suite_cases(suite: str, device: DeviceView) -> list[Case]:
    """The cases of a suite; each suite holds those of the one before it, so that their series go on.

    Channels-last throughout, which is what the libraries are fastest in; the quick layers also in NCHW from `standard`
    on, which is what most models are trained in.
    """
    if device.type == "cpu":
        images = cpu_images(device.units)
        quick: tuple[Layer, ...] = tuple((images, *layer[1:]) for layer in GPU_QUICK)
        standard, full = CPU_STANDARD, CPU_FULL
    else:
        quick, standard, full = GPU_QUICK, GPU_STANDARD, GPU_FULL
    level = SUITES.index(suite)
    cases: list[Case] = [_case(layer, "nhwc") for layer in quick]
    if level >= 1:
        cases += [_case(layer, "nchw") for layer in quick] + [_case(layer, "nhwc") for layer in standard]
    if level >= 2:
        cases += [_case(layer, "nhwc") for layer in full]
    return cases


def cpu_images(units: int) -> int:
    """Images a call, for some ten milliseconds at FP32 on so many cores, each with AVX2 or more."""
    return 8 if units <= 4 else 32 if units <= 32 else 128


def _case(layer: Layer, layout: str) -> Case:
    names = ("n", "c", "h", "w", "k", "r", "s", "stride", "padding", "groups")
    return {**dict(zip(names, layer, strict=True)), "layout": layout}
