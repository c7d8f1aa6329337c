"""What a scan of three minutes costs a function app, measured anew: the guide's claim is held by the code as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure_costs import Measured, Prices, bills, most_executions
from azure_measure import measure

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_a_scan_bills_at_least_twenty_times_less_than_waiting_for_it_does(tmp_path: Path) -> None:
    found = await measure(tmp_path, scans=5, every_s=0.5, speed=60.0, poll_batch=1)
    measured, prices = Measured.read(found), Prices.load()

    ours, blocking = bills(measured, prices, measured.ours), bills(measured, prices, measured.blocking)
    times = {plan: blocking[plan].gb_s / bill.gb_s for plan, bill in ours.items()}
    assert min(times.values()) >= 20, (times, found)
    assert found["handlers"]["event"]["per_scan"] == 1
    assert sum(one["per_scan"] for one in found["handlers"].values()) <= most_executions(measured, prices)
    assert set(found["storage_per_scan"]) == {"queue", "table", "blob_read", "blob_write"}
    assert 60 <= found["idle"]["timer_per_hour"] <= 180
