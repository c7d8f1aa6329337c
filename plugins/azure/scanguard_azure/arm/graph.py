"""One page of Resource Graph: every workload of some subscriptions, by id.

Facts: https://learn.microsoft.com/en-us/azure/governance/resource-graph/concepts/guidance-for-throttled-requests. It
lists what the identity may read and says nothing of the rest, and is seconds to minutes behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue

from scanguard.errors import PlatformError
from scanguard_azure.arm.client import ArmAnswer, ArmClient, Question, resets_after_s
from scanguard_azure.arm.cursor import MAX_TOKEN
from scanguard_azure.arm.ids import Kind, ResourceId, parse_id

PATH: Final = "/providers/Microsoft.ResourceGraph/resources"
ROWS: Final = 1000
"""Most rows of a page."""
_RESERVE: Final = 2
"""Queries of the quota that are left for others."""
_TYPES: Final = ", ".join(f"'{kind.type.lower()}'" for kind in Kind)
QUERY: Final = f"resources | where type in~ ({_TYPES}) | project id, type | order by id asc"


@dataclass(frozen=True, slots=True)
class GraphPage:
    """What a page said.

    Attributes:
        found: The workloads.
        skip: The token of the next page; empty at the end.
        problems: Why it is not whole.
        not_before: When to ask again at the earliest; None for at once.
    """

    found: Sequence[ResourceId]
    skip: str
    problems: Sequence[str]
    not_before: datetime | None


async def graph_page(
    arm: ArmClient, subscriptions: Sequence[str], skip: str, *, api_version: str, now: datetime
) -> GraphPage:
    """Ask for one page. Raises PlatformError and its kinds."""
    options = {"resultFormat": "objectArray", "$top": ROWS, **({"$skipToken": skip} if skip else {})}
    question = Question(
        PATH,
        "the inventory",
        "Microsoft.ContainerInstance/containerGroups/read (and those of Microsoft.App)",
        "each subscription",
        api_version,
        {"subscriptions": list(subscriptions), "query": QUERY, "options": options},
    )
    answer = await arm.ask(question)
    if answer is None:
        raise PlatformError("Resource Graph is not there: check `cloud` and `api_versions.resource_graph`")
    return _page(answer, frozenset(subscriptions), skip, now)


def _page(answer: ArmAnswer, subscriptions: frozenset[str], skip: str, now: datetime) -> GraphPage:
    document = answer.document
    rows = document.get("data")
    if not isinstance(rows, list) or len(rows) > ROWS:
        raise PlatformError(f"Resource Graph answers without a list of at most {ROWS} rows")
    found = [resource for row in rows if (resource := _resource(row, subscriptions)) is not None]
    following = _following(document, skip)
    problems = []
    if len(found) < len(rows):
        problems.append(f"{len(rows) - len(found)} rows of Resource Graph are no workloads of these subscriptions")
    if str(document.get("resultTruncated")).lower() == "true" and not following:
        problems.append("Resource Graph cut its answer off")
    if answer.headers.get("x-ms-tenant-subscription-limit-hit", "").lower() == "true":
        problems.append("the identity sees more subscriptions than Resource Graph looks through")
    return GraphPage(found, following, problems, _not_before(answer.headers, now))


def _resource(row: JsonValue, subscriptions: frozenset[str]) -> ResourceId | None:
    text = row.get("id") if isinstance(row, dict) else None
    try:
        resource = parse_id(text) if isinstance(text, str) else None
    except PlatformError:
        return None
    return resource if resource and resource.subscription.lower() in subscriptions else None


def _following(document: Mapping[str, JsonValue], skip: str) -> str:
    token = document.get("$skipToken") or ""
    if not isinstance(token, str) or len(token) > MAX_TOKEN or (token and token == skip):
        raise PlatformError("Resource Graph answers with a token of the next page that cannot be right")
    return token


def _not_before(headers: Mapping[str, str], now: datetime) -> datetime | None:
    left = headers.get("x-ms-user-quota-remaining", "").strip()
    wait_s = resets_after_s(headers)
    if wait_s is None or not left.isdigit() or int(left[:9]) > _RESERVE:
        return None
    return now + timedelta(seconds=wait_s)
