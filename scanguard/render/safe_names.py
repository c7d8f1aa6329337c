"""Names of folders and files for text from outside: readable, and never the same for two different texts."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_READABLE: Final = 80
"""Characters of the text that a name shows; with the hash it stays far below the 255 bytes that file systems allow."""
HASH_DIGITS: Final = 16
"""64 bits; whoever keeps what strangers must not be able to hide asks for more."""
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.+=-]+")
_PLAIN_KEY: Final = re.compile(r"[a-z0-9-]{1,64}")
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|-|$)", re.IGNORECASE)
"""Device names of Windows, which stay devices whatever follows their first dot."""


def safe_name(text: str, hash_digits: int = HASH_DIGITS) -> str:
    """A name for any text: what can be read of it, and the beginning of its SHA-256, ``hash_digits`` hex digits long.

    The hash keeps apart what only differs in case (file systems that ignore it), in characters that no file
    name may hold, or beyond the length shown.
    """
    readable = _UNSAFE.sub("_", text[: _READABLE * 2])[:_READABLE].strip("._-") or "image"
    if _RESERVED.match(readable):
        readable = f"_{readable}"
    return f"{readable}-{_digest(text, hash_digits)}"


def safe_key(key: str) -> str:
    """A delivery's key as part of a file name: itself when it is plain, as the engine's are, else its hash."""
    return key if _PLAIN_KEY.fullmatch(key) else _digest(key)


def _digest(text: str, digits: int = HASH_DIGITS) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:digits]
