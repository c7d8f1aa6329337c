from __future__ import annotations

import json
import re
from typing import Any

import pytest
from bicep import INFRA, Bicep

from scanguard.telemetry import instruments

RULES: list[dict[str, Any]] = json.loads((INFRA / "monitoring" / "alerts.json").read_text(encoding="utf-8"))["rules"]
METRICS = {value.name for value in vars(instruments).values() if isinstance(value, instruments.Metric)}
HOURS = {f"PT{hours}H": 60 * hours for hours in (1, 2, 3, 4, 5, 6)}
MINUTES = {**{f"PT{minutes}M": minutes for minutes in (5, 10, 15, 30, 45)}, **HOURS, "P1D": 1440, "P2D": 2880}
"""What a log alert may have: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule."""
TABLES = r"^(App(Traces|Events|Metrics|Exceptions|Requests|Dependencies)|AegDeliveryFailureLogs)\b"


def test_there_are_rules_with_names_of_their_own() -> None:
    names = [rule["name"] for rule in RULES]

    assert len(names) >= 3
    assert len(set(names)) == len(names)
    assert "dead-letters" in names


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["name"]) for rule in RULES])
def test_a_rule_says_what_the_template_reads(rule: dict[str, Any]) -> None:
    template = Bicep(INFRA / "modules" / "alerts.bicep").text

    assert set(re.findall(r"\brule\.(\w+)", template)) == set(rule)
    assert re.fullmatch(r"[a-z0-9-]{3,60}", rule["name"])
    assert rule["severity"] in range(5)
    assert rule["threshold"] >= 0
    assert MINUTES[rule["windowSize"]] >= MINUTES[rule["evaluationFrequency"]]
    assert len(rule["description"]) > 40, "what it means, and what to do"


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["name"]) for rule in RULES])
def test_a_rule_asks_tables_of_the_workspace_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    """The rules' scope is the workspace: ``customMetrics`` and its kin are names of Application Insights."""
    assert re.search(TABLES, rule["query"], re.MULTILINE)
    assert not re.search(r"\b(customMetrics|customEvents|customDimensions|traces|requests|exceptions)\b", rule["query"])
    assert set(re.findall(r"['\"](scanguard\.[\w.]+)['\"]", rule["query"])) <= METRICS
