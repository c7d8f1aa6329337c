"""What this distribution offers: the scanner and the command group ``osv``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from scanguard.hooks import CommandSpec, PluginContext, Scanner, ScannerSpec, hookimpl
from scanguard_osv.config import OsvConfig

if TYPE_CHECKING:
    import click

scanguard_api_version = 1


@hookimpl
def scanguard_scanners() -> Iterable[ScannerSpec]:
    """Offer the OSV scanner."""
    yield ScannerSpec(
        name="osv",
        config=OsvConfig,
        build=_build_scanner,
        description="Reads package databases and matches them with OSV advisories, online or imported.",
        fingerprint=_fingerprint,
    )


@hookimpl
def scanguard_commands() -> Iterable[CommandSpec]:
    """Offer ``scanguard osv``."""
    yield CommandSpec(name="osv", build=_build_command, description="Import and inspect OSV advisories.")


def _build_scanner(config: OsvConfig, context: PluginContext) -> Scanner:
    from scanguard_osv.scanner import OsvScanner  # noqa: PLC0415  # plugins are imported at every start

    return OsvScanner(config, context)


def _build_command(context: PluginContext) -> click.Command:
    from scanguard_osv.cli import build  # noqa: PLC0415  # plugins are imported at every start

    return build(context)


def _fingerprint(config: OsvConfig) -> dict[str, Any]:
    """The options that change a result; time-outs and limits do not."""
    return config.model_dump(mode="json", include={"mode", "url", "database", "ecosystems", "max_database_age_days"})
