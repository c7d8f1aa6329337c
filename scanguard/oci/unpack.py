"""Read one layer in a thread: decompress, verify, name its files, keep what is wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from scanguard.errors import ImageCorruptError
from scanguard.oci.blobs import Descriptor
from scanguard.oci.decompress import decompress
from scanguard.oci.filetree import (
    Directory,
    File,
    Node,
    Special,
    Symlink,
    directory_at,
    is_hidden,
    lookup,
    place,
    resolve,
    split,
)
from scanguard.oci.limits import ReadMeter
from scanguard.oci.tarstream import Kind, TarEntry, TarStream

_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as manifest and config describe it; ``number`` counts from the lowest."""

    number: int
    blob: Descriptor
    diff_id: str


@dataclass(slots=True)
class Unpacked:
    """What one reading of a layer gave: its names, and the content of wanted files by path."""

    tree: Directory = field(default_factory=Directory)
    kept: dict[str, tuple[File, bytes]] = field(default_factory=dict)


def unpack(
    layer: Layer, chunks: Iterator[bytes], meter: ReadMeter, above: Directory, wanted: Callable[[str], bool]
) -> Unpacked:
    """Read a layer; keep the files that are wanted and that the layers ``above`` do not hide.

    Raises:
        ImageCorruptError: Blob, compression, archive or a digest is not what it should be.
        ImageTooLargeError: A limit was reached.
    """
    stream = _open(layer, chunks, meter)
    builder = _Builder(layer, meter, above, wanted)
    for ordinal, entry in enumerate(stream.entries()):
        meter.entry()
        builder.add(ordinal, entry, stream)
    stream.drain()
    return builder.finish()


def reread(layer: Layer, chunks: Iterator[bytes], meter: ReadMeter, ordinals: Collection[int]) -> dict[int, bytes]:
    """Read a layer again for the content of entries by their ordinal; raises as :func:`unpack`."""
    stream = _open(layer, chunks, meter)
    found: dict[int, bytes] = {}
    for ordinal, entry in enumerate(stream.entries()):
        if ordinal in ordinals:
            found[ordinal] = _content(layer, entry, stream, meter)
    stream.drain()
    return found


class _Builder:
    """Unpacks entries into the tree of one layer."""

    def __init__(self, layer: Layer, meter: ReadMeter, above: Directory, wanted: Callable[[str], bool]) -> None:
        self._layer = layer
        self._meter = meter
        self._above = above
        self._wanted = wanted
        self._result = Unpacked()

    def add(self, ordinal: int, entry: TarEntry, stream: TarStream) -> None:
        parts = self._place_of(entry.name)
        if not parts or entry.kind is Kind.OTHER:
            return
        root = self._result.tree
        if parts[-1].startswith(_WHITEOUT):
            self._hide(parts)
        elif entry.kind is Kind.FILE:
            file = File(self._layer.number, ordinal, entry.size)
            place(root, parts, file)
            self._keep("/".join(parts), parts, file, entry, stream)
        elif entry.kind is Kind.HARDLINK:
            place(root, parts, self._linked(entry))
        elif entry.kind is Kind.SYMLINK:
            place(root, parts, self._symlink(entry.target))
        else:
            place(root, parts, Directory() if entry.kind is Kind.DIRECTORY else Special())

    def finish(self) -> Unpacked:
        """Drop what the layer itself replaced later."""
        result = self._result
        stale = [path for path, (file, _) in result.kept.items() if lookup(result.tree, path.split("/")) is not file]
        for path in stale:
            del result.kept[path]
        return result

    def _place_of(self, name: str) -> list[str]:
        """The real components of an entry's place in its layer."""
        parts = split(name)
        self._meter.path(parts)
        if len(parts) > 1:
            parent = resolve(self._result.tree, parts[:-1])
            if parent is None:
                raise ImageCorruptError(
                    f"layer {self._layer.blob.digest}: a path leads through a loop of symbolic links",
                    target=self._layer.blob.digest,
                )
            parts = [*parent, parts[-1]]
            self._meter.path(parts)
        return parts

    def _hide(self, parts: list[str]) -> None:
        """A whiteout; names that begin with ``.wh..wh.`` are otherwise AUFS's own and mean nothing."""
        if parts[-1] == _OPAQUE:
            directory_at(self._result.tree, parts[:-1]).is_opaque = True
        elif not parts[-1].startswith(_WHITEOUT * 2):
            directory_at(self._result.tree, parts[:-1]).hide(parts[-1].removeprefix(_WHITEOUT))

    def _linked(self, entry: TarEntry) -> Node:
        """What a hard link means: the node itself, or, in a lower layer, whatever is at that path in the end."""
        target = self._place_of(entry.target)
        node = lookup(self._result.tree, target)
        if isinstance(node, Directory):
            raise ImageCorruptError(
                f"layer {self._layer.blob.digest}: a hard link to a directory", target=self._layer.blob.digest
            )
        if isinstance(node, File):
            node.is_linked = True
        return node or self._symlink(f"/{entry.target}")

    def _symlink(self, target: str) -> Symlink:
        if len(target) > self._meter.limits.max_path_chars:
            self._meter.fail("max_path_chars")
        return Symlink(target)

    def _keep(self, path: str, parts: list[str], file: File, entry: TarEntry, stream: TarStream) -> None:
        if self._wanted(path) and not is_hidden(self._above, parts):
            self._result.kept[path] = (file, _content(self._layer, entry, stream, self._meter))


def _content(layer: Layer, entry: TarEntry, stream: TarStream, meter: ReadMeter) -> bytes:
    if entry.is_sparse:
        raise ImageCorruptError(
            f"layer {layer.blob.digest}: a wanted file is stored sparse, which is not read", target=layer.blob.digest
        )
    meter.wanted(entry.size)
    return stream.content()


def _open(layer: Layer, chunks: Iterator[bytes], meter: ReadMeter) -> TarStream:
    meter.start_layer(layer.blob.digest)
    stored = _verified(layer, chunks, meter)
    return TarStream(_measured(layer, decompress(stored, layer.blob.digest), meter), layer.blob.digest)


def _verified(layer: Layer, chunks: Iterator[bytes], meter: ReadMeter) -> Iterator[bytes]:
    """Pass the blob through; at its end it was the right one."""
    blob = layer.blob
    digest, count = hashlib.new(blob.digest.partition(":")[0]), 0
    for chunk in chunks:
        count += len(chunk)
        if count > blob.size:
            break
        meter.compressed(len(chunk))
        digest.update(chunk)
        yield chunk
    if count != blob.size:
        raise ImageCorruptError(f"layer {blob.digest} does not have its {blob.size} bytes", target=blob.digest)
    if digest.hexdigest() != blob.digest.partition(":")[2]:
        raise ImageCorruptError(f"layer {blob.digest} holds other bytes than its digest says", target=blob.digest)


def _measured(layer: Layer, chunks: Iterator[bytes], meter: ReadMeter) -> Iterator[bytes]:
    """Pass the uncompressed stream through; at its end it was the one that the config knows."""
    digest = hashlib.new(layer.diff_id.partition(":")[0])
    for chunk in chunks:
        meter.uncompressed(len(chunk))
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != layer.diff_id.partition(":")[2]:
        raise ImageCorruptError(
            f"layer {layer.blob.digest} unpacks to other bytes than the image config says ({layer.diff_id})",
            target=layer.blob.digest,
        )
