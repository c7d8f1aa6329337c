"""What Trivy answers: the parts of its JSON report (schema 2) that are used; the rest is skipped while parsing.

Source: ``pkg/types/report.go`` of https://github.com/aquasecurity/trivy, v0.69.3. Most keys are left out when empty.
msgspec, because it checks types while it decodes and never builds what no field asks for: descriptions, the lines of
code around a secret, the files of each package.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec

from scanguard.errors import ScannerOutputError

SCHEMA_VERSION: Final = 2


class _Part(msgspec.Struct, frozen=True, rename="pascal", gc=False):
    pass


class Layer(_Part, frozen=True):
    """The layer something was found in; ``digest`` is of the layer as stored, absent for local images."""

    digest: str = ""


class Identifier(_Part, frozen=True):
    """How a package is identified; ``uid`` joins a vulnerability to the package it is about."""

    purl: str = msgspec.field(default="", name="PURL")
    uid: str = msgspec.field(default="", name="UID")


class InstalledPackage(_Part, frozen=True):
    """A package of the inventory, for what a vulnerability does not say: its source package."""

    id: str = msgspec.field(default="", name="ID")
    identifier: Identifier = Identifier()
    src_name: str = ""
    src_version: str = ""
    src_release: str = ""
    src_epoch: int = 0


class Rating(_Part, frozen=True):
    """CVSS by one source."""

    v2_vector: str = ""
    v3_vector: str = ""
    v40_vector: str = ""
    v2_score: float = 0.0
    v3_score: float = 0.0
    v40_score: float = 0.0


Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Vulnerability(_Part, frozen=True):
    """One vulnerability in one package."""

    vulnerability_id: str = msgspec.field(default="", name="VulnerabilityID")
    vendor_ids: list[str] | None = msgspec.field(default=None, name="VendorIDs")
    pkg_id: str = msgspec.field(default="", name="PkgID")
    pkg_name: str = ""
    pkg_path: str = ""
    pkg_identifier: Identifier = Identifier()
    installed_version: str = ""
    fixed_version: str = ""
    status: str = ""
    layer: Layer = Layer()
    severity_source: str = ""
    primary_url: str = msgspec.field(default="", name="PrimaryURL")
    title: str = ""
    severity: str = ""
    cwe_ids: list[str] | None = msgspec.field(default=None, name="CweIDs")
    cvss: dict[str, Rating] | None = msgspec.field(default=None, name="CVSS")
    references: list[str] | None = None
    published_date: Moment | None = None
    last_modified_date: Moment | None = None


class Secret(_Part, frozen=True):
    """A secret by the rule that found it; ``Match`` and ``Code``, which hold it in part, are never read."""

    rule_id: str = msgspec.field(default="", name="RuleID")
    title: str = ""
    severity: str = ""
    start_line: int = 0
    layer: Layer = Layer()


class Misconfiguration(_Part, frozen=True):
    """One check of a configuration file, or of the image's own configuration."""

    id: str = msgspec.field(default="", name="ID")
    avd_id: str = msgspec.field(default="", name="AVDID")
    title: str = ""
    message: str = ""
    resolution: str = ""
    severity: str = ""
    status: str = ""
    primary_url: str = msgspec.field(default="", name="PrimaryURL")


class License(_Part, frozen=True):
    """A licence of a package, or of a file (``file_path``)."""

    severity: str = ""
    category: str = ""
    pkg_name: str = ""
    file_path: str = ""
    name: str = ""
    confidence: float = 0.0
    link: str = ""


class Result(_Part, frozen=True):
    """What was found in one target: the distribution's packages, one kind of library, one file."""

    target: str = ""
    class_: str = msgspec.field(default="", name="Class")
    type: str = ""
    packages: list[InstalledPackage] | None = None
    vulnerabilities: list[Vulnerability] | None = None
    misconfigurations: list[Misconfiguration] | None = None
    secrets: list[Secret] | None = None
    licenses: list[License] | None = None


class OperatingSystem(_Part, frozen=True):
    """The distribution; ``family`` is ``none`` where none was recognised. ``eosl``: past its end of support."""

    family: str = ""
    name: str = ""
    eosl: bool = msgspec.field(default=False, name="EOSL")


class Metadata(_Part, frozen=True):
    """Which image was looked at; ``image_id`` is the digest of its configuration."""

    os: OperatingSystem | None = msgspec.field(default=None, name="OS")
    image_id: str = msgspec.field(default="", name="ImageID")
    repo_digests: list[str] | None = None


class Program(_Part, frozen=True):
    """The program that wrote the report."""

    version: str = ""


class TrivyReport(_Part, frozen=True):
    """A report. ``results`` is None where the key is absent: nothing was recognised, which is not "clean"."""

    schema_version: int
    trivy: Program = Program()
    artifact_name: str = ""
    artifact_type: str = ""
    metadata: Metadata = Metadata()
    results: list[Result] | None = None


class _Schema(_Part, frozen=True):
    schema_version: int


_T = TypeVar("_T")
_SCHEMA: Final = msgspec.json.Decoder(_Schema)
_REPORT: Final = msgspec.json.Decoder(TrivyReport)


def parse_report(data: bytes) -> TrivyReport:
    """Read a report; blocking, for a thread.

    Raises:
        ScannerOutputError: No JSON, cut off, too deep, of another shape or schema. The text holds none of the report.
    """
    version = _decode(_SCHEMA, data).schema_version
    if version != SCHEMA_VERSION:
        raise ScannerOutputError(
            f"the report has schema version {version}, and {SCHEMA_VERSION} is what is read here; use a version of "
            "Trivy that writes it",
            plugin="trivy",
        )
    return _decode(_REPORT, data)


def _decode(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as exc:
        problem = f"the report is of another shape than schema version {SCHEMA_VERSION} ({_place(exc)})"
        raise ScannerOutputError(problem, plugin="trivy") from None
    except (ValueError, RecursionError) as exc:
        problem = f"the report is no JSON that can be read ({type(exc).__name__}, {len(data)} bytes)"
        raise ScannerOutputError(problem, plugin="trivy") from None


def _place(exc: msgspec.ValidationError) -> str:
    """Where in the report; the rest of the message may quote it."""
    _, found, place = str(exc).rpartition(" - at `")
    return f"at {place[:100].rstrip('`')}" if found and _is_path(place) else "at its top"


def _is_path(text: str) -> bool:
    return all(c.isalnum() or c in "$.[]`_" for c in text)
