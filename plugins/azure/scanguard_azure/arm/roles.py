"""What an identity needs to be granted, in words for people who get a 403.

Actions by https://learn.microsoft.com/en-us/azure/role-based-access-control/permissions/containers.
"""

from __future__ import annotations

from typing import Final

from scanguard_azure.arm.ids import Kind

READ: Final = {
    Kind.CONTAINER_GROUP: "Microsoft.ContainerInstance/containerGroups/read",
    Kind.CONTAINER_APP: "Microsoft.App/containerApps/read",
    Kind.CONTAINER_APP_JOB: "Microsoft.App/jobs/read",
}
READ_REVISIONS: Final = "Microsoft.App/containerApps/revisions/read"
READ_EXECUTIONS: Final = "Microsoft.App/jobs/executions/read"
READ_SUBSCRIPTION: Final = "Microsoft.Resources/subscriptions/read"


def grant(action: str, scope: str) -> str:
    """The advice: which role, and which action where roles are made to measure."""
    return f"grant its identity the role Reader, or a role of your own with the action {action}, at {scope}"
