"""What this distribution offers: the scanner."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from scanguard.hooks import PluginContext, Scanner, ScannerSpec, hookimpl
from scanguard_reports.config import ReportsConfig

scanguard_api_version = 1


@hookimpl
def scanguard_scanners() -> Iterable[ScannerSpec]:
    """Offer the scanner."""
    yield ScannerSpec(
        name="reports",
        config=ReportsConfig,
        build=_build,
        description="Takes reports that other tools have left in a folder or an HTTP store, by digest.",
        fingerprint=ReportsConfig.result_options,
        refine=_refine,
    )


def _build(config: ReportsConfig, context: PluginContext) -> Scanner:
    from scanguard_reports.scanner import ReportsScanner  # noqa: PLC0415  # plugins are imported at every start

    return ReportsScanner(config, context)


def _refine(spec: ScannerSpec, config: Any) -> ScannerSpec:  # noqa: ANN401  # the hook's own type
    return dataclasses.replace(spec, scan_timeout_s=config.wait_s + spec.scan_timeout_s)
