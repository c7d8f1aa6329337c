"""What this distribution offers: the scanner."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from scanguard.hooks import PluginContext, Scanner, ScannerSpec, hookimpl
from scanguard.model.rate import Rate
from scanguard_qualys.config import Mode, QualysConfig

scanguard_api_version = 1


@hookimpl
def scanguard_scanners() -> Iterable[ScannerSpec]:
    """Offer the Qualys scanner."""
    yield ScannerSpec(
        name="qualys",
        config=QualysConfig,
        build=_build,
        description="Asks Qualys: the public Container Security API, an on-demand gateway, or the QScanner program.",
        fingerprint=QualysConfig.result_options,
        quota=(Rate.parse("300/h"), Rate.parse("30/m")),  # usual for a subscription; `quota` of the instance says other
        requests_per_scan=4,  # submit, one look, vulnerabilities, compliance; or submit, one or two looks, results
        refine=_refine,
    )


def _build(config: QualysConfig, context: PluginContext) -> Scanner:
    from scanguard_qualys.scanner import build_scanner  # noqa: PLC0415  # plugins are imported at every start

    return build_scanner(config, context)


def _refine(spec: ScannerSpec, config: Any) -> ScannerSpec:  # noqa: ANN401  # the hook's own type
    is_local = config.mode is Mode.QSCANNER
    return dataclasses.replace(
        spec,
        heavy=is_local,
        scan_timeout_s=config.timeout_s,
        step_timeout_s=config.timeout_s if is_local else spec.step_timeout_s,
        poll_many=config.poll_batch if config.mode is Mode.PLATFORM and config.poll_batch > 1 else 0,
    )
