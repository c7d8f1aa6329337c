"""The arithmetic, each figure worked out by hand from the rule it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import azure_costs
import pytest
from azure_costs import Measured, Prices, Work

TOOLS = Path(azure_costs.__file__).parent


@pytest.fixture
def prices() -> Prices:
    return Prices(
        {
            "plans": {
                "consumption": numbers(
                    minimum_ms=100,
                    granularity_ms=1,
                    memory_step_mb=128,
                    memory_maximum_mb=1536,
                    usd_per_gb_s=0.5,
                    usd_per_million_executions=4,
                ),
                "flex": numbers(
                    minimum_ms=1000,
                    granularity_ms=100,
                    instance_mb=2048,
                    usd_per_gb_s=0.25,
                    usd_per_million_executions=8,
                ),
                "premium": numbers(
                    cores=1, instance_mb=3584, instances_always=1, usd_per_core_hour=0.16, usd_per_gb_hour=0.01
                ),
            },
            "storage": numbers(queue=0.1, table=0.01),
            "storage_geo_factor": {"value": 2},
            "event_grid_usd_per_million": {"value": 0.6},
        }
    )


def numbers(**values: float) -> dict[str, Any]:
    return {name: {"value": value} for name, value in values.items()}


def example(**changes: Any) -> Measured:
    document = json.loads((TOOLS / "azure_costs.example.json").read_text(encoding="utf-8"))
    return Measured.read({**document, **changes})


@pytest.mark.parametrize(
    ("ms", "memory_mb", "gb_s"),
    [
        pytest.param(20, 100, 0.1 * 128 / 1024, id="at least 100 ms and 128 MB"),
        pytest.param(100.2, 128, 0.101 * 128 / 1024, id="up to the next millisecond"),
        pytest.param(2000, 160, 2 * 256 / 1024, id="160 MB are billed as 256"),
        pytest.param(1000, 9000, 1.5, id="never more than 1536 MB"),
    ],
)
def test_consumption_rounds_time_and_memory_up(ms: float, memory_mb: float, gb_s: float, prices: Prices) -> None:
    bill = azure_costs.consumption([Work(1, ms)], memory_mb, prices)

    assert bill.gb_s == pytest.approx(gb_s)
    assert bill.usd == pytest.approx(gb_s * 0.5 + 4 / 1e6)


@pytest.mark.parametrize(
    ("ms", "gb_s"),
    [
        pytest.param(5, 2.0, id="at least a second"),
        pytest.param(1000, 2.0, id="a second"),
        pytest.param(1001, 2.2, id="up to the next 100 ms"),
        pytest.param(187_500, 375.0, id="a scan that waits"),
    ],
)
def test_flex_bills_the_instance_for_at_least_a_second(ms: float, gb_s: float, prices: Prices) -> None:
    assert azure_costs.flex([Work(1, ms)], 1, prices).gb_s == pytest.approx(gb_s)


def test_executions_that_share_an_instance_share_its_bill(prices: Prices) -> None:
    assert azure_costs.flex([Work(8, 5)], 4, prices).gb_s == pytest.approx(4.0)


def test_premium_bills_cores_and_memory_by_the_hour_and_no_executions(prices: Prices) -> None:
    bill = azure_costs.premium([Work(3600, 1000)], 1, prices)

    assert bill.usd == pytest.approx(0.16 + 3.5 * 0.01)
    assert bill.gb_s == pytest.approx(3600 * 3.5)
    assert azure_costs.premium_month(prices) == pytest.approx(730 * 0.195)


def test_storage_is_billed_by_ten_thousand_and_twice_for_two_regions(prices: Prices) -> None:
    assert azure_costs.storage_usd({"queue": 20_000, "table": 10_000}, prices) == pytest.approx((0.2 + 0.01) * 2)


def test_an_instance_that_stays_up_polls_its_queues() -> None:
    idle = {"timer_per_hour": 1, "timer_ms": 1, "queues": 2, "poll_interval_s": 10, "storage_per_timer": {"queue": 3}}
    measured = example(idle=idle)

    assert azure_costs.idle_operations(measured, polling=False) == {"queue": 3 * 730}
    assert azure_costs.idle_operations(measured, polling=True) == {"queue": 3 * 730 + 2 * 730 * 360}


def test_both_designs_are_billed_by_one_rule(prices: Prices) -> None:
    """Nine executions below a second against 187.5 s: 187.5 / 9 times."""
    measured = example()

    ours = azure_costs.bills(measured, prices, measured.ours)["Flex Consumption"]
    blocking = azure_costs.bills(measured, prices, measured.blocking)["Flex Consumption"]

    assert (ours.executions, blocking.executions) == (9000, 1000)
    assert blocking.gb_s / ours.gb_s == pytest.approx(187.5 / 9)


def test_how_many_executions_a_scan_may_take(prices: Prices) -> None:
    assert azure_costs.most_executions(example(), prices) == 9
    assert azure_costs.most_executions(example(scan_s=390, blocking_overhead_s=10), prices) == 20


def test_the_command_prints_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert azure_costs.main([str(TOOLS / "azure_costs.example.json")]) == 0

    printed = capsys.readouterr().out
    assert "| Flex Consumption | 18,000 | 375,000 | 20.8 | 9,000 |" in printed
    assert "made up" in printed


def test_the_guide_shows_what_the_command_prints() -> None:
    guide = (TOOLS.parent / "docs" / "azure" / "costs.md").read_text(encoding="utf-8")
    measured = TOOLS / "azure_costs.measured.json"
    shown = measured if measured.exists() else TOOLS / "azure_costs.example.json"

    assert azure_costs.tables(Measured.read(json.loads(shown.read_text(encoding="utf-8"))), Prices.load()) in guide
    assert shown.name in guide


def test_a_measurement_that_lacks_something_names_it() -> None:
    with pytest.raises(KeyError, match="memory_mb"):
        Measured.read({"measured": "", "scan_s": 1, "blocking_overhead_s": 1, "handlers": {}})


def test_every_price_and_rule_says_where_it_is_from() -> None:
    entries = dict(Prices.load().entries())

    assert len(entries) > 20
    for name, entry in entries.items():
        assert set(entry) == {"value", "verified", "source", "read"}, name
        assert entry["source"].startswith("https://"), name
