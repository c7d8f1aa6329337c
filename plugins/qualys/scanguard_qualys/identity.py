"""Whether an answer is about the image asked for."""

from __future__ import annotations

from collections.abc import Iterable

from scanguard.errors import ScannerOutputError
from scanguard.model.image import ResolvedImage


def bare(digest: str) -> str:
    """A digest's hex digits in lower case, as Qualys writes them."""
    return digest.rpartition(":")[2].strip().lower()


def names_of(image: ResolvedImage) -> frozenset[str]:
    """The digests that mean this image: of its manifest, its config and the index it was chosen from."""
    digests = (image.digest, image.config_digest, image.index_digest)
    return frozenset(bare(digest) for digest in digests if digest)


def confirm(image: ResolvedImage, named: Iterable[str], what: str) -> bool:
    """True when one of the names is this image, False when there is no name.

    Raises ScannerOutputError when all of them are other images.
    """
    told = {bare(name) for name in named if _is_digest(name)}
    if told and not told & names_of(image):
        raise ScannerOutputError(
            f"{what} is about {min(told)[:12]}…, not about {image.digest}", plugin="qualys", target=image.digest
        )
    return bool(told)


def _is_digest(name: str) -> bool:
    digits = bare(name)
    return len(digits) >= 32 and all(character in "0123456789abcdef" for character in digits)
