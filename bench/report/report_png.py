"""A chart as a PNG file, by vl-convert, whose fonts come with it: no browser, no network and no system library."""

from __future__ import annotations

import re
from typing import Final

from bench.errors import UnavailableError

SCALE: Final = 2.0
"""Pixels per SVG unit: sharp where a page shows it at half its size."""
MISSING: Final = (
    "a .png needs vl-convert, which the extra `report` brings: python -m pip install 'suanli-bench[report]'; "
    "a .svg needs nothing"
)
STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)
MEDIA: Final = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
PROPERTY: Final = re.compile(r"(--[\w-]+):\s*([^;}]+);?")
VARIABLE: Final = re.compile(r"var\((--[\w-]+)\)")


def png(svg: str) -> bytes:
    """A chart that `charts.svg.standalone` made, in its light colours. UnavailableError where vl-convert is absent."""
    try:
        import vl_convert
    except ImportError as error:
        raise UnavailableError(MISSING) from error
    return bytes(vl_convert.svg_to_png(plain(svg), scale=SCALE))


def plain(svg: str) -> str:
    """The same with its light colours put in: the converter knows no custom properties of CSS, and no colour scheme."""
    return STYLE.sub(lambda found: f"<style>{_light(found[1])}</style>", svg, count=1)


def _light(style: str) -> str:
    rules = MEDIA.sub("", style)
    colours = dict(PROPERTY.findall(rules))
    return VARIABLE.sub(lambda found: colours[found[1]].strip(), PROPERTY.sub("", rules))
