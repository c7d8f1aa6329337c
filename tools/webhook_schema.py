"""Writes the JSON Schema of the webhook's data into the documentation."""

from __future__ import annotations

import json

from workspace import ROOT

from scanguard.builtin.webhook_data import data_schema

SCHEMA_FILE = ROOT / "docs" / "webhook-verdict-v1.schema.json"


def main() -> None:
    """Write it."""
    SCHEMA_FILE.write_text(json.dumps(data_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(SCHEMA_FILE.name)


if __name__ == "__main__":
    main()
