"""What scanguard says about its own work: logs with a correlation id, and metrics.

``correlation`` names the work in hand, ``secrets`` and ``redact`` keep credentials out, ``records``, ``formats`` and
``logs`` make log lines; ``metrics`` holds the instruments and ``export`` sends them.
"""

from __future__ import annotations

from typing import Final

LEVELS: Final = ("debug", "info", "warning", "error")
"""How much is logged, the most first."""
FORMATS: Final = ("text", "json")
"""How a log line is spelled."""
