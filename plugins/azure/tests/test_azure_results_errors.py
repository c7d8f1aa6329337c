"""What the storage account answers when it refuses, as people see it; options that cannot be right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from azurite import Azurite
from pydantic import ValidationError
from results_account import ResultsAccount, notice
from scanguard_azure.results_config import ResultsConfig

from scanguard.errors import SinkError
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

REFUSALS = [
    (403, "AuthorizationPermissionMismatch", "Storage Table Data Contributor"),
    (403, "AuthorizationFailure", "network"),
    (403, "KeyBasedAuthenticationNotPermitted", "account"),
    (404, "TableNotFound", "create"),
    (503, "ServerBusy", "503"),
    (500, "OperationTimedOut", "500"),
]


async def refusal(folder: Path, answer: Answer) -> SinkError:
    async def refuse(request: ReceivedRequest) -> Answer:
        return answer

    async with LoopbackServer(refuse) as server:
        port = int(server.url.rpartition(":")[2])
        place = ResultsAccount(Azurite.through(port, port, port), "results")
        async with place.sink(folder, create=False) as sink:
            with pytest.raises(SinkError) as caught:
                await sink.write(notice())
    return caught.value


@pytest.mark.parametrize(("status", "code", "says"), REFUSALS, ids=[code for _, code, _ in REFUSALS])
async def test_a_refusal_names_what_is_refused_and_what_to_do(
    tmp_path: Path, status: int, code: str, says: str
) -> None:
    body = f'{{"odata.error": {{"code": "{code}", "message": {{"lang": "en-US", "value": "s3cr3t"}}}}}}'.encode()
    error = await refusal(tmp_path, Answer(status, body, {"Content-Type": "application/json", "x-ms-error-code": code}))
    assert "results" in error.message
    assert code in error.message or code == "TableNotFound"
    assert says in error.message
    assert "s3cr3t" not in error.message
    assert error.is_retryable


async def test_a_throttled_account_is_left_alone_as_long_as_it_says(tmp_path: Path) -> None:
    error = await refusal(tmp_path, Answer(503, b"", {"Retry-After": "17"}))
    assert error.retry_after_s == 17


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "account"),
        ({"account": "a1b2c3", "connection_string": "env:X"}, "account"),
        ({"account": "Not-A-Name"}, "account"),
        ({"account": "abc", "container": "Scan_Results"}, "container"),
        ({"account": "abc", "container": "a--b"}, "container"),
        ({"account": "abc", "table": "scan-metadata"}, "table"),
        ({"account": "abc", "recent_table": "scanmetadata"}, "another table"),
        ({"account": "abc", "retention": "3h"}, "retention"),
        ({"account": "abc", "retention": 90}, "unit"),
    ],
)
def test_options_that_cannot_be_right_are_refused(options: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ResultsConfig.model_validate(options)


def test_names_and_retention_are_those_of_the_guide() -> None:
    config = ResultsConfig(account="contosoresults")
    assert (config.container, config.table, config.recent_table) == (
        "scan-results",
        "ScanMetadata",
        "ScanMetadataRecent",
    )
    assert config.retention is not None
    assert config.retention.days == 90
    assert config.creates is False


def test_the_guide_lists_every_option() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "azure" / "results.md").read_text(encoding="utf-8")
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[a-z].*?`) \| [^|]*\| [A-Z`]", guide, re.MULTILINE)))
    assert set(ResultsConfig.model_fields) == set(listed)
