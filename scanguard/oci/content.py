"""Small content of a source: verified bytes, and the JSON objects in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Final, cast

from scanguard.errors import ImageCorruptError, ImageTooLargeError
from scanguard.oci.blobs import BlobSource, Descriptor

MAX_MANIFEST_BYTES: Final = 4 << 20
"""What registries themselves take: https://github.com/opencontainers/distribution-spec/blob/main/spec.md."""
MAX_CONFIG_BYTES: Final = 8 << 20


def digest_of(data: bytes, like: str = "sha256:") -> str:
    """The digest of bytes, with the algorithm of another digest."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def json_object(data: bytes, what: str) -> Mapping[str, object]:
    """The JSON object in hostile bytes; ``what`` names it in the ImageCorruptError."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise ImageCorruptError(f"{what} is no JSON, or nested too deep", target=what) from exc
    if not isinstance(document, dict):
        raise ImageCorruptError(f"{what} is JSON, but no object", target=what)
    return document


def closing(chunks: AsyncIterator[bytes]) -> aclosing[AsyncGenerator[bytes, None]]:
    """Close a blob's stream at the end of a ``async with``, however that ends."""
    return aclosing(cast("AsyncGenerator[bytes, None]", chunks))


async def read_blob(source: BlobSource, descriptor: Descriptor, max_bytes: int, what: str) -> bytes:
    """A whole small blob, its size and digest verified.

    Raises:
        ImageTooLargeError: It is, or says it is, larger than ``max_bytes``.
        ImageCorruptError: It is not what the descriptor says.
        RegistryError: What the source raises.
    """
    if descriptor.size > max_bytes:
        raise ImageTooLargeError(f"{what} has {descriptor.size} bytes; at most {max_bytes} are read", target=what)
    data = bytearray()
    async with closing(source.blob(descriptor)) as chunks:
        async for chunk in chunks:
            data += chunk
            if len(data) > descriptor.size:
                break
    whole = bytes(data)
    if len(whole) != descriptor.size or digest_of(whole, descriptor.digest) != descriptor.digest:
        raise ImageCorruptError(
            f"{what} is not the {descriptor.size} bytes with the digest {descriptor.digest}", target=what
        )
    return whole


async def read_config(source: BlobSource, descriptor: Descriptor) -> Mapping[str, object]:
    """The image config, verified; raises as :func:`read_blob`."""
    what = f"the image config {descriptor.digest}"
    return json_object(await read_blob(source, descriptor, MAX_CONFIG_BYTES, what), what)
