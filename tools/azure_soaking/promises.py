"""The promises of every soak, and those of Azure's parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient
from soaking.evidence import Evidence
from soaking.promises import PROMISES, Promise, the_database_is_whole

from azure_soaking.world import RESULTS


@dataclass(frozen=True)
class Results:
    """What storage holds for others: rows of the results' table, and messages that a host put aside."""

    rows: Sequence[Mapping[str, Any]]
    aside: Mapping[str, int]


async def results_of(connection: str) -> Results:
    """Read it; nobody works any more."""
    async with TableServiceClient.from_connection_string(connection) as tables:
        rows = [dict(row) async for row in tables.get_table_client(RESULTS).list_entities()]
    aside = {}
    async with QueueServiceClient.from_connection_string(connection) as queues:
        async for queue in queues.list_queues():
            name = str(queue.name)
            if name.endswith(("-poison", "unreadable")):
                found = await queues.get_queue_client(name).get_queue_properties()
                aside[name] = found.approximate_message_count or 0
    return Results(rows, aside)


def check_azure(evidence: Evidence, results: Results) -> Sequence[Promise]:
    """Ask every question; there is no database whose file could be damaged."""
    shared = {name: ask for name, ask in PROMISES.items() if ask is not the_database_is_whole}
    return [
        *(Promise(name, [*ask(evidence)]) for name, ask in shared.items()),
        Promise("rows tell every verdict", [*rows_tell_every_verdict(evidence, results)]),
        Promise("nothing is put aside", [*nothing_is_put_aside(results)]),
    ]


def rows_tell_every_verdict(evidence: Evidence, results: Results) -> Iterator[str]:
    """One row for each image and deployment, of its last verdict."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in results.rows:
        found[str(row["ScanId"]), str(row["Digest"])].append(str(row["Verdict"]))
    for id, verdict in evidence.verdicts.items():
        for image in verdict.images:
            digest = image.image.digest if image.image else ""
            said = found.pop((id, digest), [])
            if said != [image.outcome.value]:
                yield f"{verdict.deployment.resource_id}: {digest[:19]}… is {image.outcome}, and rows say {said}"
    yield from (f"a row tells of {id}, which has no such image" for id, _ in found)


def nothing_is_put_aside(results: Results) -> Iterator[str]:
    """No message ended in a poison queue, or among those that nobody can read."""
    yield from (f"{name} holds {count} messages" for name, count in results.aside.items() if count)
