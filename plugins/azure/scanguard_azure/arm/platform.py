"""The platform ``azure``: reads what a container group, a container app or a job runs now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from scanguard import http
from scanguard.errors import PlatformError, PlatformForbiddenError
from scanguard.hooks import PluginContext
from scanguard.model.deployment import Deployment
from scanguard_azure.arm import roles
from scanguard_azure.arm.client import ArmClient, Question
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.ids import Kind, ResourceId, parse_id
from scanguard_azure.arm.mapping import Object, deployment

DESCRIBE_TIMEOUT_S: Final = 50.0
MAX_PAGES: Final = 20
MAX_ITEMS: Final = 1000
"""Revisions, or executions, of one workload; Azure keeps a hundred."""
CHECKED: Final = 5
"""Subscriptions that the doctor reads."""
MAX_SKEW_S: Final = 240.0
"""Azure's tokens hold from five minutes before they are given."""
_ENDED: Final = frozenset({"succeeded", "failed", "stopped", "degraded"})
"""States of an execution that runs no more."""


class AzurePlatform:
    """Describes workloads by their resource ids."""

    def __init__(self, config: AzureConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._arm = ArmClient(config, context)

    async def describe(self, resource_id: str) -> Deployment | None:
        """What the resource runs now; None when it is gone. Raises PlatformError and its kinds."""
        resource = parse_id(resource_id)
        async with http.deadline(DESCRIBE_TIMEOUT_S, lambda: _late(resource)):
            answer = await self._arm.ask(self._question(resource))
            if answer is None:
                return None
            more = await self._more(resource)
        return deployment(resource, answer.document, more, self._context.clock.now())

    async def check(self) -> None:
        """Whether a token can be had, subscriptions can be read, and the clock is right. Raises PlatformError."""
        await self._arm.token()
        for subscription in self._config.listed[:CHECKED]:
            await self._check_subscription(subscription)

    async def _check_subscription(self, subscription: str) -> None:
        path = f"/subscriptions/{subscription}"
        version = self._config.api_versions.subscriptions
        question = Question(path, f"the subscription {subscription}", roles.READ_SUBSCRIPTION, path, version)
        answer = await self._arm.ask(question)
        if answer is None:
            raise PlatformForbiddenError(
                f"the subscription {subscription} is not there, or not for this identity", target=path
            )
        skew_s = _skew_s(answer.headers.get("Date", ""), self._context.clock.now())
        if skew_s > MAX_SKEW_S:
            raise PlatformError(f"the clock here and Azure's are {skew_s:.0f} s apart: set the clock")

    async def aclose(self) -> None:
        """Close connections."""
        await self._arm.aclose()

    def _question(self, resource: ResourceId) -> Question:
        version = self._config.api_versions.of(resource.kind)
        return Question(resource.path, resource.text, roles.READ[resource.kind], _scope(resource), version)

    async def _more(self, resource: ResourceId) -> Sequence[tuple[str, Object]]:
        """Templates that run beside the latest one."""
        match resource.kind:
            case Kind.CONTAINER_APP:
                return await self._revisions(resource)
            case Kind.CONTAINER_APP_JOB if self._config.job_executions:
                return await self._executions(resource)
            case _:
                return ()

    async def _revisions(self, resource: ResourceId) -> list[tuple[str, Object]]:
        """Templates of all active revisions: in `Multiple` mode, and while one replaces another, several run."""
        found = []
        async for name, properties in self._items(resource, "revisions", roles.READ_REVISIONS):
            if properties.get("active") is not False:
                found.append((name, _inner(properties, "template")))
        return found

    async def _executions(self, resource: ResourceId) -> list[tuple[str, Object]]:
        """Templates of executions that have not ended; a missing permission is said, and hides no more than these."""
        found = []
        try:
            async for name, properties in self._items(resource, "executions", roles.READ_EXECUTIONS):
                if str(properties.get("status")).lower() not in _ENDED and _inner(properties, "template"):
                    found.append((name, _inner(properties, "template")))
        except PlatformForbiddenError as exc:
            self._context.log.warning("executions are not looked at: %s", exc.message)
        return found

    async def _items(self, resource: ResourceId, what: str, action: str) -> AsyncIterator[tuple[str, Object]]:
        """Name and properties of each item below a resource, page by page."""
        about, scope = f"{what} of {resource.text}", _scope(resource)
        version = self._config.api_versions.of(resource.kind)
        question = Question(f"{resource.path}/{what}", about, action, scope, version)
        count = 0
        for _ in range(MAX_PAGES):
            answer = await self._arm.ask(question)
            if answer is None:
                raise PlatformError(f"{resource.text} went away while its {what} were read", target=resource.text)
            listed = answer.document.get("value")
            if not isinstance(listed, list):
                raise PlatformError(f"the {about} are no list", target=resource.text)
            if (count := count + len(listed)) > MAX_ITEMS:
                raise PlatformError(f"the {about} are more than {MAX_ITEMS:,}", target=resource.text)
            for item in listed:
                document = item if isinstance(item, dict) else {}
                yield _name(document.get("name")), _inner(document, "properties")
            if not (link := answer.document.get("nextLink")):
                return
            question = Question(self._arm.followed(link, about), about, action, scope)
        raise PlatformError(f"the {about} do not end after {MAX_PAGES} pages", target=resource.text)


def _inner(parent: Object, key: str) -> Object:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _name(value: JsonValue) -> str:
    return quote(value, safe="-")[:128] if isinstance(value, str) else "?"


def _skew_s(date: str, now: datetime) -> float:
    """Seconds between a ``Date`` header and our clock; 0 when it says nothing readable."""
    try:
        there = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return abs(((there if there.tzinfo else there.replace(tzinfo=UTC)) - now).total_seconds())


def _scope(resource: ResourceId) -> str:
    return f"/subscriptions/{resource.subscription}"


def _late(resource: ResourceId) -> PlatformError:
    return PlatformError(f"{resource.text} was not read within {DESCRIBE_TIMEOUT_S:g} s", target=resource.text)
