"""The data of a ``scanguard.verdict.v1`` event: what a receiver can rely on.

Fields may be added; none is taken away or changes its meaning without another event type. The JSON Schema is
:func:`data_schema`, kept in ``docs/webhook-verdict-v1.schema.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from scanguard.model.base import Instant
from scanguard.model.merged import MergedReport
from scanguard.model.report import CoverageStatus
from scanguard.model.severity import Severity
from scanguard.model.verdict import Outcome, ScannerStatus

EVENT_TYPE: Final = "scanguard.verdict.v1"
DATA_SCHEMA: Final = "urn:scanguard:schema:verdict:v1"
"""The event's ``dataschema``, and the ``$id`` of the schema."""


class _Part(BaseModel):
    """Base of the parts; receivers must bear unknown fields, so the schema allows them."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class WebhookDeployment(_Part):
    """What was judged. ``resource_id`` is whole; other texts past 300 characters end in an ellipsis."""

    resource_id: str
    kind: str
    name: str
    subscription: str
    resource_group: str
    location: str
    tags: Mapping[str, str] = {}


class WebhookScanner(_Part):
    """Where one scanner stands with an image."""

    instance: str
    status: ScannerStatus
    error: str = ""


class WebhookImage(_Part):
    """One container's image."""

    container: str
    init: bool
    name: str
    """As the deployment names it."""
    digest: str | None
    """Digest of the platform manifest: what runs. Null when the name could not be resolved."""
    platform: str | None
    outcome: Outcome
    error: str
    """Why there is no digest."""
    counts: Mapping[Severity, int]
    """Exact numbers of findings."""
    fixable: int
    is_covered: bool
    """Whether everything in the image was looked at; false when nobody looked. ``gaps`` has what was not."""
    report: str | None
    """Key of the merged report in ``reports``; null when nobody looked."""
    scanners: tuple[WebhookScanner, ...]
    """The first sixteen."""


class WebhookReason(_Part):
    """Why the verdict is what it is: ``container`` is null for a reason about the whole deployment."""

    container: str | None
    policy: str
    outcome: Outcome
    message: str
    findings: tuple[str, ...]
    """The first twenty ids it rests on."""
    findings_total: int
    """How many ids it rests on."""


class WebhookGap(_Part):
    """A part of an image that a scanner did not, or not wholly, look at."""

    digest: str
    scanner: str
    subject: str
    """Such as ``Debian:12``, ``PyPI`` or ``Go binaries``."""
    status: CoverageStatus
    detail: str


class WebhookFinding(_Part):
    """One vulnerability in one package of one image; of each list the first twenty."""

    id: str
    aliases: tuple[str, ...]
    severity: Severity
    package: str
    version: str
    purl: str
    fixed_versions: tuple[str, ...]
    title: str
    known_exploited: bool
    epss: float | None
    found_by: tuple[str, ...]
    digest: str
    """The image it is in."""
    is_new: bool
    """Whether the deployment's previous verdict did not have it."""


class WebhookParts(_Part):
    """A number for each list of the data."""

    images: int = 0
    reasons: int = 0
    gaps: int = 0
    findings: int = 0
    new_findings: int = 0
    tags: int = 0
    reports: int = 0
    report_findings: int = 0
    report_secrets: int = 0
    report_compliance: int = 0


class WebhookData(_Part):
    """A verdict, in the order of importance: what does not fit is left out from the end."""

    schema_version: Literal[1]
    verdict: str
    """Id of the assessment: ``scanguard explain`` takes it."""
    revision: int
    """Grows when a late report made scanguard judge again: keep the highest."""
    decided_at: Instant
    outcome: Outcome
    previous: Outcome | None
    """The deployment's outcome before this verdict."""
    chain: str
    detail: Literal["summary", "full"]
    deployment: WebhookDeployment
    counts: Mapping[Severity, int]
    """Exact numbers of findings over all images; the same report counts once."""
    fixable: int
    """How many of them have a fixed version."""
    total: WebhookParts
    """Exact length of each list."""
    omitted: WebhookParts
    """How many entries of each list are left out here."""
    truncated: bool
    """True when anything is left out, by ``max_bytes`` or by ``max_findings``."""
    images: tuple[WebhookImage, ...]
    """Worst outcome first."""
    reasons: tuple[WebhookReason, ...]
    """Those that made the verdict first."""
    gaps: tuple[WebhookGap, ...]
    """What was not looked at: finding nothing there means nothing."""
    findings: tuple[WebhookFinding, ...]
    """What reasons rest on first, then by severity."""
    new_findings: tuple[str, ...]
    """Ids that the deployment's previous verdict did not have."""
    reports: Mapping[str, MergedReport] = Field(default={})
    """Merged reports by ``images[].report``, where ``detail`` is ``full``."""


def data_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the data; fields that are not known here are allowed."""
    schema = WebhookData.model_json_schema(mode="serialization")
    _open(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": DATA_SCHEMA, **schema}


def _open(part: Any) -> None:  # noqa: ANN401  # any part of a JSON document
    """Receivers of version 1 stay right when a field is added: take out the models' own strictness."""
    for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _open(child)
    if isinstance(part, dict) and part.get("additionalProperties") is False:
        del part["additionalProperties"]
