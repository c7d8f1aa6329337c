"""A verdict in a few lines, for whoever watches a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scanguard.model.verdict import ImageVerdict, Reason, Verdict
from scanguard.render.document import Line, words
from scanguard.render.phrases import counts_line
from scanguard.render.text import count, listing, neutralise, short_id
from scanguard.render.verdict import deployment_kind

MAX_IMAGES: Final = 20
MAX_REASONS: Final = 5
_MAX_NAME: Final = 300
_MAX_MESSAGE: Final = 500


def render_notice(verdict: Verdict) -> str:
    """A few lines that end in a line break; nothing from outside can move the cursor or add a line."""
    return words(tuple(Line.of(text) for text in _lines(verdict))) + "\n"


def _lines(verdict: Verdict) -> Iterator[str]:
    yield _headline(verdict)
    for image in verdict.images[:MAX_IMAGES]:
        yield from _image_lines(image)
    if len(verdict.images) > MAX_IMAGES:
        yield f"  and {count(len(verdict.images) - MAX_IMAGES, 'more image')}"
    if not verdict.images:
        yield from _reason_lines(verdict.reasons, "  ")
    if verdict.new_findings:
        yield f"  new: {listing(list(verdict.new_findings))}"
    yield f"  scanguard explain {short_id(verdict.id)}"


def _headline(verdict: Verdict) -> str:
    deployment = verdict.deployment
    place = [deployment_kind(deployment.kind), deployment.resource_group, deployment.location]
    before = f", was {verdict.previous.upper()}" if verdict.previous else ""
    where = neutralise(", ".join(part for part in place if part), limit=_MAX_NAME)
    return f"{verdict.outcome.upper()}  {neutralise(deployment.name, limit=_MAX_NAME)} ({where}){before}"


def _image_lines(image: ImageVerdict) -> Iterator[str]:
    told = image.error or words((counts_line(image),))
    name = neutralise(image.name, limit=_MAX_NAME)
    yield f"  {image.outcome.upper()}  {name}: {neutralise(told, limit=_MAX_MESSAGE)}"
    yield from _reason_lines(image.reasons, "    ")


def _reason_lines(reasons: tuple[Reason, ...], indent: str) -> Iterator[str]:
    for reason in reasons[:MAX_REASONS]:
        found = f" [{listing(list(reason.findings))}]" if reason.findings else ""
        yield f"{indent}{reason.policy}: {neutralise(reason.message, limit=_MAX_MESSAGE)}{found}"
    if len(reasons) > MAX_REASONS:
        yield f"{indent}and {count(len(reasons) - MAX_REASONS, 'more reason')}"
