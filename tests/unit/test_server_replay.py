"""Taking up again, over HTTP, what was given up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving import KEY, Serving, keys, serving

from scanguard.engine.documents import Assessment, AssessmentState
from scanguard.engine.store import Store
from scanguard.ports import ALL_LANES
from scanguard.testing.samples import NOW, sample_id, sample_verdict

PATH = "/api/v1/dead-letters/replay"
REPLAY_KEY = "0123456789abcdef-replay"


async def given_up(server: Serving, *names: str) -> list[str]:
    for name in names:
        dead = Assessment(
            id=sample_id(name),
            event=sample_verdict(name=name).event,
            state=AssessmentState.DEAD,
            created_at=NOW,
            error="no platform knows it",
            error_kind="PlatformError",
            attempts=5,
        )
        await Store(server.app.backend.state).insert(dead, None)
        await server.app.dead_letters._context.dead.note(dead)
    return [sample_id(name) for name in names]


async def woken(server: Serving) -> set[str]:
    held = await server.app.backend.queue.receive(ALL_LANES, limit=200, visibility_s=60)
    return {one.message.id for one in held if one.message}


async def ask(server: Serving, told: Any, **headers: str) -> Any:
    return await server.client.post(PATH, json=told, headers=headers)


async def test_those_that_are_named_start_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        one, two = await given_up(server, "one", "two")
        answer = await ask(server, {"ids": [one]})
        assert (answer.status_code, answer.json()) == (200, {"schema_version": 1, "replayed": 1, "left": False})
        assert await woken(server) == {one}
        assert [letter.id for letter in await server.app.dead_letters.all()] == [two]


async def test_without_names_the_newest_of_a_kind_start_again_and_it_is_said_when_more_are_left(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await given_up(server, "one", "two", "three")
        assert (await ask(server, {"kind": "scan"})).json()["replayed"] == 0
        answer = await ask(server, {"kind": "assessment", "limit": 2})
        assert answer.json() == {"schema_version": 1, "replayed": 2, "left": True}
        assert (await ask(server, {})).json() == {"schema_version": 1, "replayed": 1, "left": False}
        assert len(await woken(server)) == 3


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"ids": ["nobody"]}, 404),
        ({"ids": ["x"] * 101}, 400),
        ({"limit": 101}, 400),
        ({"kind": "everything"}, 400),
        ({"all": True}, 400),
        ([], 400),
    ],
)
async def test_what_cannot_be_done_is_told_and_nothing_is_done(tmp_path: Path, told: object, status: int) -> None:
    async with serving(tmp_path) as server:
        await given_up(server, "one")
        answer = await ask(server, told)
        assert answer.status_code == status
        assert answer.json()["type"].startswith("urn:scanguard:problem:")
        assert await woken(server) == set()


async def test_it_takes_a_permission_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "replay.key").write_text(REPLAY_KEY, encoding="utf-8")
    given = [*keys(tmp_path), {"secret": f"file:{tmp_path / 'replay.key'}", "allow": ["replay"]}]
    async with serving(tmp_path, keys=given) as server:
        await given_up(server, "one")
        assert (await ask(server, {})).status_code == 401
        for key in (KEY, "0123456789abcdef-reader"):
            assert (await ask(server, {}, **{"x-scanguard-key": key})).status_code == 403
        assert (await ask(server, {}, **{"x-scanguard-key": REPLAY_KEY})).json()["replayed"] == 1


async def test_only_json_is_taken(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await server.client.post(PATH, content=b"{}", headers={"content-type": "text/plain"})
        assert answer.status_code == 415
