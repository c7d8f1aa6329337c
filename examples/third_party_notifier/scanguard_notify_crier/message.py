"""A verdict as a message of Crier, within its limits; pure.

Limits (README, "The service's rules"): a heading of 150 characters, 20 sections of 2,000, 16 KiB of JSON in all.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from scanguard import ImageVerdict, Reason, Verdict

MAX_HEADING_CHARS: Final = 150
MAX_SECTIONS: Final = 20
MAX_SECTION_CHARS: Final = 2_000
MAX_BODY_BYTES: Final = 16 * 1024
MAX_REASONS: Final = 5
MAX_LINE_CHARS: Final = 280
"""A line for the image, one for each reason and one for those left out: together less than a section."""
_MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def body_for(verdict: Verdict, *, key: str, max_images: int) -> bytes:
    """The JSON to post.

    Args:
        verdict: What to tell.
        key: The delivery's key, the same each time it is repeated: the room shows a message once.
        max_images: Images that get a section, as far as they fit; the last section counts the others.
    """
    heading = _line(_heading(verdict), MAX_HEADING_CHARS)
    sections = [_section(image) for image in verdict.images[: min(max_images, MAX_SECTIONS - 2)]]
    first = ["\n".join(_reasons(verdict.reasons))] if verdict.reasons else []
    while True:
        last = _last(verdict, shown=len(sections))
        body = _encoded({"id": key, "heading": heading, "sections": [*first, *sections, last]})
        if len(body) <= MAX_BODY_BYTES or not (sections or first):
            return body
        (sections or first).pop()


def _heading(verdict: Verdict) -> str:
    deployment = verdict.deployment
    before = f" (was {verdict.previous.upper()})" if verdict.previous else ""
    place = f" in {deployment.resource_group}" if deployment.resource_group else ""
    return f"{verdict.outcome.upper()}{before}: {deployment.name}{place}"


def _section(image: ImageVerdict) -> str:
    counts = ", ".join(f"{number:,} {severity}" for severity, number in image.counts.items() if number)
    first = _line(f"{image.outcome.upper()} {image.name}: {image.error or counts or 'no findings'}")
    return "\n".join([first, *_reasons(image.reasons)])


def _reasons(reasons: Sequence[Reason]) -> Iterator[str]:
    for reason in reasons[:MAX_REASONS]:
        yield _line(f"{reason.policy}: {reason.message}")
    if len(reasons) > MAX_REASONS:
        yield f"and {len(reasons) - MAX_REASONS:,} more reasons"


def _last(verdict: Verdict, *, shown: int) -> str:
    left_out = len(verdict.images) - shown
    more = f"and {left_out:,} more images; " if left_out else ""
    return f"{more}scanguard explain {verdict.id[:12]}"


def _line(text: str, most: int = MAX_LINE_CHARS) -> str:
    """One printable line without markup: nothing from outside adds a line, mentions a room or hides text."""
    shown = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    kept: list[str] = []
    room = most
    for char in shown:
        piece = _MARKUP.get(char, char)
        if len(piece) >= room:  # one character is kept for the ellipsis, and an entity is never cut in two
            return "".join([*kept, "…"])
        kept.append(piece)
        room -= len(piece)
    return "".join(kept)


def _encoded(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
