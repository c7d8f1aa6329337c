"""``/api/v1/dead-letters``: what was given up, why, and what to do; and taking it up again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, ValidationError
from starlette.responses import Response

from scanguard.app.dead_letters import shown
from scanguard.engine.dead import DeadKind
from scanguard.errors import ConfigError, PluginError
from scanguard.model.base import Model
from scanguard.render.dead_letters import letters_json
from scanguard.render.json_text import JSON_SCHEMA_VERSION
from scanguard.server.body import check_type, read_body
from scanguard.server.problems import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from scanguard.app import App
    from scanguard.engine.dead import DeadLetter
    from scanguard.server.door import Door
    from scanguard.settings.server import ServerSettings

MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 50
MAX_REPLAYED: Final = 100
"""Letters taken up by one request, so that it ends in time."""


class LetterView(Model):
    """A dead letter and its remedy."""

    kind: DeadKind
    id: str
    assessment: str = Field(description="The assessment concerned; empty for a scan, which belongs to many.")
    subject: str = Field(description="The resource, the image or the destination.")
    instance: str = Field(description="The scanner, sink or notifier, if one is concerned.")
    error: str
    error_kind: str
    attempts: int
    died_at: datetime
    remedy: str


class LetterViews(Model):
    """Dead letters, newest first."""

    schema_version: Literal[1] = JSON_SCHEMA_VERSION
    dead_letters: tuple[LetterView, ...]


class ReplayRequest(Model):
    """Which letters to take up again: these, or without ids the newest, of one kind or of all."""

    ids: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] = Field(default=(), max_length=MAX_REPLAYED)
    kind: DeadKind | None = None
    limit: int = Field(default=MAX_REPLAYED, ge=1, le=MAX_REPLAYED)


class Replayed(Model):
    """How many letters were taken up again; ask again while ``left`` says that there are more."""

    schema_version: Literal[1] = JSON_SCHEMA_VERSION
    replayed: int
    left: bool


@dataclass(frozen=True, slots=True)
class DeadLettersApi:
    """Reads and replays dead letters; dropping is left to the command line."""

    app: App
    settings: ServerSettings
    door: Door

    async def list_letters(self, request: Request) -> Response:
        """The newest letters, of one kind or of all."""
        async with self.door.opened(request, "read"):
            kind, limit = _asked(dict(request.query_params))
            async with self.door.store():
                letters = await self.app.dead_letters.all(kind, limit=limit)
            return _json(letters_json([shown(letter) for letter in letters]))

    async def one_letter(self, request: Request) -> Response:
        """One letter, by its id."""
        async with self.door.opened(request, "read"), self.door.store():
            id: str = request.path_params["id"]
            found = [letter for letter in await self.app.dead_letters.matching(id) if letter.id == id]
            if not found:
                raise RequestRefusedError(404, "not-found", "there is no dead letter with this id")
            return _json(letters_json([shown(found[0])]))

    async def replay(self, request: Request) -> Response:
        """Take letters up again, each from its start; the work itself goes the way of all work."""
        async with self.door.opened(request, "replay"):
            check_type(request)
            body = await read_body(request, self.settings.max_body_bytes, self.settings.body_timeout_s)
            asked = _replay_request(body)
            async with self.door.store():
                letters, left = await self._chosen(asked)
                try:
                    await self.app.dead_letters.replay(letters)
                except (ConfigError, PluginError) as exc:
                    raise RequestRefusedError(409, "not-configured", exc.message) from exc
            return _json(Replayed(replayed=len(letters), left=left).model_dump_json())

    async def _chosen(self, asked: ReplayRequest) -> tuple[Sequence[DeadLetter], bool]:
        letters = await self.app.dead_letters.all(asked.kind)
        if not asked.ids:
            return letters[: asked.limit], len(letters) > asked.limit
        found = [letter for letter in letters if letter.id in asked.ids]
        missing = set(asked.ids) - {letter.id for letter in found}
        if missing:
            raise RequestRefusedError(404, "not-found", f"{len(missing)} of these ids are no dead letter's")
        return found, False


def _replay_request(body: bytes) -> ReplayRequest:
    try:
        return ReplayRequest.model_validate_json(body or b"{}", strict=False)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])[:60]
        text = f"the body is not what is asked for: {ascii(where)[1:-1]}: {fault['msg'][:200]}"
        raise RequestRefusedError(400, "unreadable", text) from exc


def _asked(given: dict[str, str]) -> tuple[DeadKind | None, int]:
    unknown = sorted(given.keys() - {"kind", "limit"})
    if unknown:
        raise RequestRefusedError(400, "parameter", f"there is no parameter {ascii(unknown[0])[:100]}: kind, limit")
    try:
        kind = DeadKind(given["kind"]) if "kind" in given else None
    except ValueError:
        kinds = ", ".join(DeadKind)
        raise RequestRefusedError(400, "parameter", f"kind must be one of {kinds}") from None
    text = given.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LIMIT:
        raise RequestRefusedError(400, "parameter", f"limit must be a number from 1 to {MAX_LIMIT:,}")
    return kind, int(text)


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
