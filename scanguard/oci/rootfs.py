"""What an image config says of its layers."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from scanguard.errors import ImageCorruptError
from scanguard.model.base import Digest
from scanguard.oci.manifests import Manifest

_DIGESTS: TypeAdapter[list[str]] = TypeAdapter(list[Digest])


def stated_diff_ids(config: Mapping[str, object], what: str) -> tuple[str, ...]:
    """Digests of the uncompressed layers, lowest first, as the config states them; ImageCorruptError."""
    rootfs = config.get("rootfs")
    stated = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    try:
        return tuple(_DIGESTS.validate_python(stated if stated is not None else []))
    except ValidationError as exc:
        raise ImageCorruptError(f"{what}: the image config has no good list of rootfs.diff_ids", target=what) from exc


def diff_ids(manifest: Manifest, config: Mapping[str, object]) -> tuple[str, ...]:
    """Those of a manifest's layers, one for each; ImageCorruptError where they do not match up."""
    digests = stated_diff_ids(config, manifest.digest)
    if len(digests) != len(manifest.layers):
        raise ImageCorruptError(
            f"{manifest.digest}: the manifest has {len(manifest.layers)} layers, its config {len(digests)}",
            target=manifest.digest,
        )
    return digests
