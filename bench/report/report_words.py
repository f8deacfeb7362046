"""Every word of a report that is ours, by language. What a run file says stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.report.report_words_en import EN
from bench.report.report_words_zh import ZH

__all__ = ["CATALOGUE", "EN", "LANGUAGES", "ZH", "say"]

LANGUAGES: Final = {"en": "English", "zh": "简体中文"}

CATALOGUE: Final[Mapping[str, Mapping[str, str]]] = {"en": EN, "zh": ZH}


def say(key: str, language: str = "en", **values: object) -> str:
    """One of our phrases with its values put in. Raises KeyError for an unknown key or language."""
    return CATALOGUE[language][key].format(**values)
