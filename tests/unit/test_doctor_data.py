"""The data folder, the database and the queue, with real files that are really broken."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from examining import examined, of_area

from scanguard.backends import embedded
from scanguard.backends.sqlite import SCHEMA_VERSION
from scanguard.doctor import Check, Status
from scanguard.doctor.file_systems import kind_of
from scanguard.doctor.folder_checks import LOW_BYTES, LOWEST_BYTES, judge_space, remedy_for_errno
from scanguard.doctor.queue_checks import LATE
from scanguard.engine.dead import DeadKind, DeadLetter
from scanguard.ports import Lane, Message, MessageKind, Outgoing, Row
from scanguard.testing.samples import sample_verdict


async def data_of(folder: Path, area: str = "data") -> dict[str, Check]:
    return of_area(await examined(folder.parent, areas=[area], data_dir=folder), area)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A data folder that was used."""
    path = tmp_path / "data"
    async with embedded(path) as backend:
        await backend.queue.send([Outgoing(Message(kind=MessageKind.SWEEP, id=str(n))) for n in range(200)])
    return path


async def test_a_good_folder_has_nothing_wrong_and_is_left_as_it_was(folder: Path) -> None:
    before = sorted(os.listdir(folder))
    checks = await data_of(folder)
    assert {subject: check.status for subject, check in checks.items() if subject != "file system"} == {
        "folder": Status.OK,
        "free space": Status.OK,
        "database": Status.OK,
        "schema": Status.OK,
        "lock": Status.OK,
    }
    assert sorted(os.listdir(folder)) == before


async def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    checks = await data_of(folder)
    assert checks["folder"].status is Status.OK
    assert "not there yet" in checks["folder"].detail
    assert checks["database"].status is Status.SKIPPED
    assert not (tmp_path / "a").exists()


async def test_a_file_in_the_place_of_the_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    checks = await data_of(tmp_path / "data")
    assert checks["folder"].status is Status.FAIL
    assert "--data-dir" in checks["folder"].remedy


def in_a_child(preparation: str, folder: Path) -> str:
    """What is said of a folder by a process that first gives something up."""
    code = (
        "import os, resource, sys\n"
        "from pathlib import Path\n"
        "from scanguard.doctor.folder_checks import check_writable\n"
        f"{preparation}\n"
        "check = check_writable(Path(sys.argv[1]))\n"
        "print(check.status, check.detail, check.remedy, sep=' | ')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)  # noqa: S603  # our own code
    return done.stdout


NOT_ROOT = "os.getuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534))"


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are for one user."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_a_folder_that_may_not_be_written_fails(open_place: Path) -> None:
    folder = open_place / "read-only"
    folder.mkdir(mode=0o555)
    said = in_a_child(NOT_ROOT, folder)
    assert said.startswith("fail | ")
    assert "Permission denied | let the user that runs scanguard write the folder" in said


def test_a_folder_nobody_may_enter_fails_in_words(open_place: Path) -> None:
    locked = open_place / "locked"
    (locked / "data").mkdir(parents=True)
    locked.chmod(0o000)
    try:
        said = in_a_child(NOT_ROOT, locked / "data")
    finally:
        locked.chmod(0o700)
    assert said.startswith("fail | ")
    assert "does not let us make it" in said


def test_a_write_that_the_system_refuses_fails_and_leaves_nothing(tmp_path: Path) -> None:
    said = in_a_child("resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))", tmp_path)
    assert said.startswith("fail | ")
    assert "File too large" in said
    assert "ulimit -f" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "told"),
    [
        pytest.param(errno.ENOSPC, "make room", id="full"),
        pytest.param(errno.EDQUOT, "quota", id="quota"),
        pytest.param(errno.EROFS, "mounted read-only", id="read-only mount"),
        pytest.param(errno.EIO, "disk fails", id="broken disk"),
        pytest.param(None, "mount", id="unknown"),
    ],
)
def test_each_refusal_has_its_remedy(number: int | None, told: str) -> None:
    assert told in remedy_for_errno(number)


@pytest.mark.parametrize(
    ("free", "status"),
    [
        pytest.param(LOW_BYTES, Status.OK, id="enough"),
        pytest.param(LOW_BYTES - 1, Status.WARN, id="little"),
        pytest.param(LOWEST_BYTES - 1, Status.FAIL, id="too little"),
        pytest.param(0, Status.FAIL, id="none"),
    ],
)
def test_little_room_warns_and_too_little_fails(free: int, status: Status) -> None:
    assert judge_space(free).status is status


MOUNTS = r"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/share rw,relatime shared:5 - cifs //server/share rw
31 22 0:41 / /mnt/two\040words rw - nfs4 server:/export rw
32 22 0:42 / /mnt/share/local rw - tmpfs tmpfs rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/var/lib/scanguard", "ext4", id="root"),
        pytest.param("/mnt/share/data", "cifs", id="network"),
        pytest.param("/mnt/share/local/x", "tmpfs", id="deeper mount"),
        pytest.param("/mnt/two words/data", "nfs4", id="escaped space"),
        pytest.param("/mnt/shared", "ext4", id="name that only begins alike"),
    ],
)
def test_the_file_system_is_that_of_the_deepest_mount(path: str, kind: str) -> None:
    assert kind_of(Path(path), MOUNTS) == kind


# --- the database ---------------------------------------------------------------------------------------------


async def test_a_file_that_is_no_database_fails_and_the_rest_is_looked_at(folder: Path) -> None:
    for name in os.listdir(folder):
        os.unlink(folder / name)
    (folder / "scanguard.db").write_bytes(b"this was never a database" * 1000)
    checks = await data_of(folder)
    assert checks["database"].status is Status.FAIL
    assert "is damaged: file is not a database" in checks["database"].detail
    assert "restore a copy" in checks["database"].remedy
    assert checks["folder"].status is Status.OK
    queue = await data_of(folder, "queue")
    assert queue["work"].status is Status.SKIPPED


async def test_a_database_with_damaged_pages_fails(folder: Path) -> None:
    path = folder / "scanguard.db"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 2 * 4096))
    checks = await data_of(folder)
    assert checks["database"].status is Status.FAIL
    assert "damaged" in checks["database"].detail


@contextmanager
def held(path: Path, *statements: str) -> Iterator[None]:
    """Another process's connection, as far as locks are concerned."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
        yield
    finally:
        connection.close()


async def test_a_writer_that_never_ends_is_told_and_the_database_is_still_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanguard.doctor.database_checks.LOCK_TIMEOUT_S", 0.2)
    with held(folder / "scanguard.db", "BEGIN IMMEDIATE"):
        checks = await data_of(folder)
    assert checks["lock"].status is Status.FAIL
    assert "another process has held" in checks["lock"].detail
    assert checks["database"].status is Status.OK


async def test_a_database_locked_for_good_fails_and_its_queue_is_skipped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanguard.doctor.database_checks.LOCK_TIMEOUT_S", 0.2)
    with held(folder / "scanguard.db", "PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
        checks = await data_of(folder)
        queue = await data_of(folder, "queue")
    assert checks["database"].status is Status.FAIL
    assert "another process has held" in checks["database"].detail
    assert queue["work"].status is Status.SKIPPED


async def test_a_database_of_a_newer_scanguard_fails_and_is_not_touched(folder: Path) -> None:
    with held(folder / "scanguard.db", f"PRAGMA user_version = {SCHEMA_VERSION + 1}"):
        pass
    checks = await data_of(folder)
    assert checks["schema"].status is Status.FAIL
    assert "upgrade scanguard" in checks["schema"].remedy
    assert (await data_of(folder, "queue"))["work"].status is Status.SKIPPED


async def test_a_log_that_grew_warns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanguard.doctor.database_checks.WAL_BYTES", 100)
    with held(folder / "scanguard.db", "BEGIN", "SELECT * FROM queue"):
        async with embedded(folder) as backend:
            await backend.queue.send([Outgoing(Message(kind=MessageKind.SWEEP, id="more"))])
        checks = await data_of(folder)
    assert checks["log"].status is Status.WARN
    assert "reading transaction" in checks["log"].remedy


# --- the queue -------------------------------------------------------------------------------------------------


async def test_a_folder_without_work_has_nothing_to_tell(folder: Path) -> None:
    checks = await data_of(folder, "queue")
    assert {check.status for check in checks.values()} == {Status.OK}
    assert checks["lane fresh"].detail.startswith("200 messages, the oldest ready for ")
    assert checks["lane bulk"].detail == "empty"


async def test_work_that_nobody_takes_and_rows_that_nobody_sweeps_warn(folder: Path) -> None:
    long_ago = datetime.now(UTC) - 2 * LATE
    async with embedded(folder) as backend:
        message = Message(kind=MessageKind.SWEEP, id="old", lane=Lane.HEAVY)
        await backend.queue.send([Outgoing(message, not_before=long_ago)])
        await backend.state.insert(Row("task", "t", "", {}, due=long_ago))
    checks = await data_of(folder, "queue")
    assert checks["lane heavy"].status is Status.WARN
    assert checks["lane heavy"].detail.startswith("1 message, the oldest ready for 30 min")
    assert "`scanguard worker`" in checks["lane heavy"].remedy
    assert checks["lane fresh"].status is Status.OK
    assert checks["overdue"].status is Status.WARN
    assert checks["overdue"].detail.startswith("1 row, the oldest for 30 min")


async def test_dead_letters_are_counted_by_kind(folder: Path) -> None:
    async with embedded(folder) as backend:
        for kind, id in ((DeadKind.SCAN, "a"), (DeadKind.SCAN, "b"), (DeadKind.DELIVERY, "c")):
            letter = DeadLetter(
                kind=kind, id=id, subject="x", error="e", error_kind="E", attempts=1, died_at=datetime.now(UTC)
            )
            await backend.state.insert(Row(DeadLetter.TABLE, kind, id, letter.model_dump(mode="json")))
    dead = (await data_of(folder, "queue"))["dead letters"]
    assert dead.status is Status.WARN
    assert dead.detail == "2 of kind scan, 1 of kind delivery"
    assert "dead-letters list" in dead.remedy


@pytest.mark.parametrize(
    ("ahead", "status"),
    [
        pytest.param(timedelta(minutes=-1), Status.OK, id="past"),
        pytest.param(timedelta(minutes=4), Status.OK, id="clocks differ a little"),
        pytest.param(timedelta(hours=3), Status.WARN, id="future"),
    ],
)
async def test_a_verdict_from_the_future_says_that_the_clock_went_back(
    folder: Path, ahead: timedelta, status: Status
) -> None:
    async with embedded(folder) as backend:
        await backend.records.save(sample_verdict().model_copy(update={"decided_at": datetime.now(UTC) + ahead}))
    assert (await data_of(folder, "clock"))["stored"].status is status
