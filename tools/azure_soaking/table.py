"""What came of a soak on Azure's parts, for people to read."""

from __future__ import annotations

from soaking.run import Soaked
from soaking.table import table

from azure_soaking.run import Hardships


def azure_table(soaked: Soaked, hardships: Hardships) -> str:
    """Hardships, then what every soak tells."""
    refused = sum(number for status, number in hardships.arm.items() if status in (429, 503))
    rows = {
        "storage": f"restarted {hardships.restarts:,} times, {hardships.cuts:,} cuts of all connections, "
        f"{hardships.swallowed:,} answers swallowed",
        "messages": f"{hardships.doubled:,} put in twice",
        "function app": f"killed {hardships.function_kills:,} times, {hardships.function_calls:,} executions "
        f"({hardships.function_failures:,} failed), {hardships.acknowledged:,} events acknowledged",
        "Resource Manager": f"{sum(hardships.arm.values()):,} requests, {refused:,} refused with 429 or 503",
    }
    return "\n".join([*(f"{name:<16} {value}" for name, value in rows.items()), table(soaked)])
