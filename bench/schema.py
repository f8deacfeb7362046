"""The run file's schema as JSON Schema, made from `bench.records`.

`python -m bench.schema > docs/run-file.schema.json` publishes it. It describes what bench writes: every key of a line
is there, and keys that it does not name are allowed.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from bench.records import SCHEMA, Device, End, Measurement, Resume, Run, Trial

LINES = (Run, Device, Trial, Measurement, Resume, End)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line: one of the six records, each with all of its keys."""
    references, definitions = msgspec.json.schema_components(LINES, ref_template="#/$defs/{name}")
    for definition in definitions.values():
        if "properties" not in definition:
            continue  # an enumeration
        # A reader has to do without defaults; a writer leaves nothing out, so that is what the schema promises.
        definition["required"] = list(definition["properties"])
        for value in definition["properties"].values():
            value.pop("default", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"One line of a suanli-bench run file, schema {SCHEMA}",
        "oneOf": list(references),
        "$defs": dict(sorted(definitions.items())),
    }


def text() -> str:
    """The schema as it stands in docs/run-file.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
