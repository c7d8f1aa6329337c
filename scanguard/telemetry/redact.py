"""The last fence before a log line: resolved secrets, and whatever looks like a credential, are starred out.

Every pattern is linear in the text: it starts at a rare place, or at the beginning of a run of characters.
"""

from __future__ import annotations

import re
from typing import Final

from scanguard.render.text import ELLIPSIS
from scanguard.telemetry.secrets import HIDDEN, LONGEST_PIECE, hide

LONGEST_READ: Final = 32_768
"""Characters of one text that are looked at; what follows them is left out."""
_OVERLAP: Final = 3 * LONGEST_PIECE

_HEADERS: Final = (
    "authorization|proxy-authorization|x-registry-auth|x-auth-token|x-api-key|api-key|x-functions-key"
    "|x-scanguard-key|ocp-apim-subscription-key|x-amz-security-token|cookie|set-cookie"
)
_NAMES: Final = (
    "password|passwd|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|accountkey|sharedaccesskey"
    "|routing[_-]?key|integration[_-]?key|client[_-]?assertion|assertion|signature|sig|jwt"
)
_PATTERNS: Final = (
    # Authorization: Bearer x   'authorization': 'Basic x'   (b"Authorization", b"x")
    (re.compile(rf"(?i)\b({_HEADERS})(\b[\"']?[ \t]*[:=][ \t]*+b?+|[\"'][ \t]*,[ \t]*+b?+)"
                rf"(?!\*\*\*)(?:\"[^\"\r\n]*|'[^'\r\n]*|[^\r\n]*)"),
     rf"\1\2{HIDDEN}"),
    # `basic authentication` is no credential.
    (re.compile(r"\b((?i:bearer|basic|sharedaccesssignature|sharedkey))[ \t]+"
                r"(?:(?=\S*[A-Z0-9=+/._~-])[\w.~+/=:-]{6,}|[\w.~+/=:-]{16,})"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)*"), HIDDEN),
    (re.compile(r"://[^/\s\"'<>]*@"), f"://{HIDDEN}@"),
    (re.compile(rf"(?i)({_NAMES})([\"']?[ \t]*[:=][ \t]*)(?:b?\"[^\"\r\n]*|b?'[^'\r\n]*|[^\s\"'&,;<>)}}\]]+)"),
     rf"\1\2{HIDDEN}"),
    # An Azure function's key; `exit code=1` is none.
    (re.compile(r"(?i)([?&]code=)[^\s\"'&<>]+|(\bcode=)[\w~+/=%-]{16,}"), rf"\1\2{HIDDEN}"),
)  # fmt: skip


def redact(text: str) -> str:
    """The text without credentials; of a very long one, its beginning."""
    is_cut = len(text) > LONGEST_READ
    shown = hide(text[:LONGEST_READ])
    for pattern, replacement in _PATTERNS:
        shown = pattern.sub(replacement, shown)
    # The cut may have gone through a secret, whose beginning nobody would recognise.
    return shown[:-_OVERLAP] + ELLIPSIS if is_cut else shown
