"""A worker process of the Functions host: Azure's own runtime for Python, driven over standard input and output.

``function_worker.py APP_FOLDER`` runs in an environment that holds azure-functions-runtime, outside of the tests' own.
It indexes the app and prints one line that says what there is; then every line it reads is an invocation, with values
as the host gives them (type and value), and is answered by a line. Many may be under way at once, as in Azure, where
one event loop serves them all.

The runtime (PyPI, azure-functions-runtime 1.3.0) is what Azure runs for Python 3.13 and later. The process around it,
which speaks gRPC with the host, is not published; ``invocation_request_native`` is the runtime's way in without it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
import types
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any

SITE = (".python_packages", "lib", "site-packages")
LONGEST_LINE = 16 * 1024 * 1024


class _Record(types.SimpleNamespace):
    """Any message of the protocol: its fields, and the states a result can have."""

    Failure, Success, Cancelled = 0, 1, 2


class _BindingInfo(_Record):
    """As the protocol numbers directions."""

    in_, out, inout, undefined = 0, 1, 2, 0


class Protos:
    """Stands for the module of protocol messages that the gRPC process lends to the runtime."""

    BindingInfo = _BindingInfo

    def __getattr__(self, name: str) -> type:
        return type(name, (_Record,), {})


class Worker:
    """An indexed app."""

    def __init__(self, app: Path) -> None:
        self._app = app
        self._functions: dict[str, tuple[str, dict[str, Any]]] = {}

    async def start(self) -> dict[str, Any]:
        """Index, and say what was found."""
        runtime = import_module("azure_functions_runtime")  # once the app's libraries are in the path

        runtime.start_threadpool_executor()
        asked = {"capabilities": {}, "function_app_directory": str(self._app)}
        request = types.SimpleNamespace(worker_init_request=types.SimpleNamespace(**asked))
        properties = {"host": "127.0.0.1", "protos": Protos()}
        started = await runtime.worker_init_request(types.SimpleNamespace(request=request, properties=properties))
        if started.result.status != 1:
            return {"error": started.result.exception.message, "functions": {}}
        listed = await runtime.functions_metadata_request(types.SimpleNamespace(request=None, properties={}))
        found: dict[str, Any] = {}
        for one in listed.function_metadata_results or ():
            bindings = [json.loads(text) for text in one.raw_bindings]
            trigger = next(binding for binding in bindings if binding["type"].lower().endswith("trigger"))
            self._functions[one.name] = (one.function_id, trigger)
            found[one.name] = bindings
        return {"error": "", "functions": found, "loaded": _loaded_from(), "python": sys.version}

    async def invoke(self, call: dict[str, Any]) -> dict[str, Any]:
        """Run one function."""
        native = import_module("azure_functions_runtime.native_invocation")
        datum = import_module("azure_functions_runtime.bindings.datumdef").Datum
        function, trigger = self._functions[call["function"]]
        inputs = [(trigger["name"], _datum(datum, call["data"]))]
        metadata = {name: _datum(datum, value) for name, value in call.get("metadata", {}).items()}
        began = time.perf_counter()
        ok, returned, outputs, error, trace = await native.invocation_request_native(
            str(uuid.uuid4()), function, inputs, metadata, trace_parent=call.get("trace_parent", "")
        )
        return {
            "id": call["id"],
            "ok": ok,
            "return": _plain(returned),
            "outputs": {name: value.python_value for name, value in outputs},
            "error": error,
            "trace": trace,
            "ms": (time.perf_counter() - began) * 1e3,
        }


def _datum(kind: Any, given: dict[str, Any]) -> Any:
    value = given["value"]
    if given["type"] == "bytes":
        value = value.encode()
    if given["type"] == "http":
        value = {name: _http_part(kind, part) for name, part in value.items()}
    return kind(value, given["type"])


def _http_part(kind: Any, part: Any) -> Any:
    return {name: kind(text, "string") for name, text in part.items()} if isinstance(part, dict) else _text(kind, part)


def _text(kind: Any, part: str | None) -> Any:
    return None if part is None else kind(part, "string")


def _plain(datum: Any) -> Any:
    if datum is None:
        return None
    value = datum.value
    if datum.type == "http":
        return {name: _plain(part) if hasattr(part, "type") else _headers(part) for name, part in value.items()}
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _headers(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _plain(value) for name, value in part.items()}
    return part if isinstance(part, str | int | type(None)) else str(part)


def _loaded_from() -> dict[str, str]:
    names = ("function_app", "scanguard_function", "scanguard", "scanguard_azure", "pydantic", "azure.functions")
    return {name: str(sys.modules[name].__file__) for name in names if name in sys.modules}


async def main(app: Path) -> None:
    """Index, then serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints writes to the log
    sys.path[:0] = [str(app), str(app.joinpath(*SITE))]
    os.chdir(app)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    worker = Worker(app)
    print(json.dumps(await worker.start()), file=answers, flush=True)
    lines = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def answer(line: bytes) -> None:
        print(json.dumps(await worker.invoke(json.loads(line)), default=str), file=answers, flush=True)

    under_way: set[asyncio.Task[None]] = set()
    while line := await lines.readline():
        task = asyncio.create_task(answer(line))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    sys.stderr.flush()
    os._exit(0)  # at once, as the platform ends workers: nothing may depend on an orderly end


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).resolve()))
