"""Names and operations in Bicep are those of the code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
from bicep import INFRA, Bicep
from scanguard_azure.arm import roles
from scanguard_azure.results_config import ResultsConfig
from scanguard_azure.storage_config import StorageConfig

from scanguard.builtin.events import OPERATIONS
from scanguard.cli.root import cli
from scanguard.ports import Lane

ROOT = INFRA.parent
NAMES: dict[str, Any] = json.loads((INFRA / "modules" / "names.json").read_text(encoding="utf-8"))
ADAPTER = ROOT / "adapters" / "azure_function"


def module(name: str) -> Bicep:
    return Bicep(INFRA / "modules" / f"{name}.bicep")


def test_there_is_a_queue_and_a_poison_queue_for_every_lane() -> None:
    expected = {f"scanguard-{lane}{suffix}" for lane in Lane for suffix in ("", "-poison")}

    assert set(NAMES["queues"]) == expected | {"scanguard-unreadable"}
    assert NAMES["heavyQueue"] == f"scanguard-{Lane.HEAVY}"


def test_the_guide_names_what_a_standby_has_off() -> None:
    guide = (ROOT / "docs" / "azure" / "standby.md").read_text(encoding="utf-8")

    assert [name for name in NAMES["functions"]["triggers"] if f"`{name}`" not in guide] == []


def test_events_are_filtered_by_the_operations_that_are_understood() -> None:
    asked = {operation.lower() for operation in module("event-subscription").variables["operations"]}
    written = {operation for operation in OPERATIONS if operation.endswith("/write")}

    assert written
    assert asked == written | {operation.removesuffix("write") + "delete" for operation in written}


def test_the_filter_asks_for_those_operations_and_both_types() -> None:
    (subscription,) = module("event-subscription").of_type("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    filters = subscription.body["properties"]["filter"]

    assert filters["includedEventTypes"] == [
        "Microsoft.Resources.ResourceWriteSuccess",
        "Microsoft.Resources.ResourceDeleteSuccess",
    ]
    assert filters["advancedFilters"] == [
        {"operatorType": "StringIn", "key": "data.operationName", "values": "operations"}
    ]


def test_an_event_that_cannot_be_delivered_is_tried_for_a_day_and_kept() -> None:
    for name in ("event-subscription", "registry-events"):
        (subscription,) = module(name).of_type("Microsoft.EventGrid/systemTopics/eventSubscriptions")
        properties = subscription.body["properties"]

        assert properties["retryPolicy"] == {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}
        kept = properties["deadLetterWithResourceIdentity"]
        assert kept["identity"] == {"type": "SystemAssigned"}
        assert kept["deadLetterDestination"]["properties"]["blobContainerName"] == "names.containers.deadLetters"


def test_the_worker_of_the_heavy_lane_comes_when_its_queue_has_messages() -> None:
    (worker,) = module("worker").of_type("Microsoft.App/containerApps")
    template = worker.body["properties"]["template"]

    command, *options = template["containers"][0]["args"]
    assert (command, options) == ("worker", ["--lane", str(Lane.HEAVY)])
    documented = cli.get_command(click.Context(cli), command)
    assert documented is not None
    assert documented.make_context(command, list(options)).params["lanes"] == (Lane.HEAVY,)
    assert template["scale"]["minReplicas"] == 0
    rule = template["scale"]["rules"][0]["azureQueue"]
    assert (rule["queueName"], rule["identity"]) == ("names.heavyQueue", "readerId")


def test_reading_takes_these_actions_and_no_other() -> None:
    assert module("reading-role").variables["actions"] == [
        "Microsoft.ContainerInstance/containerGroups/read",
        "Microsoft.App/containerApps/read",
        "Microsoft.App/containerApps/revisions/read",
        "Microsoft.App/jobs/read",
        "Microsoft.App/jobs/executions/read",
        "Microsoft.ResourceGraph/resources/read",
        "Microsoft.Resources/subscriptions/read",
    ]


def test_the_platform_asks_for_no_other_action() -> None:
    asked = {*roles.READ.values(), roles.READ_REVISIONS, roles.READ_EXECUTIONS, roles.READ_SUBSCRIPTION}

    assert {*asked, "Microsoft.ResourceGraph/resources/read"} == set(module("reading-role").variables["actions"])


@pytest.mark.parametrize("name", ["reading-role", "tagging-role"])
def test_no_role_allows_more_than_is_named(name: str) -> None:
    (role,) = module(name).of_type("Microsoft.Authorization/roleDefinitions")

    assert role.body["properties"]["permissions"] == [
        {"actions": "actions", "notActions": [], "dataActions": [], "notDataActions": []}
    ]
    assert not [action for action in module(name).variables["actions"] if "*" in action or "/action" in action.lower()]


def test_results_and_dead_letters_end_after_the_days_that_were_asked_for() -> None:
    assert Bicep(INFRA / "main.bicep").defaults["retentionDays"] == 90
    (policy,) = module("storage").of_type("Microsoft.Storage/storageAccounts/managementPolicies")
    rules = policy.body["properties"]["policy"]["rules"]

    prefixes = [rule["definition"]["filters"]["prefixMatch"][0] for rule in rules]
    assert prefixes == ["'${names.containers.results}/'", "'${names.containers.deadLetters}/'"]
    for rule in rules:
        assert rule["definition"]["actions"]["baseBlob"]["delete"] == {
            "daysAfterModificationGreaterThan": "retentionDays"
        }


def test_the_sink_finds_its_container_and_tables() -> None:
    options = {name: field.default for name, field in ResultsConfig.model_fields.items()}

    assert NAMES["containers"]["results"] == options["container"]
    assert {options["table"], options["recent_table"]} <= set(NAMES["tables"])


def test_the_backend_finds_its_queues_tables_and_container() -> None:
    """With an identity it makes nothing itself."""
    options = {name: field.default for name, field in StorageConfig.model_fields.items()}

    assert {f"{options['queue_prefix']}{lane}" for lane in Lane} <= set(NAMES["queues"])
    assert {f"{options['table_prefix']}{table}" for table in ("State", "Due", "Records")} <= set(NAMES["tables"])
    assert NAMES["containers"]["data"] == options["container"]
    assert "account" in options


def test_triggers_have_the_names_of_the_functions() -> None:
    functions = set(_told("function_name"))

    assert NAMES["functions"]["events"] in functions
    assert functions - set(NAMES["functions"]["triggers"]) == {"Approvals", "Health", "Reports"}, "these only answer"
    assert set(NAMES["functions"]["triggers"]) <= functions


def test_the_queues_of_the_functions_and_the_hosts_connection_are_there() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in ADAPTER.rglob("*.py"))
    settings = (INFRA / "modules" / "function.bicep").read_text(encoding="utf-8")

    assert 'CONNECTION: Final = "AzureWebJobsStorage"' in code
    assert "'AzureWebJobsStorage__accountName'" in settings
    for variable in re.findall(r"'(SCANGUARD_(?!_)\w+)'", settings):
        assert f'"{variable}"' in code, f"{variable} is set, and nobody reads it"


def test_messages_are_encoded_as_the_backend_writes_them() -> None:
    host = json.loads((ADAPTER / "host.json").read_text(encoding="utf-8"))

    assert host["extensions"]["queues"]["messageEncoding"] == "base64"


def _told(decorator: str) -> Iterator[str]:
    """What ``decorator("…")`` is told in the adapter; a name that has the lane in it stands for one of each lane."""
    for path in ADAPTER.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == decorator:
                yield from _names(call.args[0])


def _names(argument: ast.expr) -> Iterator[str]:
    if isinstance(argument, ast.Constant):
        yield str(argument.value)
    elif isinstance(argument, ast.JoinedStr):
        for lane in Lane:
            parts = (part.value if isinstance(part, ast.Constant) else lane.capitalize() for part in argument.values)
            yield "".join(map(str, parts))
