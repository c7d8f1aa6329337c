"""How much of Azure's limits is used.

Facts: https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/request-limits-and-throttling and
https://learn.microsoft.com/en-us/azure/governance/resource-graph/concepts/guidance-for-throttled-requests.
"""

from __future__ import annotations

from typing import Final

from scanguard.model.rate import Rate

READS: Final = (Rate.parse("240/30s"),)
"""Of each subscription. Azure allows 250 at once and 25 a second after that.

The rest is for others with this identity.
"""
READS_PER_WORKLOAD: Final = 2
"""The workload, and its revisions or executions."""
QUERIES: Final = (Rate.parse("60/m"),)
"""Of Resource Graph, which allows 15 in 5 seconds."""
