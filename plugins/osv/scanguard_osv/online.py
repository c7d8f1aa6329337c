"""Looks packages up at osv.dev, or a service that speaks its protocol.

Documented at https://google.github.io/osv.dev/post-v1-querybatch/ and …/get-v1-vulns/: at most 1000
queries a batch, answers in the order of the queries, ids and modification dates only, one page token a query.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from scanguard.errors import ScannerOutputError, ScanTimeoutError
from scanguard.http import HttpFactory
from scanguard_osv.advisory import ID_PATTERN, Advisory, UnreadableAdvisoryError, parse_advisory
from scanguard_osv.cache import AdvisoryCache
from scanguard_osv.config import OsvConfig
from scanguard_osv.ecosystem import PYPI, lookups_of
from scanguard_osv.matching import Match, entries_about, match
from scanguard_osv.packages import InstalledPackage
from scanguard_osv.source import Answer, Groups, Held
from scanguard_osv.transport import OsvTransport

MAX_QUERIES_A_BATCH = 1000
_MAX_PAGES = 200
_FETCHES_AT_ONCE = 8
_CANARIES = ("openssl", "curl", "busybox", "zlib")
"""Source packages that every distribution has had advisories for: when the service knows of none of them, it
does not hold the release, and an empty answer about other packages says nothing."""


class _Brief(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    id: str
    modified: str = ""


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    vulns: tuple[_Brief, ...] = ()
    next_page_token: str = ""


class _Batch(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    results: tuple[_Result | None, ...]


@dataclass(frozen=True, slots=True)
class _Query:
    """What is asked: a source package of an ecosystem, in a version or (empty) in any."""

    ecosystem: str
    name: str
    version: str = ""

    def body(self, page_token: str) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = {"package": {"ecosystem": self.ecosystem, "name": self.name}}
        if self.version:
            body["version"] = self.version
        if page_token:
            body["page_token"] = page_token
        return body


class OnlineSource:
    """The service. Its answer decides which advisories apply; details are fetched once and cached."""

    def __init__(self, http: HttpFactory, config: OsvConfig, cache: AdvisoryCache) -> None:
        self.name = config.url.partition("://")[2]
        self._http = http
        self._config = config
        self._cache = cache

    async def look_up(self, groups: Groups) -> Answer:
        """Ask for every package; all calls together keep to ``lookup_timeout_s``."""
        try:
            async with asyncio.timeout(self._config.lookup_timeout_s), self._transport() as transport:
                return await self._look_up(transport, groups)
        except TimeoutError as exc:
            raise ScanTimeoutError(
                f"{self.name} did not answer everything within {self._config.lookup_timeout_s:.0f} s",
                plugin="osv",
                target=self._config.url,
            ) from exc

    async def check(self) -> None:
        """Ask one small question and read the answer; raises ScanError when that fails."""
        async with self._transport() as transport:
            package: dict[str, JsonValue] = {"ecosystem": PYPI, "name": "pip"}
            data = await transport.call("POST", "/v1/querybatch", {"queries": [{"package": package, "version": "0.1"}]})
        try:
            _Batch.model_validate_json(data or b"")
        except ValidationError as exc:
            raise ScannerOutputError(
                f"{self.name} answers, but not as an OSV service does", plugin="osv", target=self._config.url
            ) from exc

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[OsvTransport]:
        transport = OsvTransport(
            self._http,
            self._config.url,
            timeout_s=self._config.request_timeout_s,
            max_answer_bytes=self._config.max_answer_bytes,
        )
        try:
            yield transport
        finally:
            await transport.aclose()

    async def _look_up(self, transport: OsvTransport, groups: Groups) -> Answer:
        canaries = [_Query(one, name) for e in groups if e != PYPI for one in lookups_of(e) for name in _CANARIES]
        queries = {
            _Query(lookup, package.source_name, package.source_version)
            for ecosystem, packages in groups.items()
            for package in packages
            for lookup in lookups_of(ecosystem)
        }
        sightings = await _ask(transport, canaries, follow_pages=False)
        answers = await _ask(transport, sorted(queries, key=lambda one: (one.ecosystem, one.name, one.version)))
        advisories = await self._details(transport, {brief.id: brief for found in answers.values() for brief in found})
        answered = {query.ecosystem for query, found in (*sightings.items(), *answers.items()) if found}
        held = {e: Held(is_held=e == PYPI or any(lookup in answered for lookup in lookups_of(e))) for e in groups}
        matches = tuple(
            one
            for ecosystem, packages in groups.items()
            for package in packages
            for one in _matches(package, ecosystem, answers, advisories)
        )
        return Answer(matches, (), held)

    async def _details(self, transport: OsvTransport, briefs: Mapping[str, _Brief]) -> dict[str, Advisory]:
        known = await asyncio.to_thread(self._cache.get, [(brief.id, brief.modified) for brief in briefs.values()])
        slots = asyncio.Semaphore(_FETCHES_AT_ONCE)

        async def fetch(brief: _Brief) -> tuple[str, Advisory] | None:
            async with slots:
                advisory = await _fetch(transport, brief)
            return (brief.modified, advisory) if advisory else None

        missing = [brief for brief in briefs.values() if brief.id not in known]
        try:
            async with asyncio.TaskGroup() as tasks:
                fetching = [tasks.create_task(fetch(brief)) for brief in missing]
        except ExceptionGroup as group:  # not except*: before Python 3.11.4 it wraps what is raised in it
            raise _first(group) from group
        fetched = [found for found in (task.result() for task in fetching) if found]
        await asyncio.to_thread(self._cache.put, fetched)
        return {**known, **{advisory.id: advisory for _, advisory in fetched}}


async def _ask(
    transport: OsvTransport, queries: Sequence[_Query], *, follow_pages: bool = True
) -> dict[_Query, list[_Brief]]:
    """Ask everything, a batch at a time, each query page by page."""
    answers: dict[_Query, list[_Brief]] = {query: [] for query in queries}
    waiting: list[tuple[_Query, str, int]] = [(query, "", 1) for query in answers]
    while waiting:
        batch, waiting = waiting[:MAX_QUERIES_A_BATCH], waiting[MAX_QUERIES_A_BATCH:]
        results = await _ask_batch(transport, [query.body(token) for query, token, _ in batch])
        for (query, token, page), result in zip(batch, results, strict=True):
            answers[query].extend(result.vulns)
            if not result.next_page_token or not follow_pages:
                continue
            if result.next_page_token == token or page >= _MAX_PAGES:
                raise _garbled(f"pages of {query.ecosystem} {query.name} never end")
            waiting.append((query, result.next_page_token, page + 1))
    return answers


async def _ask_batch(transport: OsvTransport, bodies: Sequence[dict[str, JsonValue]]) -> Sequence[_Result]:
    data = await transport.call("POST", "/v1/querybatch", {"queries": list(bodies)})
    try:
        results = _Batch.model_validate_json(data or b"").results
    except ValidationError as exc:
        raise _garbled("a batch without readable results") from exc
    if len(results) != len(bodies):
        raise _garbled(f"{len(results)} results for {len(bodies)} queries")
    return [result or _Result() for result in results]


async def _fetch(transport: OsvTransport, brief: _Brief) -> Advisory | None:
    """An advisory's details; None when the service names an id that it does not (or no longer) have."""
    if not re.fullmatch(ID_PATTERN, brief.id):
        raise _garbled(f"{brief.id[:80]!r} as an advisory's id")
    data = await transport.call("GET", f"/v1/vulns/{quote(brief.id, safe='')}", missing_ok=True)
    if data is None:
        return None
    try:
        advisory = parse_advisory(data)
    except UnreadableAdvisoryError as exc:
        raise _garbled(f"an unreadable advisory {brief.id}: {exc}") from exc
    if advisory.id != brief.id:
        raise _garbled(f"advisory {advisory.id[:80]!r} where {brief.id} was asked for")
    return advisory


def _matches(
    package: InstalledPackage,
    ecosystem: str,
    answers: Mapping[_Query, Sequence[_Brief]],
    advisories: Mapping[str, Advisory],
) -> Iterable[Match]:
    """What the service says of one package, taken at its word; our own evaluation only adds the reason.

    An answer about Ubuntu Pro counts only for an advisory that has no entry for the release itself.
    """
    seen: set[str] = set()
    for number, lookup in enumerate(lookups_of(ecosystem)):
        for brief in answers[_Query(lookup, package.source_name, package.source_version)]:
            advisory = advisories.get(brief.id) or _unknown(brief)
            own = match(package, ecosystem, advisory)
            is_other_release = (
                number > 0 and not isinstance(own, Match) and _speaks_of_release(package, ecosystem, advisory)
            )
            if brief.id in seen or advisory.withdrawn is not None or is_other_release:
                continue
            seen.add(brief.id)
            trusted = Match(package, ecosystem, advisory, entries_about(package, ecosystem, advisory), "osv.dev")
            yield own if isinstance(own, Match) else trusted


def _speaks_of_release(package: InstalledPackage, ecosystem: str, advisory: Advisory) -> bool:
    entries = entries_about(package, ecosystem, advisory)
    return any(entry.package is not None and entry.package.ecosystem == ecosystem for entry in entries)


def _unknown(brief: _Brief) -> Advisory:
    """An advisory of which only the id is known: still a finding, of unknown severity."""
    return Advisory.model_validate({"id": brief.id, "modified": brief.modified or "1970-01-01T00:00:00Z"})


def _garbled(what: str) -> ScannerOutputError:
    return ScannerOutputError(f"the OSV service answered {what}", plugin="osv")


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
