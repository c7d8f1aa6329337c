"""Which builds run on a platform, and how well.

The rules are containerd's (https://github.com/containerd/platforms, ``database.go`` and ``compare.go``, read
2025): aliases of architectures, default variants, and older variants of a processor that newer ones run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scanguard.model.image import Platform

DEFAULT_PLATFORM: Final = Platform()
_ALIASES: Final = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
}
_DEFAULT_VARIANTS: Final = {"arm": "v7", "arm64": "v8", "amd64": "v1"}


def platform_from(values: Mapping[str, object]) -> Platform | None:
    """The platform that an index entry or an image config states; None where it names no architecture."""
    stated = {key: value.lower() for key, value in values.items() if isinstance(value, str)}
    if not stated.get("architecture"):
        return None
    return Platform(
        os=stated.get("os") or "linux",
        architecture=stated["architecture"],
        variant=stated.get("variant", ""),
        os_version=stated.get("os.version", ""),
    )


def preference(asked: Platform, offered: Platform) -> int | None:
    """How well a build fits: 0 is best, higher is older; None does not run at all."""
    architecture, wanted = _normal(asked)
    theirs, variant = _normal(offered)
    if asked.os.lower() != offered.os.lower() or architecture != theirs:
        return None
    if not _version_fits(asked.os_version, offered.os_version):
        return None
    if wanted == variant:
        return 0
    newest, own = _generation(wanted), _generation(variant)
    return newest - own if newest is not None and own is not None and own < newest else None


def _normal(platform: Platform) -> tuple[str, str]:
    architecture, implied = _ALIASES.get(platform.architecture.lower(), (platform.architecture.lower(), ""))
    variant = platform.variant.lower() or implied
    if variant.isascii() and variant.isdigit():
        variant = f"v{variant}"
    return architecture, variant or _DEFAULT_VARIANTS.get(architecture, "")


def _generation(variant: str) -> int | None:
    number = variant.removeprefix("v")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 4 else None


def _version_fits(asked: str, offered: str) -> bool:
    """Windows: the same build (``10.0.20348``), whatever its revision."""
    return not asked or not offered or asked.split(".")[:3] == offered.split(".")[:3]
