"""Lets pytest explain the suites' assertions: it explains those of test files only, unless told, before the import.

Without it a bare ``assert`` of a suite fails without a word of what was compared.
"""

from __future__ import annotations

from pathlib import Path

import pytest

_LOADED = {"__init__", Path(__file__).stem}
_SUITES = [path.stem for path in sorted(Path(__file__).parent.glob("*.py")) if path.stem not in _LOADED]
pytest.register_assert_rewrite(*(f"{__package__}.{name}" for name in _SUITES))
