"""What an engine lends to a plugin, made for a test."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from scanguard.errors import SecretError
from scanguard.hooks import PluginContext
from scanguard.model.secret import SecretRef
from scanguard.ports import Clock
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW

if TYPE_CHECKING:
    from scanguard.http import HttpFactory
    from scanguard.oci.client import ImageClient


class _Missing:
    """Stands for something a plugin was not expected to use."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # stands for anything
        raise AssertionError(
            f"the plugin used context.{self._what}.{name}, which this test gave it no {self._what} for"
        )


def make_context(
    folder: Path,
    *,
    instance: str = "tested",
    http: HttpFactory | None = None,
    images: ImageClient | object | None = None,
    secrets: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    offline: bool = False,
    now: datetime = NOW,
) -> PluginContext:
    """A context for one instance of a plugin.

    Args:
        folder: Where the plugin may write (``data``) and where relative paths in its configuration start.
        instance: Name of the instance.
        http: Makes its clients; without one, a plugin that makes a client fails the test.
        images: Opens its images; likewise.
        secrets: Values by reference, such as ``{"env:TOKEN": "…"}``; any other raises SecretError.
        clock: The time; by default it stands at ``now``.
        offline: Whether the user asked for no network.
        now: The moment at which the default clock stands.
    """
    known = dict(secrets or {})

    async def secret(reference: SecretRef) -> SecretStr:
        if str(reference) not in known:
            raise SecretError(f"{reference} is not set", target=str(reference))
        return SecretStr(known[str(reference)])

    return PluginContext(
        instance=instance,
        http=cast("HttpFactory", http or _Missing("http")),
        images=cast("ImageClient", images or _Missing("images")),
        secret=secret,
        clock=clock or ManualClock(now),
        data_dir=folder / "data",
        config_dir=folder,
        offline=offline,
        log=logging.getLogger(f"scanguard.plugin.{instance}"),
    )
