"""What the cloud answers, as typed models of the fields that are used.

Shapes and oddities: docs.qualys.com, Container Security API 1.3 (fetch image details, fetch vulnerability details for
an image), and field names of public integrations. Times are epoch milliseconds, as text or number; numbers may be text;
anything may be null; unknown fields are ignored. What makes a record useless (a vulnerability without a QID) is
refused.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from scanguard.errors import ScannerOutputError, ScannerUnavailableError
from scanguard_qualys.detection import Control, Detection, Kind, Software

_LATEST_MS: Final = 4_102_444_800_000  # the year 2100
_POSTURES: Final = {"PASS": True, "PASSED": True, "FAIL": False, "FAILED": False}
_KINDS: Final[dict[str, Kind]] = {"CONFIRMED": "CONFIRMED", "POTENTIAL": "POTENTIAL", "INFORMATION": "INFORMATION"}
_T = TypeVar("_T", bound=BaseModel)


def _whole(value: object) -> object:
    """A whole number, or None for what is none."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().lstrip("-").isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _score(value: object) -> object:
    """A CVSS score from 0 to 10, or None for what is none."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        return None
    return number if 0 <= number <= 10 else None


def _moment(value: object) -> object:
    """A time from epoch milliseconds, or None for what is none."""
    number = _whole(value)
    if not isinstance(number, int) or not 0 < number < _LATEST_MS:
        return None
    return datetime.fromtimestamp(number / 1000, UTC)


def _text(value: object) -> object:
    return (
        str(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else value
        if isinstance(value, str)
        else ""
    )


def _listed(value: object) -> object:
    return [] if value is None else [value] if isinstance(value, str | dict) else value


Whole = Annotated[int | None, BeforeValidator(_whole)]
Score = Annotated[float | None, BeforeValidator(_score)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Rating(_Answer):
    """A CVSS block."""

    score: Score = Field(default=None, alias="baseScore")


class SoftwareEntry(_Answer):
    """``software[]``."""

    name: Text = ""
    version: Text = ""
    fix_version: Text = Field(default="", alias="fixVersion")
    package_path: Text = Field(default="", alias="packagePath")


class Vulnerability(_Answer):
    """``details[]`` of /vuln, and ``vulnerabilities[]`` of on-demand results."""

    qid: Annotated[int, BeforeValidator(_whole)] = Field(gt=0)
    title: Text = ""
    cves: Texts = Field(default=(), validation_alias=AliasChoices("cveids", "cveIds", "cves"))
    severity: Whole = None
    customer_severity: Whole = Field(default=None, alias="customerSeverity")
    qds: JsonValue = Field(default=None, alias="qdsScore")
    cvss: Rating | None = Field(default=None, alias="cvssInfo")
    cvss3: Rating | None = Field(default=None, alias="cvss3Info")
    patch_available: bool | None = Field(default=None, alias="patchAvailable")
    published: Moment = None
    first_found: Moment = Field(default=None, alias="firstFound")
    last_found: Moment = Field(default=None, alias="lastFound")
    type_detected: Text = Field(default="", alias="typeDetected")
    status: Text = ""
    risk: Whole = None
    category: Text = ""
    products: Texts = Field(default=(), alias="product")
    threat: JsonValue = Field(default=None, alias="threatIntel")
    software: Annotated[tuple[SoftwareEntry, ...], BeforeValidator(_listed)] = ()
    is_exempted: bool | None = Field(default=None, alias="isExempted")

    def detection(self) -> Detection:
        """The same, apart from the wire."""
        return Detection(
            qid=self.qid,
            title=self.title,
            cves=tuple(name.strip().upper() for name in self.cves if name.strip()),
            severity=self.severity,
            customer_severity=self.customer_severity,
            kind=_KINDS.get(self.type_detected.upper(), ""),
            software=tuple(
                Software(one.name, one.version, one.fix_version, one.package_path or None)
                for one in self.software
                if one.name
            ),
            products=tuple(name for name in self.products if name),
            cvss2=self.cvss.score if self.cvss else None,
            cvss3=self.cvss3.score if self.cvss3 else None,
            published=self.published,
            exempted=bool(self.is_exempted),
            vendor=_kept(
                qds=self.qds,
                risk=self.risk,
                status=self.status,
                category=self.category,
                patch_available=self.patch_available,
                first_found=self.first_found.isoformat() if self.first_found else None,
                last_found=self.last_found.isoformat() if self.last_found else None,
                threat_intel=_known(self.threat),
            ),
        )


class ControlEntry(_Answer):
    """A compliance result; the names of its fields are not documented, so several are read."""

    id: Text = Field(default="", validation_alias=AliasChoices("controlId", "cid", "id", "qid"))
    title: Text = Field(default="", validation_alias=AliasChoices("title", "statement", "controlStatement", "name"))
    posture: Text = Field(default="", validation_alias=AliasChoices("posture", "status", "result"))
    criticality: Text = Field(default="", validation_alias=AliasChoices("criticality", "severity"))

    def control(self) -> Control:
        """The same, apart from the wire."""
        return Control(self.id, self.title, _POSTURES.get(self.posture.upper()), self.criticality)


class VulnerabilityPage(_Answer):
    """An answer of /vuln."""

    details: Annotated[tuple[Vulnerability, ...], BeforeValidator(_listed)]
    count: Whole = None


class Compliance(_Answer):
    """An answer of /compliance: a list, or a list under a name."""

    controls: Annotated[tuple[ControlEntry, ...], BeforeValidator(_listed)] = Field(
        validation_alias=AliasChoices("data", "details", "controls", "compliance")
    )


class RepoDigest(_Answer):
    """``repoDigests[]``."""

    digest: Text = ""


class ImageRecord(_Answer):
    """An image as the account knows it."""

    sha: Text = ""
    operating_system: Text = Field(default="", alias="operatingSystem")
    repo_digests: Annotated[tuple[RepoDigest, ...], BeforeValidator(_listed)] = Field(default=(), alias="repoDigests")
    scan_status: Text = Field(default="", alias="scanStatus")
    scan_error_code: Text = Field(default="", alias="scanErrorCode")
    updated: Moment = None
    last_scanned: Moment = Field(default=None, alias="lastScanned")
    last_vm_scan: Moment = Field(default=None, alias="lastVmScanDate")
    scan_types: Texts = Field(default=(), alias="scanTypes")
    vulnerabilities: JsonValue = None

    @property
    def expected(self) -> int:
        """How many vulnerabilities the record itself lists, where it does."""
        return len(self.vulnerabilities) if isinstance(self.vulnerabilities, list) else 0


class ImageList(_Answer):
    """An answer of /images."""

    data: Annotated[tuple[ImageRecord, ...], BeforeValidator(_listed)] = ()


class Job(_Answer):
    """A registry job."""

    name: Text = ""


class JobList(_Answer):
    """An answer of /registry/{id}/schedule."""

    data: Annotated[tuple[Job, ...], BeforeValidator(_listed)] = ()


class ScanStatus(_Answer):
    """An answer of the on-demand contract about a scan."""

    scan_id: Text = Field(default="", alias="scanId")
    status: Text = ""


class Metadata(_Answer):
    """``metadata`` of on-demand results, as far as it names the image."""

    image_id: Text = Field(default="", alias="imageId")
    sha: Text = ""
    digest: Text = ""
    repo_digests: Annotated[tuple[RepoDigest, ...], BeforeValidator(_listed)] = Field(default=(), alias="repoDigests")
    operating_system: Text = Field(default="", validation_alias=AliasChoices("operatingSystem", "os"))


class Results(_Answer):
    """On-demand results."""

    vulnerabilities: Annotated[tuple[Vulnerability, ...], BeforeValidator(_listed)]
    compliance: Annotated[tuple[ControlEntry, ...], BeforeValidator(_listed)] = ()
    metadata: Metadata = Metadata()


def read(model: type[_T], data: bytes, what: str, *, list_as: str = "") -> _T:
    """An answer as a model; errors name the field and repeat nothing of the body.

    Args:
        model: What it is read as.
        data: The body, or a file.
        what: What it is, in words.
        list_as: The field that a bare list is read into.

    Raises:
        ScannerUnavailableError: It is no JSON: something between us and the service answers, and may go away.
        ScannerOutputError: It is JSON, but not what was due.
    """
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError) as exc:
        kind = "HTML" if data.lstrip()[:1] == b"<" else "no JSON"
        raise ScannerUnavailableError(
            f"{what} is {kind}, where JSON was due; check `url`, and that no login page or proxy answers",
            plugin="qualys",
        ) from exc
    if list_as and isinstance(document, list):
        document = {list_as: document}
    try:
        return model.model_validate(document)
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "the whole"
        raise ScannerOutputError(f"{what} cannot be read: {place[:100]}: {fault['type']}", plugin="qualys") from exc


def _kept(**values: JsonValue) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if value not in (None, "", {}, [])}


def _known(value: JsonValue) -> JsonValue:
    """The flags that are set; the answer lists every one, most of them null."""
    return {name: flag for name, flag in value.items() if flag is not None} if isinstance(value, dict) else value
