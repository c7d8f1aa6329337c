r"""Keys of tables and names of blobs: nothing illegal, nothing that collides, and row keys in the order of the port.

Table keys may not hold ``/ \ # ?`` and control characters, and have 1 KiB as UTF-16
(https://learn.microsoft.com/en-us/rest/api/storageservices/understanding-the-table-service-data-model).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from scanguard import BackendError

MAX_KEY: Final = 500
"""Characters of an encoded key: 12 fewer than the service takes."""
MAX_BLOB_NAME: Final = 900
HASHED: Final = "*"
"""Stands in no encoded text, so what is cut and hashed never meets what is not."""
_LAST_MICROS: Final = 10**18
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEADS: Final = (
    # Bytes from, to (inclusive), and the character that stands before their number; it sorts where they do.
    (0x00, 0x2A, "!"),
    (0x2E, 0x2F, "."),
    (0x3B, 0x3F, ";"),
    (0x5B, 0x5E, "["),
    (0x60, 0x60, "`"),
    (0x7B, 0xFF, "{"),
)
_CODES: Final = [
    next((f"{lead}{byte:02x}" for first, last, lead in _LEADS if first <= byte <= last), chr(byte))
    for byte in range(256)
]


def encoded(text: str) -> str:
    """A text as part of a key: ASCII, reversible, and sorted as the texts' code points are.

    Letters, digits and ``+,-:@_`` stand for themselves; any other byte of the UTF-8 text becomes a character that sorts
    where the byte does, and its number in hex.
    """
    return "".join(_CODES[byte] for byte in text.encode("utf-8", "surrogatepass"))


def decoded(key: str) -> str:
    """The inverse of :func:`encoded`; ValueError for what it never makes."""
    leads = {lead for _, _, lead in _LEADS}
    raw, index = bytearray(), 0
    while index < len(key):
        is_number = key[index] in leads
        raw.append(int(key[index + 1 : index + 3], 16) if is_number else ord(key[index]))
        index += 3 if is_number else 1
    return raw.decode("utf-8", "surrogatepass")


def partition_key(kind: str, name: str) -> str:
    """A partition: ``KIND|NAME``; a long name is cut, and told apart by its hash."""
    whole = f"{encoded(kind)}|{encoded(name)}"
    if len(whole) <= MAX_KEY:
        return whole
    return f"{whole[:300]}{HASHED}{hashlib.sha256(whole.encode()).hexdigest()}"


def row_key(name: str) -> str:
    """A row's key, in the order of the names; never empty. Raises BackendError for one that is too long."""
    key = f"k{encoded(name)}"
    if len(key) > MAX_KEY:
        raise BackendError(
            f"a key of {len(key)} characters is longer than a table takes ({MAX_KEY})", target=name[:100]
        )
    return key


def prefix_end(prefix: str) -> str:
    """Sorts behind every key that starts with ``prefix``, and before all other that sort behind it."""
    return f"{prefix}~"


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970; earlier moments count as its begin."""
    return max(0, (moment - _EPOCH) // timedelta(microseconds=1))


def from_micros(number: int) -> datetime:
    """The inverse of :func:`micros`."""
    return _EPOCH + timedelta(microseconds=number)


def ascending(moment: datetime) -> str:
    """Sorts as moments do."""
    return f"{micros(moment):018d}"


def descending(moment: datetime, id: str = "") -> str:
    """Sorts the newest first, and of one moment the highest id first."""
    turned = "".join(f"{255 - byte:02x}" for byte in id.encode("utf-8", "surrogatepass"))
    return f"{_LAST_MICROS - 1 - micros(moment):018d}-{turned}~"


def blob_name(folder: str, name: str) -> str:
    """A blob's name: folders stay folders, whatever is not plain is escaped, a long name is cut and hashed."""
    whole = f"{folder}/{'/'.join(_segment(part) for part in name.split('/'))}"
    if len(whole) <= MAX_BLOB_NAME:
        return whole
    return f"{whole[: MAX_BLOB_NAME - 100]}{HASHED}{hashlib.sha256(whole.encode()).hexdigest()}"


def _segment(part: str) -> str:
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._:@+=,-") else _hex(char) for char in part)
    return plain[:-1] + "~2e" if plain.endswith(".") else plain or "~"


def _hex(char: str) -> str:
    return "".join(f"~{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
