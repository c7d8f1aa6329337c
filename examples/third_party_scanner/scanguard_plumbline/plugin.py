"""Registers the scanner."""

from collections.abc import Iterable, Mapping

from pydantic import JsonValue
from scanguard import ScannerSpec, hookimpl

from scanguard_plumbline.config import PlumblineConfig
from scanguard_plumbline.scanner import PlumblineScanner

scanguard_api_version = 1


@hookimpl
def scanguard_scanners() -> Iterable[ScannerSpec]:
    """Offer the scanner."""
    yield ScannerSpec(
        name="plumbline",
        config=PlumblineConfig,
        build=PlumblineScanner,
        description="Asks a Plumbline service, which pulls the image and takes its time",
        fingerprint=_fingerprint,
        step_timeout_s=150.0,
        scan_timeout_s=3600.0,
    )


def _fingerprint(config: PlumblineConfig) -> Mapping[str, JsonValue]:
    """The options that change a result; who logs in, and how long things may take, do not."""
    return {"url": config.url, "profile": config.profile}
