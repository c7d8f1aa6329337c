"""What is read from an image's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanguard_osv import apk, dpkg, python
from scanguard_osv.ecosystem import applies_to, ecosystem_of, lookups_of
from scanguard_osv.os_release import OsRelease, parse_os_release
from scanguard_osv.packages import Parsed
from scanguard_osv.programs import start_candidates, started_program
from scanguard_osv.unsupported import kind_of

DATA = Path(__file__).parent / "data"
_IDS_OF_FAMILY = {
    "RedHat": {"rhel"},
    "CentOSStream": {"centos"},
    "Alma": {"almalinux"},
    "Oracle": {"ol"},
    "OpenSUSELeap": {"opensuse-leap", "opensuse"},
    "OpenSUSETumbleweed": {"opensuse-tumbleweed"},
    "SLEMicro": {"sle-micro", "sl-micro", "sle-micro-rancher"},
    "Azure": {"azurelinux"},
    "CBLMariner": {"mariner"},
}
"""Trivy's families whose os-release id is not the family's own name in lower case."""
_EXPECTED = json.loads((DATA / "os-release/expected.json").read_text())


@pytest.mark.parametrize("case", [pytest.param(one, id=one["file"]) for one in _EXPECTED])
def test_os_release_is_parsed_as_expected(case: dict[str, Any]) -> None:
    found = parse_os_release((DATA / "os-release" / case["file"]).read_bytes())
    want = case["want"]
    if want is None:
        assert ecosystem_of(found) is None
        return
    family = want["OS"]["Family"].removeprefix("types.")
    assert found.version_id == want["OS"]["Name"]
    assert found.id in _IDS_OF_FAMILY.get(family, {family.lower()})


@pytest.mark.parametrize("file", sorted(p.name for p in (DATA / "os-release").glob("alpine-*")))
def test_each_alpine_release_has_its_ecosystem_and_edge_has_none(file: str) -> None:
    want = None if file == "alpine-edge" else f"Alpine:v{file.removeprefix('alpine-')}"
    assert ecosystem_of(parse_os_release((DATA / "os-release" / file).read_bytes())) == want


@pytest.mark.parametrize(
    ("system", "version", "want"),
    [
        ("debian", "12", "Debian:12"),
        ("debian", "12.5", "Debian:12"),
        ("debian", "", None),
        ("ubuntu", "22.04", "Ubuntu:22.04:LTS"),
        ("ubuntu", "6.06", "Ubuntu:6.06:LTS"),
        ("ubuntu", "23.04", "Ubuntu:23.04"),
        ("ubuntu", "22.10", "Ubuntu:22.10"),
        ("ubuntu", "rolling", None),
        ("alpine", "3.19.1", "Alpine:v3.19"),
        ("alpine", "3", None),
        ("wolfi", "20230201", "Wolfi"),
        ("chainguard", "20230214", "Chainguard"),
        ("fedora", "42", None),
        ("linuxmint", "21", None),
    ],
)
def test_a_distribution_has_exactly_its_own_ecosystem(system: str, version: str, want: str | None) -> None:
    assert ecosystem_of(OsRelease(system, version)) == want


def test_a_release_suffix_scopes_an_entry_and_its_absence_does_not() -> None:
    assert applies_to("Debian:12", "Debian:12")
    assert applies_to("Debian", "Debian:12")
    assert not applies_to("Debian:11", "Debian:12")
    assert not applies_to("Debian:1", "Debian:12")
    assert lookups_of("Ubuntu:18.04:LTS") == ("Ubuntu:18.04:LTS", "Ubuntu:Pro:18.04:LTS")


def test_dpkg_packages_carry_their_source_and_its_version() -> None:
    status = b"""Package: libssl3
Status: install ok installed
Source: openssl (3.0.15-1~deb12u1)
Architecture: amd64
Version: 3.0.15-1~deb12u1+b1
Description: toolkit
 Version: 9 (not a field)

Package: zlib1g
Status: hold ok unpacked
Source: zlib
Version: 1:1.2.13.dfsg-1

Package: gone
Status: deinstall ok config-files
Version: 1

Package: never
Status: purge ok not-installed
"""
    parsed = dpkg.parse_status(status)
    assert [(p.name, p.version, p.source_name, p.source_version) for p in parsed.packages] == [
        ("libssl3", "3.0.15-1~deb12u1+b1", "openssl", "3.0.15-1~deb12u1"),
        ("zlib1g", "1:1.2.13.dfsg-1", "zlib", "1:1.2.13.dfsg-1"),
    ]
    assert parsed.problems == ()


def test_distroless_stanzas_without_a_status_are_installed() -> None:
    assert dpkg.is_database("var/lib/dpkg/status.d/tzdata")
    assert not dpkg.is_database("var/lib/dpkg/status.d/tzdata.md5sums")
    parsed = dpkg.parse_status(b"Package: tzdata\nVersion: 2024a-0+deb12u1\n", path="var/lib/dpkg/status.d/tzdata")
    assert [p.name for p in parsed.packages] == ["tzdata"]


def test_an_installed_package_without_a_version_is_a_problem_and_not_silence() -> None:
    parsed = dpkg.parse_status(b"Package: odd\nStatus: install ok installed\n")
    assert parsed.packages == ()
    assert parsed.problems == ("var/lib/dpkg/status: entry 1 (odd) has no usable version",)


def test_a_source_that_cannot_be_read_is_a_problem_because_advisories_are_kept_by_source() -> None:
    parsed = dpkg.parse_status(b"Package: a\nStatus: install ok installed\nSource: a b c\nVersion: 1\n")
    assert parsed.packages == ()
    assert len(parsed.problems) == 1


@pytest.mark.parametrize("name", ["scalibr-installed", "trivy-installed"])
def test_apk_databases_hold_the_expected_packages(name: str) -> None:
    parsed = apk.parse_installed((DATA / "apk" / name).read_bytes(), path="lib/apk/db/installed")
    want = json.loads((DATA / "apk" / f"{name}.list.json").read_text())
    assert [(p.name, p.version, p.source_name, p.architecture) for p in parsed.packages] == [
        (one["name"], one["version"], one["origin"] or one["name"], one["arch"]) for one in want if one["version"]
    ]
    assert len(parsed.problems) == sum(1 for one in want if not one["version"])


@pytest.mark.parametrize(
    ("path", "is_read"),
    [
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", True),
        ("usr/lib/python3/dist-packages/six-1.16.0.egg-info", True),
        ("app/venv/lib/python3.12/site-packages/jinja2-3.1.2.dist-info/METADATA", True),
        ("opt/x.egg/EGG-INFO/PKG-INFO", True),
        ("src/PKG-INFO", False),
        ("app/METADATA", False),
    ],
)
def test_python_metadata_is_known_by_its_place(path: str, is_read: bool) -> None:
    assert python.is_metadata(path) is is_read


def test_python_names_are_normalised_and_the_description_is_not_read() -> None:
    data = b"\xef\xbb\xbfMetadata-Version: 2.1\nName: Zope.Interface_X\nVersion: 5.0\n\nVersion: 9.9\nName: other\n"
    [package] = python.parse_metadata(data, path="a.dist-info/METADATA").packages
    assert (package.name, package.version) == ("zope-interface-x", "5.0")


def test_python_metadata_without_a_version_is_a_problem() -> None:
    assert python.parse_metadata(b"Name: x\n", path="x.dist-info/METADATA").problems


@given(data=st.binary(max_size=400))
def test_any_bytes_in_a_package_database_give_a_result(data: bytes) -> None:
    assert isinstance(dpkg.parse_status(data), Parsed)
    assert isinstance(apk.parse_installed(data, path="lib/apk/db/installed"), Parsed)
    assert isinstance(python.parse_metadata(data, path="x"), Parsed)
    assert isinstance(parse_os_release(data), OsRelease)
    assert isinstance(python.parse_record(data, path="s/x.dist-info/RECORD"), list)
    assert isinstance(dpkg.parse_file_list(data), list)
    assert isinstance(list(apk.owned_paths(data)), list)


@given(stanzas=st.permutations(["Package: a\nVersion: 1", "Package: b\nVersion: 2", "Package: c\nVersion: 3"]))
def test_the_order_of_stanzas_does_not_matter(stanzas: list[str]) -> None:
    parsed = dpkg.parse_status("\n\n".join(stanzas).encode())
    assert {p.name: p.version for p in parsed.packages} == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("var/lib/rpm/rpmdb.sqlite", "RPM packages"),
        ("usr/lib/sysimage/rpm/Packages.db", "RPM packages"),
        ("app/node_modules/@babel/core/package.json", "npm packages"),
        ("app/package.json", None),
        ("app/app.jar", "Java archives"),
        ("srv/Gemfile.lock", "Ruby gems"),
        ("usr/local/bundle/specifications/rack-2.0.gemspec", "Ruby gems"),
        ("app/App.deps.json", ".NET packages"),
        ("opt/conda/conda-meta/numpy-1.json", "Conda packages"),
        ("var/lib/chisel/manifest.wall", "Ubuntu chisel slices"),
        ("usr/local/lib/python3.12/ensurepip/_bundled/pip-24.0-py3-none-any.whl", None),
        ("opt/wheels/x.whl", "Python archives"),
        ("etc/passwd", None),
    ],
)
def test_unsupported_content_is_recognised_by_its_path(path: str, kind: str | None) -> None:
    assert kind_of(path) == kind


@pytest.mark.parametrize(
    ("config", "present", "owned", "program"),
    [
        ({"Entrypoint": ["/app"]}, {"app"}, set(), "app"),
        ({"Entrypoint": ["/bin/sh", "-c", "x"]}, {"usr/bin/sh"}, {"bin/sh"}, None),
        ({"Entrypoint": ["/entry.sh"], "Cmd": ["server"]}, {"entry.sh", "usr/bin/server"}, set(), "usr/bin/server"),
        ({"Cmd": ["nginx", "-g"]}, {"usr/sbin/nginx"}, {"usr/sbin/nginx"}, None),
        ({"Cmd": ["./run"], "WorkingDir": "/srv"}, {"srv/run"}, set(), "srv/run"),
        ({"Cmd": ["tool"], "Env": ["PATH=/opt/bin"]}, {"opt/bin/tool"}, set(), "opt/bin/tool"),
        ({}, set(), set(), None),
    ],
)
def test_the_program_an_image_starts_is_found_unless_a_package_owns_it(
    config: dict[str, object], present: set[str], owned: set[str], program: str | None
) -> None:
    assert started_program(start_candidates({"config": config}), present, owned) == program
