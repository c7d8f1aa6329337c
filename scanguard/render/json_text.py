"""The stable JSON that machines read; ASCII only, so that no terminal and no encoding can be hurt by it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from scanguard.model.merged import MergedReport
from scanguard.model.verdict import Verdict

JSON_SCHEMA_VERSION: Final = 1
"""Grows when a key changes its meaning or goes; new keys may come at any time."""


def verdicts_json(verdicts: Sequence[Verdict], reports: Mapping[str, MergedReport], **more: JsonValue) -> str:
    """``{"schema_version": 1, "verdicts": [...], "reports": {name: ...}}``, and ``more`` beside them."""
    return to_json(
        {
            "schema_version": JSON_SCHEMA_VERSION,
            "verdicts": [verdict.model_dump(mode="json") for verdict in verdicts],
            "reports": {name: report.model_dump(mode="json") for name, report in reports.items()},
            **more,
        }
    )


def to_json(document: Mapping[str, JsonValue]) -> str:
    """Indented JSON with a final newline."""
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
