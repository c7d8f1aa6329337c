"""What the storage account says when it does not do what it was asked, as errors of a sink."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from azure.core.exceptions import AzureError

from scanguard import SinkError
from scanguard_azure.storage_errors import as_backend_error


@contextmanager
def sink_errors(service: Literal["blob", "table"], name: str) -> Iterator[None]:
    """Turn errors of Azure's libraries about a container or a table into SinkError.

    All of them can be tried again: a role, a container or an account that is missing may be there tomorrow.
    """
    try:
        yield
    except AzureError as exc:
        said = as_backend_error(exc, service, name)
        raise SinkError(said.message, target=name, retry_after_s=said.retry_after_s) from exc
