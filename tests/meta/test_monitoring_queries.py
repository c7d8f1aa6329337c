"""Queries and alert rules ask for names that the code really sends: a name that drifts would only find nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from classic_queries import NAMES, QUERIES, classic
from workspace import ROOT

from scanguard.engine.tracing import ATTRIBUTES
from scanguard.telemetry import events
from scanguard.telemetry.instruments import METRICS
from scanguard.telemetry.traces import COMPONENT

FILES = sorted(QUERIES.glob("*.kql"))
RULES: list[dict[str, Any]] = json.loads((QUERIES.parent / "alerts.json").read_text(encoding="utf-8"))["rules"]
ALL = [(file.stem, file.read_text(encoding="utf-8")) for file in FILES] + [
    (rule["name"], rule["query"]) for rule in RULES
]
EVENTS = {
    events.CONTAINER_SCAN: {*events.VERDICT_DIMENSIONS, *events.COUNTS.values(), events.TOTAL},
    events.SCAN_STARTED: {*events.SCAN_DIMENSIONS},
    events.SCAN_FAILED: {*events.SCAN_DIMENSIONS, *events.FAILURE_DIMENSIONS},
    events.AUDIT_EVENT: {*events.AUDIT_DIMENSIONS},
}
METRIC_ATTRIBUTES = {metric.name: set(metric.attributes) for metric in METRICS}
OTHERS = {
    "AppDependencies": {COMPONENT, *ATTRIBUTES},
    "AppExceptions": {"Component"},
    "AppRequests": {COMPONENT, *ATTRIBUTES},
}
"""Dimensions of tables that hold no named things of ours."""
TABLES = {name for name in NAMES if name.startswith("App")} | {"AegDeliveryFailureLogs"}
TEXT = r"""["']([^"']*)["']"""
OUTCOMES = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Query:
    """What a query names."""

    tables: set[str]
    names: set[str]
    dimensions: set[str]
    text: str


def parsed(text: str) -> Query:
    code = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    names = set(re.findall(rf"\bName == {TEXT}", code))
    for several in re.findall(r"\bName in \(([^)]*)\)", code):
        names |= set(re.findall(TEXT, several))
    tables = set(re.findall(r"\b(App[A-Z]\w+|Aeg\w+)\b", code))
    return Query(tables, names, set(re.findall(rf"Properties\[{TEXT}\]", code)), code)


@pytest.mark.parametrize(("name", "text"), ALL)
def test_a_query_names_events_metrics_and_dimensions_that_there_are(name: str, text: str) -> None:
    query = parsed(text)
    assert query.tables
    assert query.tables <= TABLES
    if "AppEvents" in query.tables and len(query.tables) == 1:
        assert query.names
        assert query.names <= set(EVENTS)
        known = set.union(*(EVENTS[one] for one in query.names))
    elif "AppMetrics" in query.tables:
        assert query.names
        assert query.names <= set(METRIC_ATTRIBUTES)
        known = set.union(*(METRIC_ATTRIBUTES[one] for one in query.names))
    else:
        assert not query.names
        known = set.union(*(OTHERS.get(table, set()) for table in query.tables))
    assert query.dimensions <= known


@pytest.mark.parametrize(("name", "text"), ALL)
def test_a_query_reads_every_dimension_as_what_it_is_and_closes_what_it_opens(name: str, text: str) -> None:
    code = parsed(text).text
    assert len(re.findall(r"(?:tostring|toint|todouble)\(Properties\[", code)) == code.count("Properties[")
    numbers = {*events.COUNTS.values(), events.TOTAL, "Revision", "Duration"}
    for how, dimension in re.findall(rf"(\w+)\(Properties\[{TEXT}\]", code):
        assert (how in ("toint", "todouble")) == (dimension in numbers), dimension
    bare = re.sub(TEXT, "", code)
    assert [bare.count(one) for one in "([{"] == [bare.count(one) for one in ")]}"]
    assert not re.search(r"customDimensions|customEvents|\btimestamp\b|operation_Id", code), "the classic dialect"
    for value in re.findall(rf"Properties\['(?:outcome|lane|kind)'\]\) == {TEXT}", code):
        assert value in OUTCOMES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_query_is_there_in_the_classic_dialect_as_well(file: Path) -> None:
    beside = file.parent / "classic" / file.name
    assert beside.read_text(encoding="utf-8") == classic(file.read_text(encoding="utf-8")), "tools/classic_queries.py"


def test_every_query_says_in_its_first_line_what_it_is_for_and_stands_in_the_guide() -> None:
    guide = (ROOT / "docs" / "azure" / "monitoring.md").read_text(encoding="utf-8")
    assert all(file.read_text(encoding="utf-8").startswith("// ") for file in FILES)
    assert re.findall(r"^\| `(\w+)\.kql` \|", guide, re.MULTILINE) == [file.stem for file in FILES]
    assert re.findall(r"^\| `([a-z-]+)` \| \d \|", guide, re.MULTILINE) == [rule["name"] for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_an_alert_rule_is_one_that_azure_takes(rule: dict[str, Any]) -> None:
    """By https://learn.microsoft.com/en-us/azure/azure-monitor/alerts/alerts-create-log-alert-rule."""
    minutes = {"PT5M": 5, "PT10M": 10, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT3H": 180, "PT6H": 360, "P1D": 1440}
    assert set(rule) == {
        "name", "displayName", "description", "severity", "autoMitigate", "evaluationFrequency", "windowSize",
        "threshold", "query",
    }  # fmt: skip
    assert re.fullmatch(r"[a-z0-9-]+", rule["name"])
    assert rule["severity"] in range(5)
    assert minutes[rule["evaluationFrequency"]] <= minutes[rule["windowSize"]]
    assert rule["threshold"] >= 0
    assert len(rule["description"]) > 60


def test_a_changed_name_would_be_seen() -> None:
    query = parsed('AppEvents | where Name == "ContainerScanned" | extend X = tostring(Properties["Picture"])')
    assert (query.names, query.dimensions) == ({"ContainerScanned"}, {"Picture"})
    assert not query.names & set(EVENTS)
