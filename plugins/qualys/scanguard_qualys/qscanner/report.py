"""The files QScanner writes, as typed models of the fields that are used.

``*-Report.sarif.json`` holds the vulnerabilities, ``*-ScanResult.json`` the inventory and the image's identity. Both
layouts are a community's knowledge (github.com/nelssec/qualys-ado); what is not there is left out, what is there must
fit.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from scanguard_qualys.detection import Detection, Kind, Software
from scanguard_qualys.report import Text, Texts, Whole, _listed

_KINDS: dict[str, Kind] = {"CONFIRMED": "CONFIRMED", "POTENTIAL": "POTENTIAL", "INFORMATION": "INFORMATION"}


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Message(_File):
    """A text."""

    text: Text = ""


class RuleProperties(_File):
    """``rules[].properties``."""

    severity: Whole = None
    customer_severity: Whole = Field(default=None, alias="customerSeverity")
    cves: Texts = Field(default=(), validation_alias=AliasChoices("cve-ids", "cveIds", "cves"))
    qds: Text = ""
    type_detected: Text = Field(default="", validation_alias=AliasChoices("typeDetected", "type"))


class Rule(_File):
    """A QID."""

    id: Text
    title: Message = Field(default=Message(), alias="shortDescription")
    properties: RuleProperties = RuleProperties()


class VulnerableSoftware(_File):
    """A package that a QID was found in."""

    name: Text
    version: Text = Field(default="", alias="installedVersion")
    fixed: Text = Field(default="", alias="fixedVersion")
    path: Text = Field(default="", validation_alias=AliasChoices("packagePath", "filePath"))


class ResultProperties(_File):
    """``results[].properties``."""

    qid: Whole = Field(default=None, alias="QID")
    software: Annotated[tuple[VulnerableSoftware, ...], BeforeValidator(_listed)] = Field(
        default=(), alias="vulnerableSoftware"
    )


class Result(_File):
    """A QID found in the image."""

    rule: Text = Field(alias="ruleId")
    message: Message = Message()
    properties: ResultProperties = ResultProperties()


class ArtifactProperties(_File):
    """``artifacts[].properties``."""

    image_id: Text = Field(default="", alias="imageID")
    repo_digest: Text = Field(default="", alias="repoDigest")
    os_name: Text = Field(default="", alias="osName")


class Artifact(_File):
    """The image."""

    properties: ArtifactProperties = ArtifactProperties()


class Driver(_File):
    """The tool."""

    name: Text = ""
    version: Text = ""
    rules: Annotated[tuple[Rule, ...], BeforeValidator(_listed)] = ()


class Tool(_File):
    """The tool."""

    driver: Driver


class Run(_File):
    """One run."""

    tool: Tool
    results: Annotated[tuple[Result, ...], BeforeValidator(_listed)]
    artifacts: Annotated[tuple[Artifact, ...], BeforeValidator(_listed)] = ()


class Sarif(_File):
    """A SARIF 2.1.0 log."""

    version: Text
    runs: tuple[Run, ...] = Field(min_length=1)

    def detections(self) -> list[Detection]:
        """Every QID of every run."""
        return [detection for run in self.runs for detection in _detections(run)]


def _detections(run: Run) -> list[Detection]:
    rules = {rule.id: rule for rule in run.tool.driver.rules}
    found = []
    for result in run.results:
        rule = rules.get(result.rule, Rule(id=result.rule))
        number = result.properties.qid or (
            int(result.rule) if result.rule.isascii() and result.rule.isdigit() else None
        )
        if number is None:
            continue  # secrets and file insights are results too; they are no QIDs
        own = rule.properties
        found.append(
            Detection(
                qid=number,
                title=rule.title.text or result.message.text[:300],
                cves=tuple(name.strip().upper() for name in own.cves if name.strip()),
                severity=own.severity,
                customer_severity=own.customer_severity,
                kind=_KINDS.get(own.type_detected.upper(), "CONFIRMED"),
                software=tuple(
                    Software(one.name, one.version, one.fixed, one.path or None) for one in result.properties.software
                ),
                vendor={"qds": own.qds} if own.qds else {},
            )
        )
    return found


class ScanPerformed(_File):
    """One kind of scan and how it went."""

    kind: Text = Field(default="", alias="ScanType")
    status: Text = Field(default="", alias="Status")


class ImageMetadata(_File):
    """The image's identity."""

    image_id: Text = Field(default="", alias="ImageID")
    repo_digests: Texts = Field(default=(), alias="RepoDigests")


class TargetMetadata(_File):
    """What was scanned."""

    image: ImageMetadata = Field(default=ImageMetadata(), alias="ImageMetadata")


class InventoryMetadata(_File):
    """``Metadata``; one client knows the target as ``Target``."""

    target: TargetMetadata = Field(default=TargetMetadata(), validation_alias=AliasChoices("TargetMetadata", "Target"))


class Inventory(_File):
    """``*-ScanResult.json``: it holds no vulnerabilities."""

    version: Text = Field(default="", alias="QScannerVersion")
    scans: Annotated[tuple[ScanPerformed, ...], BeforeValidator(_listed)] = Field(default=(), alias="ScansPerformed")
    metadata: InventoryMetadata = Field(default=InventoryMetadata(), alias="Metadata")
