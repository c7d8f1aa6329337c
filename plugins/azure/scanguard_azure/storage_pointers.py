"""Where a verdict is found: rows that point to it by time, by resource, by image; and what each says of it.

Pointers are written before the verdict and removed after another took its place, so one may be stale: whoever follows
it checks the verdict itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from scanguard import ImageReference, ImageVerdict, InvalidReferenceError, RecordQuery, Verdict
from scanguard_azure.storage_bodies import MAX_TEXT, json_text
from scanguard_azure.storage_keys import ascending, descending, partition_key

NOBODY: Final = -1
"""The rank of an image without findings."""
_LAST_HOUR: Final = 9_999_999_999


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a row says of the verdict it points to; ``names`` is None when there were too many to keep."""

    id: str
    decided_at: datetime
    worst: int
    resource: str
    names: frozenset[str] | None

    def may_match(self, query: RecordQuery) -> bool:
        """False when the verdict need not be read to know that it does not match."""
        return (
            (query.since is None or self.decided_at >= query.since)
            and (query.severity is None or self.worst >= query.severity.rank)
            and (query.resource is None or self.resource == query.resource.lower())
            and (query.image is None or self.names is None or query.image in self.names)
        )


def pointers_to(verdict: Verdict) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows by their keys, which no other revision shares: a late writer of an old one spoils nothing."""
    names = json_text(sorted(set().union(*(names_of(image) for image in verdict.images))))
    said = {
        "Id": verdict.id,
        "Decided": verdict.decided_at.isoformat(),
        "Worst": max(map(worst_of, verdict.images), default=NOBODY),
        "Resource": verdict.deployment.resource_id.lower(),
        **({"Names": names} if len(names) <= MAX_TEXT else {}),
    }
    places = dict.fromkeys(_places(verdict))
    return {place: {"PartitionKey": place[0], "RowKey": place[1], **said} for place in places}


def _places(verdict: Verdict) -> Iterator[tuple[str, str]]:
    decided = descending(verdict.decided_at, verdict.id)
    yield by_hour(verdict.decided_at), decided
    observed = descending(verdict.deployment.seen_at, verdict.id)
    yield by_resource(verdict.deployment.resource_id), f"{observed}{ascending(verdict.decided_at)}"
    for image in verdict.images:
        for key in _keys_of(image):
            yield by_image(key), decided


def by_hour(moment: datetime) -> str:
    """The partition of an hour; later hours come first."""
    return partition_key("t", f"{_LAST_HOUR - int(moment.astimezone(UTC).timestamp()) // 3600:010d}")


def by_resource(resource: str) -> str:
    """The partition of a deployment's verdicts, the newest observation first."""
    return partition_key("r", resource.lower())


def by_image(key: str) -> str:
    """The partition of verdicts on an image, by repository, digest, or whatever it is called."""
    return partition_key("i", key)


def pointer_of(entity: Any) -> Pointer:  # noqa: ANN401  # TableEntity
    """Read a row."""
    names = entity.get("Names")
    return Pointer(
        entity["Id"],
        datetime.fromisoformat(entity["Decided"]),
        int(entity["Worst"]),
        entity["Resource"],
        None if names is None else frozenset(json.loads(names)),
    )


def names_of(image: ImageVerdict) -> set[str]:
    """What an image may be asked for by."""
    found = image.image
    if found is None:
        return {image.name}
    reference = str(found.reference) if found.reference else found.source
    return {image.name, reference, found.repository, found.digest}


def worst_of(image: ImageVerdict) -> int:
    """The rank of its worst finding."""
    return max((severity.rank for severity, number in image.counts.items() if number), default=NOBODY)


def _keys_of(image: ImageVerdict) -> set[str]:
    """Partitions in which an image is found; tags stand in the rows, so that a repository is one partition."""
    named = _repository(image.name)
    return {named} if image.image is None else {named, image.image.repository, image.image.digest}


def keys_for(text: str) -> list[str]:
    """Where to look for an image that is asked for by a text."""
    return sorted({text, _repository(text)})


def _repository(name: str) -> str:
    try:
        return ImageReference.parse(name).name
    except InvalidReferenceError:  # a digest alone, or a local locator
        return name


def matches(verdict: Verdict, query: RecordQuery) -> bool:
    """Whether the verdict itself has everything that is asked for, vulnerabilities and being the latest aside."""
    return (
        (query.id is None or verdict.id.startswith(query.id))
        and (query.since is None or verdict.decided_at >= query.since)
        and (query.resource is None or verdict.deployment.resource_id.lower() == query.resource.lower())
        and (query.image is None or any(query.image in names_of(image) for image in verdict.images))
        and (query.severity is None or any(worst_of(image) >= query.severity.rank for image in verdict.images))
    )
