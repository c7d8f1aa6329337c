"""Package URLs of packages that Trivy gives none for, as reports of versions before 0.47 do not."""

from __future__ import annotations

from typing import Final

_RPM: Final = frozenset(
    (
        "alma",
        "amazon",
        "azurelinux",
        "cbl-mariner",
        "centos",
        "centos-stream",
        "fedora",
        "opensuse",
        "opensuse-leap",
        "opensuse-tumbleweed",
        "oracle",
        "photon",
        "redhat",
        "rocky",
        "slem",
        "sles",
    )
)
_DEB: Final = frozenset(("debian", "ubuntu", "echo"))
_APK: Final = frozenset(("alpine", "chainguard", "minimos", "wolfi"))
_LIBRARIES: Final = {
    "bundler": "gem",
    "gemspec": "gem",
    "cargo": "cargo",
    "rustbinary": "cargo",
    "composer": "composer",
    "composer-vendor": "composer",
    "npm": "npm",
    "node-pkg": "npm",
    "yarn": "npm",
    "pnpm": "npm",
    "bun": "npm",
    "nuget": "nuget",
    "dotnet-core": "nuget",
    "packages-props": "nuget",
    "pip": "pypi",
    "pipenv": "pypi",
    "poetry": "pypi",
    "pylock": "pypi",
    "uv": "pypi",
    "python-pkg": "pypi",
    "jar": "maven",
    "pom": "maven",
    "gradle": "maven",
    "sbt": "maven",
    "gobinary": "golang",
    "gomod": "golang",
    "conda-pkg": "conda",
    "conan": "conan",
    "hex": "hex",
    "pub": "pub",
    "swift": "swift",
    "cocoapods": "cocoapods",
}
"""Kinds of targets (``pkg/fanal/types/const.go``) and their types in the purl specification."""


def make_purl(kind: str, name: str, version: str) -> str:
    """A package URL for a package of a kind of target such as ``debian`` or ``npm``; ``generic`` for unknown kinds."""
    from packageurl import PackageURL  # noqa: PLC0415  # needed by old reports only

    purl_type, namespace = _type_of(kind)
    if namespace is None:
        separator = ":" if purl_type == "maven" else "/"
        namespace, _, name = name.rpartition(separator)
    return str(PackageURL(purl_type, namespace or None, name, version or None).to_string())


def _type_of(kind: str) -> tuple[str, str | None]:
    for purl_type, families in (("rpm", _RPM), ("deb", _DEB), ("apk", _APK)):
        if kind in families:
            return purl_type, kind
    return _LIBRARIES.get(kind, "generic"), None
