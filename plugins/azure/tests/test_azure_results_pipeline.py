"""The installed command with the demonstration's event: what is judged can be queried in the account, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from results_account import ResultsAccount, notice
from scanguard_azure.results_keys import image_key
from workspace import ROOT

from scanguard.render.stored import StoredResult

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
DEMO = ROOT / "examples" / "demo"
FAIL = 10


def run(folder: Path, account: ResultsAccount, *arguments: str) -> str:
    program = str(Path(sys.executable).with_name("scanguard"))
    config = ("--config", str(folder / "scanguard.yaml"))
    environ = {**os.environ, "STORAGE": account.connection_string}
    done = subprocess.run(  # noqa: S603  # our own command
        [program, "--data-dir", str(folder / "data"), *config, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, FAIL}, done.stderr
    assert account.connection_string not in done.stdout + done.stderr
    return done.stdout


async def test_a_deployment_that_is_judged_can_be_queried_in_the_account(
    account: ResultsAccount, tmp_path: Path
) -> None:
    config = yaml.safe_load((DEMO / "scanguard.yaml").read_text(encoding="utf-8"))
    config["instances"]["deployments"]["file"] = str(DEMO / "deployments.yaml")
    config["instances"]["results"] = {"plugin": "azure_results", **account.options()}
    config["chains"]["default"]["sinks"] = ["results"]
    (tmp_path / "scanguard.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    run(tmp_path, account, "osv", "import", str(next((DEMO / "advisories").glob("*.zip"))))
    run(tmp_path, account, "event", str(DEMO / "event.json"))
    run(tmp_path, account, "event", str(DEMO / "event.json"))  # delivered twice, as Event Grid may

    rows = await account.rows()
    verdicts = json.loads(run(tmp_path, account, "results", "--format", "json"))
    assert rows
    assert {row["ScanId"] for row in rows} == {str(one["id"]) for one in verdicts["verdicts"]}
    assert len(await account.blobs()) == len(rows) == len(await account.rows(recent=True))
    for row in rows:
        assert row["PartitionKey"] == image_key(row["Image"])
        document, _ = await account.blob(row["BlobPath"])
        assert StoredResult.model_validate_json(document).verdict.id == row["ScanId"]
    run(tmp_path, account, "doctor")


async def test_the_retention_job_is_run_by_a_worker(account: ResultsAccount, tmp_path: Path) -> None:
    config = {
        "version": 1,
        "instances": {"results": {"plugin": "azure_results", **account.options()}},
        "chains": {"default": {"scanners": [], "sinks": ["results"]}},
    }
    (tmp_path / "scanguard.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    now = datetime.now(UTC)
    async with account.sink(tmp_path) as sink:
        await sink.write(notice(name="old", decided_at=now - timedelta(days=92)))
        await sink.write(notice(name="new", decided_at=now - timedelta(days=89)))
    run(tmp_path, account, "sweeps", "run", "results")
    run(tmp_path, account, "worker", "--once")
    for recent in (False, True):
        assert [str(row["ResourceId"])[-3:] for row in await account.rows(recent=recent)] == ["new"]
