"""Finding stored verdicts by what people type: an id's beginning, a resource, an image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from scanguard.app.stored import by_image
from scanguard.ports import RecordQuery
from scanguard.render.text import listing, neutralise

if TYPE_CHECKING:
    from scanguard.cli.application import Application
    from scanguard.model.verdict import Verdict

LEAST_PREFIX: Final = 4
_ID: Final = re.compile(rf"[0-9A-Za-z_-]{{{LEAST_PREFIX},64}}")
_AMBIGUOUS_SHOWN: Final = 5


async def find_one(app: Application, text: str) -> Verdict:
    """The verdict with this id or unique beginning of one, else a resource's or an image's newest.

    Raises click's UsageError when nothing matches or several ids do.
    """
    if _ID.fullmatch(text) and (verdict := await _by_id(app, text)):
        return verdict
    if found := await app.backend.records.query(RecordQuery(resource=text, limit=1)):
        return found[0]
    if found := await by_image(app.backend, RecordQuery(image=text, limit=1)):
        return found[0]
    why = (await app.dead([text])).get(text)
    if why:
        raise click.UsageError(f"{text} has no verdict; it was given up: {neutralise(why)}")
    if text in await app.closed([text]):
        raise click.UsageError(f"{text} has no verdict; closed: the deployment is gone")
    raise click.UsageError(
        f"nothing stored matches {neutralise(text)!r}: give an assessment's id (or its first {LEAST_PREFIX} characters "
        "or more), a resource id, or an image. `scanguard results` lists what there is."
    )


async def _by_id(app: Application, text: str) -> Verdict | None:
    found = await app.backend.records.query(RecordQuery(id=text, limit=_AMBIGUOUS_SHOWN + 1))
    exact = next((verdict for verdict in found if verdict.id == text), None)
    if exact or len(found) <= 1:
        return exact or (found[0] if found else None)
    ids = listing([verdict.id for verdict in found], most=_AMBIGUOUS_SHOWN)
    raise click.UsageError(f"several ids begin with {text}: {ids}")
