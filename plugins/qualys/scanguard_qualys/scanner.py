"""The scanner of a configuration's mode."""

from __future__ import annotations

from scanguard.errors import ConfigError
from scanguard.hooks import PluginContext, Scanner
from scanguard_qualys.config import Mode, QualysConfig


def build_scanner(config: QualysConfig, context: PluginContext) -> Scanner:
    """Build it; ConfigError when it needs a network that the user does not want."""
    if context.offline:
        raise ConfigError(f"instance {context.instance} asks Qualys, which needs the network", target=context.instance)
    if config.mode is Mode.ONDEMAND:
        from scanguard_qualys.ondemand import OnDemandScanner  # noqa: PLC0415  # only the mode that is used

        return OnDemandScanner(config, context)
    if config.mode is Mode.PLATFORM:
        from scanguard_qualys.platform import PlatformScanner  # noqa: PLC0415  # only the mode that is used

        return PlatformScanner(config, context)
    from scanguard_qualys.qscanner.scanner import QscannerScanner  # noqa: PLC0415  # only the mode that is used

    return QscannerScanner(config, context)
