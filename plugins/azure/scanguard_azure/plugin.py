"""What this distribution offers: every record, no logic."""

from __future__ import annotations

scanguard_api_version = 1
