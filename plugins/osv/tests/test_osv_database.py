"""Importing exports, and looking packages up in what was imported."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import JsonValue
from scanguard_osv import export
from scanguard_osv.database import open_database
from scanguard_osv.importing import import_exports
from scanguard_osv.matching import Match, match
from scanguard_osv.packages import InstalledPackage, PackageKind

from scanguard.errors import BackendError, ConfigError, ScannerOutputError

DATA = Path(__file__).parent / "data"
NOW = datetime(2026, 10, 1, tzinfo=UTC)
WriteExport = Callable[..., Path]
Record = dict[str, JsonValue]


def record(
    osv_id: str, *packages: tuple[str, str], modified: str = "2024-01-01T00:00:00Z", **fields: JsonValue
) -> Record:
    affected: list[JsonValue] = [
        {
            "package": {"ecosystem": ecosystem, "name": name},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }
        for ecosystem, name in packages
    ]
    return {"id": osv_id, "modified": modified, "affected": affected, **fields}


def ids(database: Path, ecosystem: str, name: str) -> list[str]:
    with open_database(database) as opened:
        return [one.id for one in opened.advisories(ecosystem, name)]


@pytest.fixture(scope="module")
def pypi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("osv") / "osv.db"
    import_exports([DATA / "osv/PyPI-subset.zip", DATA / "osv/Alpine-subset.zip"], database, now=NOW)
    return database


_ORACLE = json.loads((DATA / "osv/oracle_pypi.json").read_text())["queries"]
_CHANGED_SINCE = {"PYSEC-2021-108"}
"""Records of the export that name a version which the service, asked at another date, no longer counts."""


@pytest.mark.parametrize("query", [pytest.param(one, id=f"{one['name']}-{one['version']}") for one in _ORACLE])
def test_what_osv_dev_reported_is_found_in_the_imported_export(pypi: Path, query: dict[str, str]) -> None:
    name = query["name"].lower()
    package = InstalledPackage(PackageKind.PYPI, name, query["version"], name, query["version"])
    with open_database(pypi) as database:
        found = [match(package, "PyPI", one) for one in database.advisories("PyPI", name)]
    reported = {i for one in found if isinstance(one, Match) for i in (one.advisory.id, *one.advisory.aliases)}
    assert set(query["must_report"]) <= reported
    extra = {one.advisory.id for one in found if isinstance(one, Match)} - {
        *query["must_report"],
        *query["osv_dev_ids"],
    }
    assert extra <= _CHANGED_SINCE


def test_the_oracle_asks_for_something() -> None:
    assert sum(len(one["must_report"]) for one in _ORACLE) == 25


def test_the_database_says_what_it_holds_and_of_which_date(pypi: Path) -> None:
    with open_database(pypi) as database:
        found = database.ecosystem("PyPI")
        alpine = database.ecosystem("Alpine")
        assert database.has_release("Alpine:v3.11")
        assert not database.has_release("Alpine:v3.19")
        assert not database.has_release("Debian:12")
    assert found is not None
    assert alpine is not None
    assert (found.records, found.withdrawn, found.broken, found.imported_at) == (247, 10, 0, NOW)
    assert found.newest_modified.year == 2024
    assert alpine.newest_modified == datetime(2020, 6, 8, tzinfo=UTC)


def test_withdrawn_records_are_kept_out_of_answers(pypi: Path) -> None:
    with open_database(pypi) as database, zipfile.ZipFile(DATA / "osv/PyPI-subset.zip") as archive:
        withdrawn = [d for d in (json.loads(archive.read(n)) for n in archive.namelist()) if d.get("withdrawn")]
        names = {one["affected"][0]["package"]["name"] for one in withdrawn}
        for name in names:
            package = InstalledPackage(PackageKind.PYPI, name, "0.0.1", name, "0.0.1")
            answers = [match(package, "PyPI", one) for one in database.advisories("PyPI", name)]
            hits = {one.advisory.id for one in answers if isinstance(one, Match)}
            assert not hits & {one["id"] for one in withdrawn}
    assert len(withdrawn) == 10


def test_an_import_replaces_its_own_ecosystem_and_keeps_the_others(tmp_path: Path, write_export: WriteExport) -> None:
    database = tmp_path / "osv.db"
    old = write_export([record("A-1", ("PyPI", "one")), record("A-2", ("PyPI", "two"))], "old.zip")
    import_exports([old, write_export([record("D-1", ("Debian:12", "zlib"))], "debian.zip")], database, now=NOW)
    import_exports([write_export([record("A-3", ("PyPI", "one"))], "new.zip")], database, now=NOW)
    assert ids(database, "PyPI", "one") == ["A-3"]
    assert ids(database, "PyPI", "two") == []
    assert ids(database, "Debian:12", "zlib") == ["D-1"]
    assert ids(database, "Debian:11", "zlib") == []


def test_several_exports_of_one_ecosystem_add_up_and_the_newer_record_wins(
    tmp_path: Path, write_export: WriteExport
) -> None:
    database = tmp_path / "osv.db"
    newer = write_export([record("A-1", ("PyPI", "one"), modified="2024-02-01T00:00:00Z", summary="new")], "n.zip")
    older = write_export([record("A-1", ("PyPI", "one"), summary="old"), record("A-2", ("PyPI", "one"))], "o.zip")
    for order in ([newer, older], [older, newer]):
        import_exports(order, database, now=NOW)
        with open_database(database) as opened:
            assert sorted((one.id, one.summary) for one in opened.advisories("PyPI", "one")) == [
                ("A-1", "new"),
                ("A-2", ""),
            ]


def test_an_export_of_one_ecosystem_never_stands_for_another_it_mentions(
    tmp_path: Path, write_export: WriteExport
) -> None:
    database = tmp_path / "osv.db"
    both = record("G-1", ("PyPI", "one"), ("npm", "one"))
    [summary] = import_exports([write_export([both, record("G-2", ("PyPI", "two"))])], database, now=NOW)
    assert summary.bases == ("PyPI",)
    assert summary.left_out == {"npm": 1}
    with open_database(database) as opened:
        assert opened.ecosystem("npm") is None


def test_a_record_dated_in_the_future_does_not_keep_the_data_fresh(tmp_path: Path, write_export: WriteExport) -> None:
    database = tmp_path / "osv.db"
    import_exports([write_export([record("A-1", ("PyPI", "one"), modified="2099-01-01T00:00:00Z")])], database, now=NOW)
    with open_database(database) as opened:
        info = opened.ecosystem("PyPI")
        assert info is not None
        assert info.newest_modified == NOW


def test_a_bare_ecosystem_entry_is_found_for_every_release(tmp_path: Path, write_export: WriteExport) -> None:
    database = tmp_path / "osv.db"
    import_exports([write_export([record("D-1", ("Debian", "zlib"))])], database, now=NOW)
    assert ids(database, "Debian:12", "zlib") == ["D-1"]
    with open_database(database) as opened:
        assert opened.has_release("Debian:12")


def test_broken_records_are_counted_and_listed(tmp_path: Path, write_export: WriteExport) -> None:
    database = tmp_path / "osv.db"
    no_modified = (DATA / "debian/DSA-3029-1.json").read_bytes()
    [summary] = import_exports(
        [write_export([record("A-1", ("PyPI", "one")), b"{", b"[]", no_modified])], database, now=NOW
    )
    assert [entry for entry, _ in summary.problems] == ["1.json", "2.json", "3.json"]
    with open_database(database) as opened:
        info = opened.ecosystem("PyPI")
        assert info is not None
        assert info.broken == 3
        assert ("3.json", "modified: Field required") in opened.broken("PyPI")


@pytest.mark.parametrize("form", ["folder", "json", "jsonl"])
def test_other_forms_of_export_are_read(tmp_path: Path, form: str) -> None:
    lines = [json.dumps(record(f"A-{n}", ("PyPI", "one"))) for n in range(2)]
    path = tmp_path / {"folder": "export", "json": "A-0.json", "jsonl": "all.jsonl"}[form]
    if form == "folder":
        (path / "sub").mkdir(parents=True)
        (path / "A-0.json").write_text(lines[0])
        (path / "sub/A-1.json").write_text(lines[1])
    else:
        path.write_text(lines[0] if form == "json" else "\n".join(lines) + "\n")
    database = tmp_path / "osv.db"
    [summary] = import_exports([path], database, now=NOW)
    assert summary.records == (1 if form == "json" else 2)
    assert "A-0" in ids(database, "PyPI", "one")


def test_a_bomb_in_a_zip_is_a_broken_record_and_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.json", json.dumps(record("A-1", ("PyPI", "one"))))
        with archive.open("bomb.json", "w") as stream:
            for _ in range(64):
                stream.write(b" " * 1024 * 1024)
        archive.writestr("../../escape.json", json.dumps(record("A-2", ("PyPI", "one"))))
    [summary] = import_exports([path], tmp_path / "osv.db", now=NOW)
    assert [entry for entry, _ in summary.problems] == ["bomb.json"]
    assert not list(tmp_path.parent.glob("escape.json"))


def test_an_entry_with_a_wrong_checksum_is_a_broken_record(tmp_path: Path, write_export: WriteExport) -> None:
    path = write_export([record("A-1", ("PyPI", "one"))])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("stored.json", json.dumps(record("A-2", ("PyPI", "stored-here"))))
    path.write_bytes(path.read_bytes().replace(b"stored-here", b"stored-herE"))
    [summary] = import_exports([path], tmp_path / "osv.db", now=NOW)
    assert [entry for entry, _ in summary.problems] == ["stored.json"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("x.zip", b"not a zip", "damaged", id="no zip"),
        pytest.param("x.txt", b"", "give a .zip", id="other file"),
        pytest.param("x.json", b"{", "holds no OSV record", id="nothing readable"),
        pytest.param("absent.zip", None, "no such file", id="absent"),
    ],
)
def test_what_is_no_export_is_refused_and_the_old_database_stays(
    tmp_path: Path, write_export: WriteExport, name: str, content: bytes | None, words: str
) -> None:
    database = tmp_path / "osv.db"
    import_exports([write_export([record("A-1", ("PyPI", "one"))])], database, now=NOW)
    before = database.read_bytes()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        import_exports([tmp_path / name], database, now=NOW)
    assert database.read_bytes() == before
    assert not list(tmp_path.glob("osv.db.new-*"))


def test_too_many_entries_are_refused(
    tmp_path: Path, write_export: WriteExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_ENTRIES", 2)
    with pytest.raises(ConfigError, match="more than 2 entries"):
        import_exports([write_export([record(f"A-{n}", ("PyPI", "x")) for n in range(3)])], tmp_path / "o.db", now=NOW)


_IMPORT_AND_STALL = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from scanguard_osv.importing import import_exports

def stall(entry):
    print("importing", flush=True)
    time.sleep(60)

import_exports([Path(sys.argv[1])], Path(sys.argv[2]), now=datetime.now(UTC), on_record=stall)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_an_import_killed_in_the_middle_leaves_the_old_database_and_lets_the_next_one_in(
    tmp_path: Path, write_export: WriteExport
) -> None:
    database = tmp_path / "osv.db"
    import_exports([write_export([record("A-1", ("PyPI", "one"))], "old.zip")], database, now=NOW)
    new = write_export([record("A-2", ("PyPI", "one"))], "new.zip")
    child = subprocess.Popen(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", _IMPORT_AND_STALL, str(new), str(database)], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"importing\n"
        with pytest.raises(BackendError, match="another import"):
            import_exports([new], database, now=NOW)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    assert ids(database, "PyPI", "one") == ["A-1"]
    import_exports([new], database, now=NOW)
    assert ids(database, "PyPI", "one") == ["A-2"]
    assert not list(tmp_path.glob("osv.db.new-*"))


def test_a_missing_foreign_or_newer_database_is_named_with_what_to_do(tmp_path: Path, pypi: Path) -> None:
    foreign = tmp_path / "foreign.db"
    foreign.write_bytes(b"no database at all" * 100)
    newer = tmp_path / "newer.db"
    newer.write_bytes(pypi.read_bytes())
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE meta SET value = '99'")
    connection.close()
    for path, words in (
        (tmp_path / "none.db", "no OSV database"),
        (foreign, "is no OSV database"),
        (newer, "another version"),
    ):
        with pytest.raises(ConfigError, match=words) as caught, open_database(path):
            pass
        assert "scanguard osv import" in caught.value.message


def test_a_damaged_record_in_the_database_is_an_error_and_not_an_empty_answer(tmp_path: Path, pypi: Path) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(pypi.read_bytes())
    with sqlite3.connect(damaged) as connection:
        connection.execute("UPDATE record SET body = x'00'")
    connection.close()
    with open_database(damaged) as opened, pytest.raises(ScannerOutputError, match="import it again"):
        opened.advisories("PyPI", "jinja2")


def test_looking_up_is_fast_enough_for_large_images(pypi: Path) -> None:
    started = time.perf_counter()
    with open_database(pypi) as database:
        for number in range(1000):
            database.advisories("PyPI", f"package-{number}")
    assert time.perf_counter() - started < 2.0
