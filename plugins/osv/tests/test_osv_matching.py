"""OSV's evaluation: which versions an advisory is about."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue
from scanguard_osv.advisory import Advisory, UnreadableAdvisoryError, parse_advisory
from scanguard_osv.matching import Match, Undecided, match
from scanguard_osv.packages import InstalledPackage, PackageKind

Events = list[dict[str, str]]


def package(version: str, name: str = "demo", kind: PackageKind = PackageKind.PYPI) -> InstalledPackage:
    return InstalledPackage(kind, name, version, name, version)


def advisory(*affected: JsonValue, **fields: JsonValue) -> Advisory:
    return Advisory.model_validate({"id": "T-1", "modified": "2024-01-01T00:00:00Z", "affected": affected, **fields})


def entry(
    events: Events | None = None,
    *,
    ecosystem: str = "PyPI",
    name: str = "demo",
    kind: str = "ECOSYSTEM",
    versions: Sequence[str] = (),
) -> JsonValue:
    steps: list[JsonValue] = [dict(event) for event in events or ()]
    ranges: list[JsonValue] = [{"type": kind, "events": steps}] if events else []
    return {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, "versions": list(versions)}


@pytest.mark.parametrize(
    ("events", "version", "is_affected"),
    [
        pytest.param([{"introduced": "0"}, {"fixed": "2.0"}], "1.9", True, id="before the fix"),
        pytest.param([{"introduced": "0"}, {"fixed": "2.0"}], "2.0", False, id="the fix"),
        pytest.param([{"fixed": "2.0"}, {"introduced": "0"}], "1.9", True, id="events in any order"),
        pytest.param([{"introduced": "1.0"}, {"fixed": "2.0"}], "0.9", False, id="before it came in"),
        pytest.param([{"introduced": "1.0"}], "99", True, id="never fixed"),
        pytest.param([{"introduced": "0"}, {"last_affected": "2.0"}], "2.0", True, id="last affected"),
        pytest.param([{"introduced": "0"}, {"last_affected": "2.0"}], "2.0.1", False, id="after the last affected"),
        pytest.param(
            [{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "3.0"}],
            "2.5",
            True,
            id="came back",
        ),
        pytest.param(
            [{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "3.0"}], "1.5", False, id="between"
        ),
        pytest.param([{"introduced": "0"}, {"fixed": "0"}], "1.0", False, id="fixed at 0 is never affected"),
        pytest.param([{"introduced": "0"}, {"limit": "2.0"}], "2.0", False, id="at the limit"),
        pytest.param([{"introduced": "0"}, {"limit": "2.0"}], "1.0", True, id="before the limit"),
        pytest.param([{"introduced": "0"}, {"limit": "*"}], "9", True, id="no limit"),
        pytest.param([{"fixed": "2.0"}], "1.0", False, id="never introduced"),
    ],
)
def test_a_range_is_walked_event_by_event(events: Events, version: str, is_affected: bool) -> None:
    assert (match(package(version), "PyPI", advisory(entry(events))) is not None) is is_affected


def test_a_version_that_is_only_listed_matches_by_the_list() -> None:
    found = match(package("1.5"), "PyPI", advisory(entry(versions=["1.4", "1.5"])))
    assert isinstance(found, Match)
    assert found.basis == "version list"
    assert match(package("1.6"), "PyPI", advisory(entry(versions=["1.4", "1.5"]))) is None


def test_a_git_range_says_nothing_of_an_installed_package() -> None:
    assert match(package("1.0"), "PyPI", advisory(entry([{"introduced": "0"}], kind="GIT"))) is None


def test_a_withdrawn_advisory_never_matches() -> None:
    withdrawn = advisory(entry([{"introduced": "0"}]), withdrawn="2024-02-01T00:00:00Z")
    assert match(package("1.0"), "PyPI", withdrawn) is None


def test_every_entry_of_a_package_is_looked_at() -> None:
    two = advisory(entry([{"introduced": "3"}]), entry([{"introduced": "1"}, {"fixed": "2"}]))
    found = match(package("1.5"), "PyPI", two)
    assert isinstance(found, Match)
    assert found.entries == (two.affected[1],)


def test_python_names_match_in_any_spelling_and_distribution_names_only_exactly() -> None:
    assert match(package("1", "zope-interface"), "PyPI", advisory(entry([{"introduced": "0"}], name="Zope.Interface")))
    deb = package("1", "libxml2", PackageKind.DEB)
    other = advisory(entry([{"introduced": "0"}], ecosystem="Debian:12", name="LibXML2"))
    assert match(deb, "Debian:12", other) is None


@pytest.mark.parametrize(
    ("entry_ecosystem", "is_affected"),
    [("Debian:12", True), ("Debian", True), ("Debian:11", False), ("Ubuntu:22.04:LTS", False), ("PyPI", False)],
)
def test_a_debian_12_package_never_matches_another_release(entry_ecosystem: str, is_affected: bool) -> None:
    deb = package("1.0-1", kind=PackageKind.DEB)
    found = match(deb, "Debian:12", advisory(entry([{"introduced": "0"}], ecosystem=entry_ecosystem)))
    assert (found is not None) is is_affected


def test_ubuntu_pro_speaks_only_where_the_release_itself_does_not() -> None:
    pro = entry([{"introduced": "0"}, {"fixed": "1.0-1+esm1"}], ecosystem="Ubuntu:Pro:18.04:LTS")
    own = entry([{"introduced": "0"}, {"fixed": "1.0-1"}], ecosystem="Ubuntu:18.04:LTS")
    deb = package("1.0-1", kind=PackageKind.DEB)
    assert match(deb, "Ubuntu:18.04:LTS", advisory(pro)) is not None
    assert match(deb, "Ubuntu:18.04:LTS", advisory(pro, own)) is None


def test_a_version_that_cannot_be_compared_is_undecided_and_not_clean() -> None:
    odd = package("1.0_bad:x:y-", kind=PackageKind.DEB)
    found = match(odd, "Debian:12", advisory(entry([{"introduced": "1.0"}], ecosystem="Debian:12")))
    assert isinstance(found, Undecided)


def test_epochs_decide_before_everything_else() -> None:
    fixed = advisory(entry([{"introduced": "0"}, {"fixed": "1:1.0"}], ecosystem="Debian:12"))
    assert match(package("9.0", kind=PackageKind.DEB), "Debian:12", fixed) is not None
    assert match(package("1:1.0", kind=PackageKind.DEB), "Debian:12", fixed) is None


@given(
    st.permutations([{"introduced": "1.0"}, {"fixed": "2.0"}, {"introduced": "3.0"}, {"last_affected": "4.0"}]),
    st.sampled_from(["0.9", "1.0", "1.5", "2.0", "3.0", "4.0", "4.1"]),
)
def test_the_order_of_events_does_not_matter(events: Events, version: str) -> None:
    want = version in ("1.0", "1.5", "3.0", "4.0")
    assert (match(package(version), "PyPI", advisory(entry(events))) is not None) is want


@given(data=st.binary(max_size=300))
def test_any_bytes_give_an_advisory_or_its_own_error(data: bytes) -> None:
    with contextlib.suppress(UnreadableAdvisoryError):
        assert parse_advisory(data).id


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"id": "X"}', id="no modified"),
        pytest.param('{"id": "X", "modified": "yesterday"}', id="no date"),
        pytest.param('{"id": "X", "modified": "2024-01-01T00:00:00Z", "affected": 5}', id="wrong type"),
        pytest.param("<html>", id="html"),
    ],
)
def test_a_broken_record_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(UnreadableAdvisoryError):
        parse_advisory(text)


def test_nulls_and_unknown_fields_are_borne() -> None:
    text = """{"id": "X", "modified": "2024-01-01T00:00:00.123456789Z", "aliases": null, "affected": [
        {"package": null, "ranges": null, "versions": null, "ecosystem_specific": null, "new": 1}], "later": {}}"""
    assert parse_advisory(text).packages == []
