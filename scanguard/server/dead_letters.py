"""``/api/v1/dead-letters``: what was given up, why, and what to do; read only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field
from starlette.responses import Response

from scanguard.app.dead_letters import shown
from scanguard.engine.dead import DeadKind
from scanguard.model.base import Model
from scanguard.render.dead_letters import letters_json
from scanguard.render.json_text import JSON_SCHEMA_VERSION
from scanguard.server.problems import RequestRefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanguard.app import App
    from scanguard.server.door import Door

MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 50


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


@dataclass(frozen=True, slots=True)
class DeadLettersApi:
    """Reads dead letters; replaying and dropping is left to the command line."""

    app: App
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
