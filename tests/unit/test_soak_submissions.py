"""What counts as scanning twice, and what a soak's plan refuses."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from soaking.plan import Plan
from soaking.submissions import double_submissions

from scanguard.builtin.scripted_memory import Call
from scanguard.testing.samples import NOW

OK, HANG = ("submit", "accepted", None), ("submit", "accepted", "hang")
REFUSED = ("submit", "failed", "unavailable")
NONE, FOUND, FIND_FAILED = ("find", "none", None), ("find", "found", None), ("find", "failed", "timeout")
RUNNING, ANSWERED, UNREADABLE = ("poll", "running", None), ("poll", "answered", None), ("poll", "failed", "unreadable")
Step = tuple[str, str, str | None]


def calls(*steps: tuple[str, Step]) -> list[Call]:
    made = []
    for number, (key, (call, result, fault)) in enumerate(steps):
        line: dict[str, Any] = {"call": call, "result": result, "fault": fault, "key": key, "number": number, "pid": 1}
        moment = NOW + timedelta(seconds=number)
        made.append(Call(instance="one", digest=f"sha256:{'a' * 64}", time=moment, **line))
    return made


def run(key: str, *steps: Step) -> list[tuple[str, Step]]:
    return [(key, step) for step in steps]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(run("1", OK, RUNNING, ANSWERED), id="an ordinary scan"),
        pytest.param(run("1", REFUSED, REFUSED, OK, ANSWERED), id="refused before it is taken on"),
        pytest.param(run("1", OK, FOUND, RUNNING, ANSWERED), id="found after a crash"),
        pytest.param(run("1", HANG, FOUND, ANSWERED), id="found after a crash while it hung"),
        pytest.param(run("1", NONE, OK, ANSWERED), id="not there after a crash before the submit"),
        pytest.param(run("1", OK, ANSWERED, ANSWERED), id="answered twice after a crash"),
        pytest.param([*run("1", OK, UNREADABLE), *run("2", OK, ANSWERED)], id="a new run after a failed one"),
        pytest.param([*run("1", REFUSED), *run("2", OK, ANSWERED)], id="a new run after one never taken on"),
    ],
)
def test_one_scan_at_a_time_is_fine(steps: list[tuple[str, Step]]) -> None:
    assert list(double_submissions(calls(*steps))) == []


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(run("1", OK, OK), id="the same scan twice"),
        pytest.param(run("1", HANG, OK), id="again while the first answer was awaited"),
        pytest.param(run("1", OK, FIND_FAILED, OK), id="again though looking for it failed"),
        pytest.param(run("1", OK, FOUND, OK), id="again though it was found"),
        pytest.param([*run("1", OK, RUNNING), *run("2", OK)], id="a new run while one is under way"),
        pytest.param([*run("1", OK, ANSWERED), *run("2", OK)], id="a new run of what is fresh"),
    ],
)
def test_a_second_scan_is_seen(steps: list[tuple[str, Step]]) -> None:
    assert len(list(double_submissions(calls(*steps)))) == 1


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param({"digests": 2}, id="too few images"),
        pytest.param({"shared": 301}, id="more shared than there are"),
        pytest.param({"workers": 0}, id="nobody at work"),
        pytest.param({"kills": -1}, id="negative kills"),
    ],
)
def test_numbers_that_make_no_soak_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"least|no more"):
        Plan(**numbers)  # type: ignore[arg-type]  # every number here is whole


def test_a_plan_uses_every_image_and_sends_every_event_once() -> None:
    plan = Plan(deployments=500, digests=50, shared=100)
    images = [plan.images(number) for number in range(plan.deployments)]

    assert {image for each in images for image in each} == set(range(50))
    assert sum(0 in each for each in images) == plan.shared
    assert sorted(chain.from_iterable(plan.order())) == list(range(500))
    assert 0 not in plan.failing
