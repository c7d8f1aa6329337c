"""The inventory: a sweep that lists every workload, so that each is looked at again though no event came.

It serves three ends: what ran before scanguard did (backfill), what an event was lost of (reconcile), and tags that
mean another image by now (rescan). Each run makes a new observation of each workload; a page that is asked for twice
makes the same ones.

That nothing is listed may mean that nothing may be read. A subscription that nothing was listed of is therefore read
by itself, type by type, and the inventory of one that cannot be read fails, visibly, when everything else was handed
over. It then closes no deployment.
"""

from __future__ import annotations

import hashlib
from typing import Final

from scanguard.errors import PlatformError, PlatformForbiddenError
from scanguard.hooks import PluginContext, SweepPage
from scanguard.model.deployment import Event
from scanguard_azure.arm.client import ArmClient, ProviderNotRegisteredError, Question
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.cursor import GROUP, Cursor
from scanguard_azure.arm.graph import graph_page
from scanguard_azure.arm.ids import Kind, ResourceId
from scanguard_azure.arm.roles import READ, READ_SUBSCRIPTION

EVENT_TYPE: Final = "scanguard.inventory"
MAX_PAGES: Final = 20_000
VERIFIED_PER_PAGE: Final = 5
"""Subscriptions read by themselves in one page, with four requests each."""


class AzureInventory:
    """Lists the workloads of the configured subscriptions."""

    def __init__(self, config: AzureConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._subscriptions = config.listed
        self._arm = ArmClient(config, context)

    async def page(self, cursor: str) -> SweepPage:
        """List one page, or read a few subscriptions that nothing was listed of. Raises PlatformError."""
        at = Cursor.read(cursor, self._subscriptions, self._context.clock.now())
        if at.pages >= MAX_PAGES:
            raise PlatformError(f"the inventory does not end after {MAX_PAGES:,} pages", plugin="azure")
        return await (self._list(at) if at.phase == "list" else self._verify(at))

    async def aclose(self) -> None:
        """Close connections."""
        await self._arm.aclose()

    async def _list(self, at: Cursor) -> SweepPage:
        group = self._subscriptions[at.at : at.at + GROUP]
        now = self._context.clock.now()
        version = self._config.api_versions.resource_graph
        page = await graph_page(self._arm, group, at.skip, api_version=version, now=now)
        numbers = {name: at.at + number for number, name in enumerate(group)}
        changes: dict[str, object] = {
            "seen": at.marked([numbers[found.subscription.lower()] for found in page.found]),
            "problems": at.with_problems(*page.problems),
            "skip": page.skip,
        }
        if not page.skip:
            is_last = at.at + GROUP >= len(self._subscriptions)
            changes |= {"phase": "verify", "at": 0} if is_last else {"at": at.at + GROUP}
        return SweepPage(
            events=[_event(found, at) for found in page.found],
            listed=[found.text for found in page.found],
            cursor=at.after(**changes),
            not_before=page.not_before,
            done=len(page.found),
        )

    async def _verify(self, at: Cursor) -> SweepPage:
        silent = [number for number in range(at.at, len(self._subscriptions)) if not at.is_seen(number)]
        problems = [await self._problem(self._subscriptions[number]) for number in silent[:VERIFIED_PER_PAGE]]
        known = at.with_problems(*filter(None, problems))
        if len(silent) > VERIFIED_PER_PAGE:
            return SweepPage(cursor=at.after(at=silent[VERIFIED_PER_PAGE], problems=known))
        if known:
            raise PlatformForbiddenError("the inventory is not whole: " + "; ".join(known), plugin="azure")
        return SweepPage()

    async def _problem(self, subscription: str) -> str:
        """Why nothing was listed of a subscription; empty when there is nothing in it."""
        path = f"/subscriptions/{subscription}"
        versions = self._config.api_versions
        questions = [Question(path, path, READ_SUBSCRIPTION, path, versions.subscriptions)]
        for kind in Kind:
            listing = f"{path}/providers/{kind.type}"
            questions.append(Question(listing, f"{kind.type} in {path}", READ[kind], path, versions.of(kind)))
        return next(filter(None, [await self._problem_of(question) for question in questions]), "")

    async def _problem_of(self, question: Question) -> str:
        try:
            answer = await self._arm.ask(question)
        except ProviderNotRegisteredError:
            return ""
        except PlatformForbiddenError as exc:
            return exc.message
        if answer is None:
            return f"{question.what} is not there, or not for this identity"
        return (
            f"Resource Graph lists nothing of {question.what}, where something is"
            if answer.document.get("value")
            else ""
        )


def _event(found: ResourceId, at: Cursor) -> Event:
    """The observation of a workload by this run."""
    resource = hashlib.sha256(found.text.lower().encode()).hexdigest()
    return Event(
        id=f"inventory-{at.run:%Y%m%dT%H%M%S.%fZ}-{resource[:32]}",
        source=f"/subscriptions/{found.subscription}",
        type=EVENT_TYPE,
        operation="inventory",
        resource_id=found.text,
        time=at.run,
    )
