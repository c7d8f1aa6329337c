"""What an image config says of its layers."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from scanguard.errors import ImageCorruptError
from scanguard.model.base import Digest
from scanguard.oci.manifests import Manifest

_DIGESTS: TypeAdapter[list[str]] = TypeAdapter(list[Digest])


def diff_ids(manifest: Manifest, config: Mapping[str, object]) -> tuple[str, ...]:
    """Digests of the uncompressed layers, one for each layer; ImageCorruptError where they do not match up."""
    rootfs = config.get("rootfs")
    stated = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    try:
        digests = tuple(_DIGESTS.validate_python(stated if stated is not None else []))
    except ValidationError as exc:
        raise ImageCorruptError(
            f"{manifest.digest}: the image config has no good list of rootfs.diff_ids", target=manifest.digest
        ) from exc
    if len(digests) != len(manifest.layers):
        raise ImageCorruptError(
            f"{manifest.digest}: the manifest has {len(manifest.layers)} layers, its config {len(digests)}",
            target=manifest.digest,
        )
    return digests
