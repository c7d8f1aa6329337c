"""Notifier ``console``: a few lines for each verdict on standard error, or standard output."""

from __future__ import annotations

import asyncio
import sys

from scanguard.builtin.console_config import ConsoleConfig as ConsoleConfig  # noqa: PLC0414  # its home for users is here
from scanguard.builtin.console_lines import render_notice
from scanguard.errors import NotifyError
from scanguard.hooks import Notice, PluginContext
from scanguard.ports import Receipt
from scanguard.render.draw import encodable


class ConsoleNotifier:
    """Writes to a standard stream; the stream is looked up for every notice, so a redirected one is obeyed."""

    def __init__(self, config: ConsoleConfig, context: PluginContext) -> None:
        self._stream = config.stream
        self._clock = context.clock

    async def send(self, notice: Notice) -> Receipt:
        """Write the lines at once; NotifyError when the stream is closed."""
        text = render_notice(notice.verdict)
        try:
            await asyncio.to_thread(self._write, text)
        except (OSError, ValueError) as exc:  # ValueError is what a closed file raises
            raise NotifyError(f"cannot write to {self._stream}: {exc}", target=self._stream) from exc
        return Receipt(self._stream, notice.verdict.id, self._clock.now())

    async def aclose(self) -> None:
        """The streams belong to the process."""

    def _write(self, text: str) -> None:
        stream = sys.stderr if self._stream == "stderr" else sys.stdout
        stream.write(encodable(text, getattr(stream, "encoding", None) or "utf-8"))
        stream.flush()
