"""What this distribution offers: the scanner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from scanguard.hooks import PluginContext, Scanner, ScannerSpec, hookimpl
from scanguard_trivy.config import TrivyConfig

scanguard_api_version = 1


@hookimpl
def scanguard_scanners() -> Iterable[ScannerSpec]:
    """Offer the Trivy scanner."""
    yield ScannerSpec(
        name="trivy",
        config=TrivyConfig,
        build=_build,
        description="Runs Trivy on the image, alone or as the client of a Trivy server.",
        fingerprint=_fingerprint,
        heavy=True,
        refine=_refine,
    )


def _build(config: TrivyConfig, context: PluginContext) -> Scanner:
    from scanguard_trivy.scanner import TrivyScanner  # noqa: PLC0415  # plugins are imported at every start

    return TrivyScanner(config, context)


def _fingerprint(config: TrivyConfig) -> dict[str, Any]:
    """What changes a result; not how long, where, and by whom."""
    return {
        "scanners": sorted(config.scanners),
        "pkg_types": sorted(config.pkg_types),
        "ignore_unfixed": config.ignore_unfixed,
        "detection_priority": config.detection_priority,
        "server": config.server,
        "offline_scan": config.offline_scan,
        "max_database_age_days": config.max_database_age_days,
        "database_repositories": list(config.database_repositories),
        "java_database_repositories": list(config.java_database_repositories),
    }


def _refine(spec: ScannerSpec, config: TrivyConfig) -> ScannerSpec:
    """A scan is one step: its limits are those of everything that may happen in it."""
    limit_s = config.step_timeout_s
    return replace(spec, heavy=config.heavy, step_timeout_s=limit_s, scan_timeout_s=limit_s)
