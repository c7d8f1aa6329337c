"""Installed plugins, and why one is not loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pydantic import JsonValue

from scanguard.render.document import BLANK, Block, Column, Document, Line, Span, Table
from scanguard.render.json_text import JSON_SCHEMA_VERSION, to_json


@dataclass(frozen=True, slots=True)
class PluginLine:
    """One plugin as it is shown. ``kinds`` are what it offers; ``why`` says why it is not loaded."""

    name: str
    kinds: tuple[str, ...]
    version: str
    distribution: str
    api_version: int | None
    status: str
    why: str = ""


def plugins_document(plugins: Sequence[PluginLine]) -> Document:
    """A row per plugin, then, for each that is not loaded, why."""
    columns = (
        Column("NAME"),
        Column("KIND", weight=2, wraps=True),
        Column("VERSION", weight=1),
        Column("DISTRIBUTION", weight=1),
        Column("API", right=True),
        Column("STATUS"),
    )
    blocks: list[Block] = [Table(columns, tuple(_row(plugin) for plugin in plugins))]
    broken = [plugin for plugin in plugins if plugin.why]
    blocks += [BLANK] if broken else []
    blocks += [Line.of(Span(plugin.name, "strong"), f" {plugin.status}: {plugin.why}") for plugin in broken]
    return tuple(blocks)


def _row(plugin: PluginLine) -> tuple[Span, ...]:
    return (
        Span(plugin.name, "strong"),
        Span(", ".join(plugin.kinds)),
        Span(plugin.version),
        Span(plugin.distribution),
        Span("" if plugin.api_version is None else str(plugin.api_version)),
        Span(plugin.status, "good" if plugin.status == "loaded" else "bad"),
    )


def plugins_json(plugins: Sequence[PluginLine]) -> str:
    """``{"schema_version": 1, "plugins": [...]}``."""
    rows: list[JsonValue] = [{**asdict(plugin), "kinds": list(plugin.kinds)} for plugin in plugins]
    return to_json({"schema_version": JSON_SCHEMA_VERSION, "plugins": rows})
