"""Take secrets out of text that people will read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "***"

_QUERY_VALUE = re.compile(r"=[^&;]*")
_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
_SCHEME_AND_TOKEN = re.compile(r"\b(bearer|basic|digest)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_HEADER = re.compile(r"\b(authorization|x-registry-auth|x-auth-token|cookie|set-cookie)\b\s*[:=].*", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"""(["']?\b(?:password|passwd|secret|sig|signature|api[_-]?key|(?:[a-z]+_)?token|jwt)["']?\s*[:=]\s*["']?)[^\s"'&,;}]+""",
    re.IGNORECASE,
)
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?")


def redact_url(url: str) -> str:
    """Show where a URL points: user and password gone, query values hidden, fragment gone."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    query = _QUERY_VALUE.sub(f"={HIDDEN}", parts.query) if "=" in parts.query else (HIDDEN if parts.query else "")
    return _printable(urlunsplit((parts.scheme, host, parts.path, query, "")))


def redact_text(text: str, *, secrets: Iterable[str] = (), limit: int = 200) -> str:
    """Make somebody else's text fit to show: one printable line of ``limit`` characters, secrets hidden.

    ``secrets`` are values known to the caller (what it sent); what merely looks like a token, a password or
    the query of a URL is hidden as well.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _URL.sub(lambda match: redact_url(match.group()), _printable(text))
    text = _HEADER.sub(rf"\1: {HIDDEN}", text)
    text = _SCHEME_AND_TOKEN.sub(rf"\1 {HIDDEN}", text)
    text = _JWT.sub(HIDDEN, text)
    text = _NAMED_SECRET.sub(rf"\g<1>{HIDDEN}", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _printable(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
