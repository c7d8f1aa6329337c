"""What people read: always within Crier's limits, and nothing from outside gets out of its line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scanguard import ImageVerdict, Outcome, Reason
from scanguard.testing.samples import sample_image_verdict, sample_report, sample_verdict
from scanguard.testing.server import ReceivedRequest

from crier_service import PATH, broken_limits
from scanguard_notify_crier.config import CrierConfig
from scanguard_notify_crier.message import body_for


def message(images: Sequence[ImageVerdict], *, max_images: int = 10, **changes: Any) -> dict[str, Any]:
    body = body_for(sample_verdict(images=images, **changes), key="key-1", max_images=max_images)
    assert not broken_limits(ReceivedRequest("POST", PATH, {"content-type": "application/json"}, body))
    parsed: dict[str, Any] = json.loads(body)
    return parsed


def image(name: str = "shop.example/web:1.4", **changes: object) -> ImageVerdict:
    return sample_image_verdict(sample_report(), Outcome.FAIL).model_copy(update={"name": name, **changes})


def test_a_message_says_what_where_and_why() -> None:
    told = message([image()], previous=Outcome.PASS)

    assert told["heading"] == "FAIL (was PASS): web in shop"
    assert "2 CRITICAL" in told["sections"][0]
    assert "threshold: 2 findings of severity CRITICAL" in told["sections"][0]
    assert told["sections"][-1].startswith("scanguard explain ")


def test_images_beyond_the_number_asked_for_are_counted() -> None:
    told = message([image(f"shop.example/web:{number}") for number in range(60)], max_images=3)

    assert len(told["sections"]) == 4
    assert told["sections"][-1].startswith("and 57 more images; scanguard explain ")


def test_a_message_that_would_be_too_large_says_how_many_images_it_leaves_out() -> None:
    reasons = tuple(Reason(policy="whale", outcome=Outcome.FAIL, message="🐳" * 2_000) for _ in range(9))
    told = message([image(reasons=reasons) for _ in range(18)], max_images=18)
    shown = len(told["sections"]) - 1

    assert 0 < shown < 18
    assert f"and {18 - shown} more images" in told["sections"][-1]
    assert "and 4 more reasons" in told["sections"][0]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("<!everyone> " + "<" * 3_000, id="markup"),
        pytest.param("&" * 279, id="an entity at the limit"),
        pytest.param("web\nPASS all is well", id="line break"),
        pytest.param("web\u202e\u200b\x1b[2J", id="hidden characters"),
        pytest.param("\ud83d", id="half a character"),
        pytest.param("", id="empty"),
    ],
)
def test_a_hostile_name_stays_within_its_line(name: str) -> None:
    told = message([image(name, error=name)], reasons=(Reason(policy=name, outcome=Outcome.FAIL, message=name),))

    for line in "\n".join(told["sections"]).split("\n"):
        assert line.isprintable()
        assert not line.startswith("PASS")
        assert "&" not in line.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")


def test_a_verdict_without_images_is_told_too() -> None:
    reasons = (Reason(policy="engine", outcome=Outcome.UNKNOWN, message="no image could be found"),)

    assert message([], reasons=reasons)["sections"][0] == "engine: no image could be found"


def test_the_readme_lists_every_option() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

    assert not [name for name in CrierConfig.model_fields if f"| `{name}` |" not in text]
