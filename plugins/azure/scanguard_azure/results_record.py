"""One result as it is kept: a document in a blob, and a row of columns. Pure: no storage is touched here.

The columns of the original table, and those added to it, are listed in docs/azure/results.md.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote, unquote_to_bytes

from scanguard import ImageVerdict, Notice, Outcome, Severity
from scanguard.model.report import count_severities
from scanguard.render.stored import StoredResult, results_of
from scanguard_azure.results_keys import blob_name, day_key, full_name, image_key, recent_key, row_key

Column = str | int | datetime
METADATA_BYTES: Final = 8_000
"""Names and values of a blob's metadata together; the service takes 8 KiB."""
TEXT_UNITS: Final = 16_000
"""UTF-16 units of one column; the service takes 32 Ki of them (64 KiB), and 1 MiB in a row."""
_INT32_MAX: Final = 2**31 - 1
_CONTAINER_TYPES: Final = {"container_group": "ACI", "container_app": "ACA", "container_app_job": "ACA"}
_OTHER: Final = "OTHER"
_CUT: Final = "truncated"
_READABLE: Final = "/:@+=,"
"""What metadata shows as it is, besides letters, digits and ``_ . - ~``."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of one image of a verdict.

    Attributes:
        revision: Of the verdict: a record never replaces one of a higher revision.
        blob: Name of the document.
        document: Its bytes.
        metadata: Of the blob; ASCII.
        key: Partition and row key, the same for every revision.
        recent: Partition and row key among the results of its day, another one for each revision.
        columns: Of both rows.
    """

    revision: int
    blob: str
    document: bytes
    metadata: Mapping[str, str]
    key: tuple[str, str]
    recent: tuple[str, str]
    columns: Mapping[str, Column]


def records_of(notice: Notice, *, compress: bool = False) -> Iterator[Record]:
    """One record for each image of a verdict; one for the deployment itself when it names no image."""
    for result in results_of(notice, full_name):
        images = [image for image in notice.verdict.images if full_name(image.name) == result.image]
        yield _record(result, images, compress=compress)


def _record(result: StoredResult, images: Sequence[ImageVerdict], *, compress: bool) -> Record:
    verdict = result.verdict
    seen_at = verdict.deployment.seen_at
    blob = blob_name(result.image, seen_at, verdict.id, is_error=result.report is None)
    recent = (
        day_key(verdict.decided_at),
        recent_key(verdict.decided_at, verdict.id, verdict.revision, result.image),
    )
    document = result.model_dump_json(indent=2).encode()
    return Record(
        revision=verdict.revision,
        blob=blob,
        document=gzip.compress(document, mtime=0) if compress else document,
        metadata=_metadata(result),
        key=(image_key(result.image), row_key(seen_at, verdict.id)),
        recent=recent,
        columns=fitted({**_columns(result, images), "BlobPath": blob}),
    )


def container_type(kind: str) -> str:
    """``ACI`` for container groups, ``ACA`` for container apps and their jobs, else ``OTHER``."""
    return _CONTAINER_TYPES.get(kind, _OTHER)


def _metadata(result: StoredResult) -> dict[str, str]:
    """Percent-encoded, because headers hold ASCII only; an image too long for its metadata is cut there."""
    verdict = result.verdict
    words = {
        "scan_id": verdict.id,
        "timestamp": verdict.decided_at.isoformat(),
        "container_type": container_type(verdict.deployment.kind),
        "revision": str(verdict.revision),
    }
    encoded = {name: quote(word, safe=_READABLE) for name, word in words.items()}
    room = METADATA_BYTES - sum(len(name) + len(word) for name, word in encoded.items()) - len("image" + _CUT + "image")
    encoded["image"] = _encoded_within(result.image, room)
    is_cut = unquote(encoded["image"]) != result.image
    return {**encoded, _CUT: "image"} if is_cut else encoded


def _encoded_within(text: str, room: int) -> str:
    """Percent-encoded, and cut between characters, never inside one."""
    encoded = quote(text[:room], safe=_READABLE)[:room]
    whole = unquote_to_bytes(encoded.rsplit("%", 1)[0] if "%" in encoded[-2:] else encoded)
    return quote(whole.decode(errors="ignore"), safe=_READABLE)


def _columns(result: StoredResult, images: Sequence[ImageVerdict]) -> dict[str, Column]:
    verdict = result.verdict
    outcome = Outcome.worst(image.outcome for image in images) if images else verdict.outcome
    columns: dict[str, Column] = {
        "SchemaVersion": 1,
        "Image": result.image,
        "ScanId": verdict.id,
        "Revision": verdict.revision,
        "ScannedAt": verdict.decided_at,
        "Status": "FAILED" if outcome is Outcome.UNKNOWN else "COMPLETED",
        "Verdict": outcome.value,
        "DeploymentVerdict": verdict.outcome.value,
        "ContainerType": container_type(verdict.deployment.kind),
        "Kind": verdict.deployment.kind,
        "ResourceId": verdict.deployment.resource_id,
        "Subscription": verdict.deployment.subscription,
        "Chain": verdict.chain.name,
        "Digest": next((image.image.digest for image in images if image.image), ""),
        "Scanners": ",".join(_scanners(images)),
    }
    return columns | _counts(result)


def _scanners(images: Iterable[ImageVerdict]) -> Iterator[str]:
    """``osv=done``, ``qualys-us=failed``: each scanner once, with where it stands."""
    yield from dict.fromkeys(f"{one.instance}={one.status.value}" for image in images for one in image.scanners)


def _counts(result: StoredResult) -> dict[str, Column]:
    """Numbers of findings. None at all where nobody reported: nothing found and not looked at differ."""
    if result.report is None:
        return {}
    counts = count_severities(one.finding for one in result.report.findings)
    checks = [check.passed for check in result.report.compliance]
    numbers = {f"Vuln{severity.value.title()}": counts[severity] for severity in Severity}
    numbers |= {
        "VulnTotal": sum(counts.values()),
        "CompliancePassed": checks.count(True),
        "ComplianceFailed": checks.count(False),
    }
    return {name: min(number, _INT32_MAX) for name, number in numbers.items()}


def fitted(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Cut texts that are too long for a column; ``Truncated`` names those columns, where there are any."""
    fitting = {name: _cut(value) if isinstance(value, str) else value for name, value in columns.items()}
    cut = ",".join(name for name, value in columns.items() if fitting[name] != value)
    return {**fitting, "Truncated": cut} if cut else fitting


def _cut(text: str) -> str:
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * TEXT_UNITS:
        return text
    return units[: 2 * TEXT_UNITS].decode("utf-16-le", "ignore")
