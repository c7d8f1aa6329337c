"""The container, as the sweep needs it; what Azure's library raises becomes one of scanguard's errors."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scanguard.errors import BackendError, PlatformThrottledError, ScanguardError, SweepError
from scanguard.hooks import PluginContext
from scanguard_azure.dead_letters.config import DeadLetterConfig
from scanguard_azure.storage_clients import AccountClients

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobServiceClient, ContainerClient

REJECTED: Final = "rejected/"
MAX_FOLDERS: Final = 500
PAGE: Final = 32
"""Blobs of one listing."""
MAX_MOVED: Final = 64 * 1024 * 1024
_MAX_NAME: Final = 1024


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob as it was listed."""

    name: str
    etag: str
    size: int


class DeadLetterContainer:
    """Lists, reads, moves aside and removes. Its client is made when it is first needed."""

    def __init__(self, config: DeadLetterConfig, context: PluginContext) -> None:
        self._config = config
        self._clients = AccountClients(config, context)

    async def folders(self) -> Sequence[str]:
        """The names at the top, folders and blobs, without what was moved aside."""
        client = await self._open()
        found: list[str] = []
        with self._errors("list"):
            async for item in client.walk_blobs(delimiter="/"):
                if item.name != REJECTED:
                    found.append(item.name)
                if len(found) >= MAX_FOLDERS:
                    break
        return found

    async def page(self, folder: str, token: str) -> tuple[Sequence[Blob], str]:
        """Some blobs whose names begin so, by name; and the token of the next, empty at the end."""
        client = await self._open()
        with self._errors("list"):
            pages: Any = client.list_blobs(name_starts_with=folder, results_per_page=PAGE).by_page(token or None)
            try:
                items = [item async for item in await anext(pages)]
            except StopAsyncIteration:
                return (), ""
        blobs = [Blob(item.name, item.etag, item.size) for item in items if not item.name.startswith(REJECTED)]
        return blobs, str(pages.continuation_token or "")

    async def read(self, blob: Blob) -> bytes | None:
        """What is in it; None when it went, or changed, since it was listed."""
        client = await self._open()
        with self._errors("read"):
            stream: Any = await self._opened(client, blob)
            return bytes(await stream.readall()) if stream is not None else None

    async def put_aside(self, blob: Blob, reason: str) -> None:
        """Copy it below ``rejected/``, with the reason; a copy that is there already is written over."""
        client = await self._open()
        with self._errors("write"):
            stream: Any = await self._opened(client, blob)
            if stream is None:
                return
            name = f"{REJECTED}{blob.name}"
            if len(name) > _MAX_NAME:
                name = f"{REJECTED}{hashlib.sha256(blob.name.encode()).hexdigest()}"
            metadata = {"reason": ascii(reason)[1:-1][:1000].strip()}
            await client.upload_blob(name, _chunks(stream), length=blob.size, overwrite=True, metadata=metadata)

    async def remove(self, name: str, etag: str) -> None:
        """Remove it, unless it changed since; one that is gone is no error."""
        from azure.core import MatchConditions  # noqa: PLC0415  # plugins are imported at every start

        client = await self._open()
        with self._errors("delete"):
            await _unless_changed(client.delete_blob(name, etag=etag, match_condition=MatchConditions.IfNotModified))

    async def aclose(self) -> None:
        """Close client and credential."""
        await self._clients.aclose()

    async def _opened(self, client: ContainerClient, blob: Blob) -> Any:  # noqa: ANN401  # the library's stream
        from azure.core import MatchConditions  # noqa: PLC0415  # see remove

        unchanged = MatchConditions.IfNotModified
        return await _unless_changed(client.download_blob(blob.name, etag=blob.etag, match_condition=unchanged))

    async def _open(self) -> ContainerClient:
        try:
            service: BlobServiceClient = await self._clients.service("blob")
        except BackendError as exc:
            raise SweepError(exc.message, plugin=_NAME) from exc
        return service.get_container_client(self._config.container)

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415  # see remove

        what = f"the container {self._config.container}"
        try:
            yield
        except HttpResponseError as exc:
            raise _error(exc.status_code or 0, exc, f"Storage did not {verb} in {what}") from exc
        except AzureError as exc:
            raise SweepError(f"{what} cannot be reached ({type(exc).__name__})", plugin=_NAME) from exc


_NAME: Final = "eventgrid_dead_letters"


def _error(status: int, exc: Any, text: str) -> ScanguardError:  # noqa: ANN401  # of a library that is not loaded here
    code = getattr(exc, "error_code", None) or ""
    said = f"{text} ({status} {getattr(code, 'value', code)})".replace(" )", ")")
    if status in (401, 403):
        advice = "grant the identity the role Storage Blob Data Contributor on it, or check the connection string"
        return SweepError(f"{said}: {advice}", plugin=_NAME)
    if status == 404:
        return SweepError(f"{said}: there is no such container; check `container` and `account`", plugin=_NAME)
    if status in (429, 503):
        return PlatformThrottledError(f"{said}: it asks to slow down", plugin=_NAME)
    return SweepError(said, plugin=_NAME)


async def _unless_changed(call: Any) -> Any:  # noqa: ANN401  # any call of the library
    """What it answers; None when the blob is gone, or is another by now."""
    from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError  # noqa: PLC0415  # see remove

    try:
        return await call
    except ResourceModifiedError:
        return None
    except ResourceNotFoundError as exc:
        if str(getattr(exc, "error_code", "")) == "ContainerNotFound":
            raise
        return None


async def _chunks(stream: Any) -> AsyncIterator[bytes]:  # noqa: ANN401  # the library's
    async for chunk in stream.chunks():
        yield chunk
