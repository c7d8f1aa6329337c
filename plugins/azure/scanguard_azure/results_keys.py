"""Names of blobs and keys of rows, for any text from outside: legal, readable, and never the same for two results.

Keys in Table Storage hold up to 1 KiB, without slashes, ``#``, ``?`` and control characters; names of blobs up to 1,024
characters (https://learn.microsoft.com/en-us/rest/api/storageservices/understanding-the-table-service-data-model,
https://learn.microsoft.com/en-us/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata).
What is written here has letters, digits and ``. _ + = -`` only.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from scanguard import ImageReference, InvalidReferenceError
from scanguard.render.safe_names import safe_key, safe_name

ERRORS_FOLDER: Final = "errors"
"""Where images go that nobody reported on; no image's folder can have this name, for those end in a hash."""
_HASH_DIGITS: Final = 32
"""128 bits: two images that meet here could hide each other's results, so nobody may be able to find such two."""
_LATEST_MS: Final = 9_999_999_999_999
"""In the year 2286; inverted times count down from here."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def full_name(image: str) -> str:
    """``docker.io/library/nginx:latest`` for ``nginx``; what is no reference stays as it is."""
    try:
        return str(ImageReference.parse(image))
    except InvalidReferenceError:
        return image


def image_key(image: str) -> str:
    """PartitionKey and folder of an image by its full name: ``docker.io_library_nginx_latest-<hash>``."""
    return safe_name(image, _HASH_DIGITS)


def row_key(seen_at: datetime, scan: str) -> str:
    """RowKey of a result: newest first, then the scan's id. The same for every revision of it."""
    return f"{inverted(seen_at)}_{safe_key(scan)}"


def recent_key(decided_at: datetime, scan: str, revision: int, image: str) -> str:
    """RowKey of one revision of a result among those of its day, newest first."""
    return f"{inverted(decided_at)}_{safe_key(scan)}_{revision}_{_hash(image)}"


def day_key(moment: datetime) -> str:
    """PartitionKey of a day: ``20260115``."""
    return f"{moment.year:04d}{moment.month:02d}{moment.day:02d}"


def blob_name(image: str, seen_at: datetime, scan: str, *, is_error: bool) -> str:
    """Where the document of a result goes in the container. The same for every revision that is no error, or is."""
    stamp = f"{day_key(seen_at)}-{seen_at:%H%M%S}-{safe_key(scan)}.json"
    return f"{ERRORS_FOLDER}/{image_key(image)}-{stamp}" if is_error else f"{image_key(image)}/scan-{stamp}"


def inverted(moment: datetime) -> str:
    """13 digits that get smaller as time goes by; times beyond what they hold count as the nearest that they do."""
    since = (moment - _EPOCH) // timedelta(milliseconds=1)
    return f"{_LATEST_MS - min(max(since, 0), _LATEST_MS):013d}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
