"""Clients of one storage account: made once, when they are first needed; every call becomes ours if it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scanguard import BackendError, Lane, PluginContext
from scanguard_azure.identity import Identity
from scanguard_azure.storage_account import AccountConfig
from scanguard_azure.storage_config import StorageConfig
from scanguard_azure.storage_errors import MISSING_CODES, as_backend_error, code_of, unreadable

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient
    from azure.storage.blob.aio import ContainerClient
    from azure.storage.queue.aio import QueueClient

T = TypeVar("T")
BACKOFF_S: Final = 0.5
MAX_BACKOFF_S: Final = 10.0
PIECE_BYTES: Final = 1024 * 1024
"""Larger documents are sent in blocks, which are nothing before the last: aiohttp warns of longer bodies."""


class AccountClients:
    """The clients of an account's services; ``options`` are laid over theirs. Close them with :meth:`aclose`."""

    def __init__(self, config: AccountConfig, context: PluginContext, **options: Any) -> None:  # noqa: ANN401  # Azure's own
        self._account = config
        self._context = context
        self._options = options
        self._identity = Identity(config)
        self._lock = asyncio.Lock()
        self._services: dict[str, Any] = {}

    async def service(self, kind: str) -> Any:  # noqa: ANN401  # one of three clients
        """The client of ``blob``, ``queue`` or ``table``. BackendError when the connection string is none."""
        async with self._lock:
            if kind not in self._services:
                self._services[kind] = await self._opened(kind)
            return self._services[kind]

    async def aclose(self) -> None:
        """Close every client that was made."""
        services, self._services = self._services, {}
        for service in services.values():
            await service.close()
        await self._identity.aclose()

    async def _opened(self, kind: str) -> Any:  # noqa: ANN401  # one of three clients
        config = self._account
        client, options = _client_of(kind, config)
        options |= self._options
        if config.connection_string is None:
            return client(config.endpoint(kind), credential=self._identity.credential, **options)
        secret = await self._context.secret(config.connection_string)
        try:
            return client.from_connection_string(secret.get_secret_value(), **options)
        except ValueError as exc:
            text = f"{config.connection_string} holds no connection string of a storage account"
            raise BackendError(text) from exc


class StorageClients(AccountClients):
    """Gives the backend's calls a client of a table, a queue or the container."""

    def __init__(self, config: StorageConfig, context: PluginContext) -> None:
        super().__init__(config, context)
        self.config = config
        self._clients: dict[tuple[str, str], Any] = {}

    async def table(self, name: str, call: Callable[[TableClient], Awaitable[T]]) -> T:
        """Call with the table ``State``, ``Due`` or ``Records``. Raises BackendError."""
        client: TableClient = await self._client("table", self.config.table(name))
        return await self._called("table", client.table_name, client.create_table, lambda: call(client))

    async def queue(self, lane: Lane, call: Callable[[QueueClient], Awaitable[T]]) -> T:
        """Call with a lane's queue. Raises BackendError."""
        client: QueueClient = await self._client("queue", self.config.queue(lane))
        return await self._called("queue", client.queue_name, client.create_queue, lambda: call(client))

    async def container(self, call: Callable[[ContainerClient], Awaitable[T]]) -> T:
        """Call with the container. Raises BackendError."""
        client: ContainerClient = await self._client("container", self.config.container)
        return await self._called("blob", client.container_name, client.create_container, lambda: call(client))

    async def aclose(self) -> None:
        """Close every client that was made."""
        self._clients = {}
        await super().aclose()

    async def _called(
        self, service: str, name: str, create: Callable[[], Awaitable[Any]], call: Callable[[], Awaitable[T]]
    ) -> T:
        from azure.core.exceptions import AzureError  # noqa: PLC0415  # loaded with the clients

        try:
            try:
                return await call()
            except AzureError as exc:
                if not self.config.creates or code_of(exc) not in MISSING_CODES:
                    raise
                await _made(create)
                return await call()
        except AzureError as exc:
            raise as_backend_error(exc, service, name) from exc
        except Exception as exc:  # the library reads whatever it was answered, and trips over some of it
            raise unreadable(exc, service, name) from exc

    async def _client(self, kind: str, name: str) -> Any:  # noqa: ANN401  # one of three clients
        """The client of a table, queue or container; all of one service share its connections."""
        found = self._clients.get((kind, name))
        if found is None:
            service = await self.service("blob" if kind == "container" else kind)
            found = self._clients[kind, name] = getattr(service, f"get_{kind}_client")(name)
        return found


async def _made(create: Callable[[], Awaitable[Any]]) -> None:
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415  # loaded with the clients

    try:
        await create()
    except ResourceExistsError:
        return  # another was faster


def _client_of(kind: str, config: AccountConfig) -> tuple[Any, dict[str, Any]]:
    """A service's client class, and options that bound its time: by themselves they wait for minutes."""
    options: dict[str, Any] = {
        "connection_timeout": config.connect_timeout_s,
        "read_timeout": config.read_timeout_s,
        "logging_enable": False,
    }
    if kind == "table":
        from azure.data.tables.aio import TableServiceClient  # noqa: PLC0415  # a quarter of a second

        retry = {"retry_total": config.retries, "retry_backoff_factor": BACKOFF_S, "retry_backoff_max": MAX_BACKOFF_S}
        return TableServiceClient, {**options, **retry}
    if kind == "queue":
        from azure.storage.queue.aio import QueueServiceClient  # noqa: PLC0415  # half a second

        return QueueServiceClient, {**options, **_storage_retry(config)}
    from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415  # half a second

    sizes = {"max_single_put_size": PIECE_BYTES, "max_block_size": PIECE_BYTES}
    return BlobServiceClient, {**options, **sizes, **_storage_retry(config)}


def _storage_retry(config: AccountConfig) -> dict[str, Any]:
    return {
        "retry_total": config.retries,
        "initial_backoff": BACKOFF_S,
        "increment_base": 2,
        "random_jitter_range": 0.3,
    }


@asynccontextmanager
async def storage_clients(config: StorageConfig, context: PluginContext) -> AsyncIterator[StorageClients]:
    """Clients until the block ends; nothing is asked before the first call."""
    clients = StorageClients(config, context)
    try:
        yield clients
    finally:
        await clients.aclose()
