"""The synchronous edge: a coroutine run to its end, or until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end; Ctrl-C cancels, waits for the clean-up, and raises KeyboardInterrupt."""
    return asyncio.run(work)
