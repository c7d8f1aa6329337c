"""``/api/v1``: what ``scanguard results`` and ``scanguard explain`` tell, in the same JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from scanguard.app.stored import deliveries_of, delivery_json, page, still_there
from scanguard.render.json_text import to_json, verdicts_json
from scanguard.server.openapi import document
from scanguard.server.problems import RequestRefusedError
from scanguard.server.verdict_query import read_query, write_cursor

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanguard.app import App
    from scanguard.model.merged import MergedReport
    from scanguard.model.verdict import Verdict
    from scanguard.server.door import Door

MAX_ID: Final = 128


@dataclass(frozen=True, slots=True)
class VerdictsApi:
    """Reads stored verdicts."""

    app: App
    door: Door

    async def list_verdicts(self, request: Request) -> Response:
        """A page of verdicts, newest first; with ``vulnerability`` their reports beside them."""
        async with self.door.opened(request, "read"):
            backend = self.app.backend
            query, place = read_query(request.query_params.multi_items(), backend.clock.now())
            async with self.door.store():
                found = await page(backend, query, place)
                verdicts = still_there(found.verdicts) if query.vulnerability else found.verdicts
                reports: dict[str, MergedReport] = {}
                for verdict in verdicts if query.vulnerability else ():
                    reports.update(await self.app.reports(verdict))
            return _json(verdicts_json(verdicts, reports, next_cursor=write_cursor(found.place)))

    async def one_verdict(self, request: Request) -> Response:
        """A verdict with its reports."""
        async with self.door.opened(request, "read"), self.door.store():
            verdict = await self._verdict(request)
            return _json(verdicts_json([verdict], await self.app.reports(verdict)))

    async def explanation(self, request: Request) -> Response:
        """A verdict with its reports, and what became of each delivery."""
        async with self.door.opened(request, "read"), self.door.store():
            verdict = await self._verdict(request)
            items = await deliveries_of(self.app.backend, verdict.id)
            told = [delivery_json(item) for item in items]
            return _json(verdicts_json([verdict], await self.app.reports(verdict), deliveries=told))

    async def openapi(self, request: Request) -> Response:
        """The description of all this."""
        async with self.door.opened(request, "read"):
            return _json(to_json(document()))

    async def _verdict(self, request: Request) -> Verdict:
        id: str = request.path_params["id"]
        verdict = await self.app.verdict(id) if len(id) <= MAX_ID else None
        if verdict is not None:
            return verdict
        why = (await self.app.dead([id])).get(id) if len(id) <= MAX_ID else None
        if why is not None:
            raise RequestRefusedError(404, "given-up", f"there is no verdict; the assessment was given up: {why}")
        if len(id) <= MAX_ID and id in await self.app.closed([id]):
            raise RequestRefusedError(404, "closed", "there is no verdict; closed: the deployment is gone")
        raise RequestRefusedError(404, "not-found", "there is no verdict with this id, or not yet")


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
