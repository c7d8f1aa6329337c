"""Writes the pre-built queries a second time, in the names of a classic Application Insights resource.

``python tools/classic_queries.py`` writes ``infra/monitoring/queries/classic``; a test says when that was forgotten.
Names by https://learn.microsoft.com/en-us/azure/azure-monitor/app/convert-classic-resource#table-structure.
"""

from __future__ import annotations

import re
from pathlib import Path

QUERIES = Path(__file__).parents[1] / "infra" / "monitoring" / "queries"
NAMES = {
    "AppDependencies": "dependencies",
    "AppEvents": "customEvents",
    "AppExceptions": "exceptions",
    "AppMetrics": "customMetrics",
    "AppRequests": "requests",
    "AppTraces": "traces",
    "DependencyType": "type",
    "DurationMs": "duration",
    "ExceptionType": "type",
    "ItemCount": "valueCount",
    "Max": "valueMax",
    "Name": "name",
    "OperationId": "operation_Id",
    "OuterMessage": "outerMessage",
    "ProblemId": "problemId",
    "Properties": "customDimensions",
    "Success": "success",
    "Sum": "valueSum",
    "Target": "target",
    "TimeGenerated": "timestamp",
}
"""Tables and columns: those of a workspace, and those of a classic resource. ``ItemCount`` is that of metrics."""
_TOKEN = re.compile(r'"[^"]*"|//[^\n]*|\b[A-Za-z]\w*\b')


def classic(query: str) -> str:
    """A query for a workspace, for a classic resource; texts and comments stay as they are."""
    return _TOKEN.sub(lambda match: NAMES.get(match.group(), match.group()), query)


def main() -> None:
    """Write every query anew."""
    (QUERIES / "classic").mkdir(exist_ok=True)
    for file in QUERIES.glob("*.kql"):
        (QUERIES / "classic" / file.name).write_text(classic(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
