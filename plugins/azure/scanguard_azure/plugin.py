"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from scanguard import BackendSpec, hookimpl
from scanguard_azure.storage_config import StorageConfig

if TYPE_CHECKING:
    from scanguard import Backend, PluginContext

scanguard_api_version = 1


def _storage(config: Any, context: PluginContext) -> AbstractAsyncContextManager[Backend]:  # noqa: ANN401  # StorageConfig
    from scanguard_azure.storage_backend import open_storage  # noqa: PLC0415  # when it is used

    return open_storage(config, context)


@hookimpl
def scanguard_backends() -> Iterable[BackendSpec]:
    """The backend."""
    yield BackendSpec(
        name="azure_storage",
        config=StorageConfig,
        open=_storage,
        description="Azure Storage: queues, tables and blobs of one account, for any number of workers.",
    )
