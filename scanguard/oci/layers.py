"""Read the files of an image from its layers, as a container would see them.

Layers stream from the source through one thread, uppermost first, and never lie on disk or in memory whole. What
stays is the tree of names and the wanted files of the layer being read. A file that is wanted only by a path
through symbolic or hard links is known at the end, and costs a second reading of its layer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Final, Self

from scanguard.errors import ImageCorruptError, RegistryRefusedError
from scanguard.oci.aliases import aliases
from scanguard.oci.blobs import BlobSource, Descriptor, ImageFile
from scanguard.oci.content import read_config
from scanguard.oci.filetree import Directory, File, merge, walk
from scanguard.oci.limits import ReadLimits, ReadMeter
from scanguard.oci.manifests import Manifest
from scanguard.oci.pipe import compute, pump
from scanguard.oci.rootfs import diff_ids
from scanguard.oci.unpack import Layer, reread, unpack

LAYER_MEDIA_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
    }
)


class LayerReader:
    """An image that is open for reading; make it with :meth:`open`.

    Several readings may go on at once; each has its own thread and limits.
    """

    def __init__(
        self, source: BlobSource, manifest: Manifest, config: Mapping[str, object], limits: ReadLimits | None = None
    ) -> None:
        self._source = source
        self._manifest = manifest
        self._config = config
        self._limits = limits or ReadLimits()
        for layer in manifest.layers:
            _check_media_type(layer)
        self._layers = tuple(
            Layer(number, blob, diff_id)
            for number, (blob, diff_id) in enumerate(zip(manifest.layers, diff_ids(manifest, config), strict=True))
        )

    @classmethod
    async def open(cls, source: BlobSource, manifest: Manifest, limits: ReadLimits | None = None) -> Self:
        """Read and verify the image config.

        Raises:
            RegistryRefusedError: A layer lies elsewhere (a "foreign" layer of Windows).
            ImageCorruptError: The config is not what the manifest says, or does not describe its layers; a layer is
                of a kind that is not read.
            RegistryError: What the source raises.
        """
        return cls(source, manifest, await read_config(source, manifest.config), limits)

    @property
    def config(self) -> Mapping[str, object]:
        """The image config (JSON object), verified against its digest."""
        return self._config

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers, lowest first."""
        return self._manifest.layers

    async def files(
        self, wanted: Callable[[str], bool], *, on_path: Callable[[str], None] | None = None
    ) -> AsyncIterator[ImageFile]:
        """Stream the regular files of the final view that ``wanted`` asks for; see :class:`ImageReader`.

        Close the iterator (``contextlib.aclosing``) when leaving it early.
        """
        meter = ReadMeter(self._limits)
        pool = ThreadPoolExecutor(1, thread_name_prefix="scanguard-layers")
        reading = _Reading(self._source, self._layers, meter=meter, pool=pool, wanted=wanted, on_path=on_path)
        try:
            meter.start_clock()
            async for files in reading.batches():
                meter.stop_clock()
                for file in files:
                    yield file
                meter.start_clock()
        finally:
            meter.stop()
            pool.shutdown(wait=True)


class _Reading:
    """One call of :meth:`LayerReader.files`."""

    def __init__(
        self,
        source: BlobSource,
        layers: tuple[Layer, ...],
        *,
        meter: ReadMeter,
        pool: Executor,
        wanted: Callable[[str], bool],
        on_path: Callable[[str], None] | None,
    ) -> None:
        self._source = source
        self._layers = layers
        self._meter = meter
        self._pool = pool
        self._wanted = wanted
        self._on_path = on_path
        self._view = Directory()
        self._given: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
        """Paths given out, or to be, of each file."""

    async def batches(self) -> AsyncIterator[list[ImageFile]]:
        """The files that become known together."""
        for layer in reversed(self._layers):
            yield await self._first(layer)
        for number, paths in (await compute(self._pool, self._rest, self._meter)).items():
            yield await self._again(self._layers[number], paths)

    async def _first(self, layer: Layer) -> list[ImageFile]:
        work = partial(self._unpack, layer)
        return await pump(self._pool, self._source.blob(layer.blob), work, self._meter)

    def _unpack(self, layer: Layer, chunks: Iterator[bytes]) -> list[ImageFile]:
        result = unpack(layer, chunks, self._meter, self._view, self._wanted)
        merge(self._view, result.tree)
        for path, (file, _) in result.kept.items():
            self._given[file.layer, file.ordinal].add(path)
        return [ImageFile(path, data, layer.blob.digest) for path, (_, data) in result.kept.items()]

    async def _again(self, layer: Layer, paths: Mapping[int, list[str]]) -> list[ImageFile]:
        def work(chunks: Iterator[bytes]) -> list[ImageFile]:
            found = reread(layer, chunks, self._meter, paths.keys())
            return [
                ImageFile(path, found[ordinal], layer.blob.digest)
                for ordinal in sorted(found)
                for path in paths[ordinal]
            ]

        return await pump(self._pool, self._source.blob(layer.blob), work, self._meter)

    def _rest(self) -> Mapping[int, Mapping[int, list[str]]]:
        """Paths of files still to be read, by layer and ordinal; tells every real path on the way."""
        missing: dict[int, dict[int, list[str]]] = {}
        for path, file in self._remaining():
            missing.setdefault(file.layer, {}).setdefault(file.ordinal, []).append(path)
            self._given[file.layer, file.ordinal].add(path)
        return missing

    def _remaining(self) -> Iterator[tuple[str, File]]:
        """Real paths that hard links gave, then paths through symbolic links."""
        for count, (path, node) in enumerate(walk(self._view)):
            if not count % 4096:
                self._meter.clock()
            if isinstance(node, File):
                if self._on_path:
                    self._on_path(path)
                # One that has a single name was asked for when it was read.
                if node.is_linked and path not in self._given[node.layer, node.ordinal] and self._wanted(path):
                    yield path, node
        for path, node in aliases(self._view, self._meter):
            if not self._has_name(node, path) and self._wanted(path):
                yield path, node

    def _has_name(self, file: File, path: str) -> bool:
        """Whether the file is given out under the same last name: ``lib/a`` is no news after ``usr/lib/a``."""
        name = path.rpartition("/")[2]
        return any(given.rpartition("/")[2] == name for given in self._given.get((file.layer, file.ordinal), ()))


def _check_media_type(layer: Descriptor) -> None:
    if "foreign" in layer.media_type or "nondistributable" in layer.media_type:
        raise RegistryRefusedError(
            f"layer {layer.digest} is not in the registry but elsewhere ({layer.media_type[:100]}); it is not fetched",
            target=layer.digest,
        )
    if layer.media_type not in LAYER_MEDIA_TYPES:
        raise ImageCorruptError(
            f"layer {layer.digest} has the media type {layer.media_type[:100]!r}; readable are tar archives, plain or "
            "compressed with gzip or zstd",
            target=layer.digest,
        )
