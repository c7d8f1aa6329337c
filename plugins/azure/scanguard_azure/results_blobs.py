"""Documents in the blob container, written so that an older revision never replaces a newer one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, ContentSettings

from scanguard import SinkError
from scanguard_azure.results_errors import sink_errors

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from scanguard_azure.results_record import Record

_ATTEMPTS = 5
_REVISION = "revision"


class ResultBlobs:
    """The container."""

    def __init__(self, container: ContainerClient, *, compressed: bool) -> None:
        self._container = container
        self._settings = ContentSettings(
            content_type="application/json", content_encoding="gzip" if compressed else None
        )
        self._name = str(container.container_name)

    async def put(self, record: Record) -> None:
        """Store a document, unless its blob holds this revision or a newer one. Raises SinkError."""
        with sink_errors("blob", self._name):
            for _ in range(_ATTEMPTS):
                if await self._put(record):
                    return
        raise SinkError(f"container {self._name!r}: {record.blob} is being changed again and again", target=self._name)

    async def remove_older(self, name: str, revision: int) -> None:
        """Delete a blob that holds an older revision than this one."""
        with sink_errors("blob", self._name):
            found = await self._properties(name)
            if found is not None and _revision(found) < revision:
                await self._delete(name, found)

    async def _put(self, record: Record) -> bool:
        """Whether that is done; False when somebody else wrote in between."""
        if await self._upload(record, overwrite=False):
            return True
        found = await self._properties(record.blob)
        if found is None:
            return False
        if _revision(found) >= record.revision:
            return True
        return await self._upload(
            record, overwrite=True, etag=found.etag, match_condition=MatchConditions.IfNotModified
        )

    async def _upload(self, record: Record, **condition: Any) -> bool:  # noqa: ANN401  # options of Azure's client
        try:
            await self._container.upload_blob(
                record.blob,
                record.document,
                metadata=dict(record.metadata),
                content_settings=self._settings,
                **condition,
            )
        except (ResourceExistsError, ResourceModifiedError):
            return False
        return True

    async def _properties(self, name: str) -> BlobProperties | None:
        try:
            return await self._container.get_blob_client(name).get_blob_properties()
        except ResourceNotFoundError:
            return None

    async def _delete(self, name: str, found: BlobProperties) -> None:
        with suppress(ResourceNotFoundError, ResourceModifiedError):
            await self._container.delete_blob(name, etag=found.etag, match_condition=MatchConditions.IfNotModified)


def _revision(found: BlobProperties) -> int:
    """The revision a blob holds; 0 for one that somebody else wrote."""
    written = str((found.metadata or {}).get(_REVISION, ""))
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else 0
