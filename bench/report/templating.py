"""What every page is made with: Jinja2, and a frame, the style and script that alone its content policy lets run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from bench.errors import UnavailableError

if TYPE_CHECKING:
    import jinja2

TEMPLATES: Final = "templates"
MISSING: Final = "a page needs Jinja2, which the extra `report` brings: python -m pip install 'suanli-bench[report]'"


def environment(**filters: Callable[..., Any]) -> jinja2.Environment:
    """Our templates, everything in them escaped; to be kept, for it holds them compiled.

    Raises UnavailableError where Jinja2 is absent.
    """
    try:
        import jinja2
    except ImportError as error:
        raise UnavailableError(MISSING) from error
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report", TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(filters)
    return made


@cache
def frame(script: str, *styles: str) -> Mapping[str, Any]:
    """`script` and `style` of a page, from these files beside the templates, and the `policy` for these two alone."""
    from markupsafe import Markup

    folder = files("bench.report") / TEMPLATES
    texts = [(folder / script).read_text("utf-8"), "".join((folder / name).read_text("utf-8") for name in styles)]
    ours, style = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    policy = f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{ours}'"
    policy += "; base-uri 'none'; form-action 'none'"
    # Our own files, never what a run file says.
    return MappingProxyType({"script": Markup(texts[0]), "style": Markup(texts[1]), "policy": policy})
