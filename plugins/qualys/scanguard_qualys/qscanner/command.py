"""What QScanner is told: arguments without any secret, and an environment with them.

Flags and variables: docs.qualys.com (QScanner modes) and public integrations (github.com/nelssec/qualys-ado).
"""

from __future__ import annotations

from pathlib import Path

from scanguard.errors import ScanUnsupportedError
from scanguard.model.image import ResolvedImage
from scanguard.oci.credentials import RegistryCredential
from scanguard.process import minimal_environment
from scanguard_qualys.qscanner.options import QscannerOptions


def arguments(
    program: Path, image: ResolvedImage, options: QscannerOptions, *, pod: str, folder: Path, timeout_s: float
) -> list[str]:
    """The command line for one image; the report and the cache go to folders of this run's own."""
    given = [
        str(program),
        "image",
        target_of(image),
        *("--mode", "get-report"),
        *("--pod", pod),
        *("--scan-types", ",".join(options.scan_types)),
        *("--report-format", "sarif"),
        *("--output-dir", str(folder / "out")),
        *("--cache-dir", str(folder / "cache")),
    ]
    if options.pass_platform and image.reference is not None:
        given += ["--platform", str(image.platform)]
    if options.pass_timeout:
        given += ["--scan-timeout", f"{int(timeout_s)}s"]
    return [*given, *options.extra_args]


def target_of(image: ResolvedImage) -> str:
    """What is scanned, by digest; ScanUnsupportedError for a source that QScanner cannot read."""
    if image.reference is not None:
        return f"{image.reference.name}@{image.digest}"
    scheme, _, path = image.source.partition(":")
    if scheme in ("docker-archive", "oci-archive"):
        return str(Path(path).absolute())
    raise ScanUnsupportedError(
        f"QScanner does not read {scheme}: sources; give it a registry or an archive", plugin="qualys"
    )


def environment(token: str, credential: RegistryCredential | None, folder: Path) -> dict[str, str]:
    """The child's whole environment; nothing of ours is inherited but what a program needs to run."""
    own = {"QUALYS_ACCESS_TOKEN": token, "HOME": str(folder), "DOCKER_CONFIG": str(folder / "docker")}
    if credential is not None and credential.password is not None:
        own["QSCANNER_REGISTRY_USERNAME"] = credential.username
        own["QSCANNER_REGISTRY_PASSWORD"] = credential.password.get_secret_value()
    elif credential is not None and credential.identity_token is not None:
        own["QSCANNER_REGISTRY_TOKEN"] = credential.identity_token.get_secret_value()
    return minimal_environment(**own)
