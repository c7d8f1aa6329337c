"""Findings: ids, aliases, severities, purls, references; on real records of Debian, Ubuntu and Alpine."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue
from scanguard_osv.advisory import Advisory, parse_advisory
from scanguard_osv.mapping import map_findings
from scanguard_osv.matching import Match, match
from scanguard_osv.os_release import OsRelease
from scanguard_osv.packages import InstalledPackage, PackageKind

from scanguard.model.finding import Finding
from scanguard.model.severity import Severity

RECORDS = Path(__file__).parent / "data/debian"
DEBIAN_9 = OsRelease("debian", "9")


def record(name: str) -> Advisory:
    return parse_advisory((RECORDS / f"{name}.json").read_bytes())


def made(**fields: JsonValue) -> Advisory:
    affected = {"package": {"ecosystem": "Debian:9", "name": "openssl"}, "versions": ["1.1.0l-1~deb9u5"]}
    return Advisory.model_validate({"id": "T-1", "modified": "2024-01-01T00:00:00Z", "affected": [affected], **fields})


def findings(
    source: str,
    version: str,
    ecosystem: str,
    *advisories: Advisory,
    system: OsRelease = DEBIAN_9,
    kind: PackageKind = PackageKind.DEB,
) -> list[Finding]:
    package = InstalledPackage(kind, f"{source}-bin", version, source, version, "amd64", "var/lib/dpkg/status")
    matches = [match(package, ecosystem, advisory) for advisory in advisories]
    return list(map_findings([one for one in matches if isinstance(one, Match)], system))


def openssl(*advisories: Advisory) -> list[Finding]:
    return findings("openssl", "1.1.0l-1~deb9u5", "Debian:9", *advisories)


def test_a_distributions_copy_of_a_cve_has_the_cve_as_alias() -> None:
    system = OsRelease("debian", "12")
    [found] = findings("pam", "1.5.2-6+deb12u1", "Debian:12", record("DEBIAN-CVE-2024-10041"), system=system)
    assert (found.id, found.aliases) == ("DEBIAN-CVE-2024-10041", ("CVE-2024-10041",))
    assert (found.severity, found.severity_source) == (Severity.MEDIUM, "CVSS 3.1")
    assert found.cvss[0].score == 4.7
    assert found.fixed_versions == ()
    assert found.package.purl == "pkg:deb/debian/pam-bin@1.5.2-6%2Bdeb12u1?arch=amd64&distro=debian-12"
    assert found.package.source_name == "pam"
    assert found.vendor["distribution"] == {"urgency": "not yet assigned"}


def test_an_advisory_is_a_reference_of_its_cve_and_not_an_alias() -> None:
    [found] = openssl(record("DLA-3008-1"))
    assert (found.id, found.aliases) == ("CVE-2022-1292", ())
    assert found.fixed_versions == ("1.1.0l-1~deb9u6",)
    assert found.references[0] == "https://osv.dev/vulnerability/DLA-3008-1"
    assert found.vendor["advisories"] == ["DLA-3008-1"]
    assert found.severity is Severity.UNKNOWN


def test_an_advisory_joins_the_finding_of_the_cve_it_names() -> None:
    own = made(id="DEBIAN-CVE-2022-1292", upstream=["CVE-2022-1292"])
    [found] = openssl(own, record("DLA-3008-1"))
    assert (found.id, found.aliases) == ("DEBIAN-CVE-2022-1292", ("CVE-2022-1292",))
    assert found.fixed_versions == ("1.1.0l-1~deb9u6",)
    assert "https://osv.dev/vulnerability/DLA-3008-1" in found.references


def test_a_bundle_is_one_finding_for_each_cve_of_the_release() -> None:
    system = OsRelease("ubuntu", "22.04")
    found = findings("glibc", "2.35-0ubuntu3.1", "Ubuntu:22.04:LTS", record("USN-8611-1"), system=system)
    assert [one.id for one in found] == [f"CVE-2026-{n}" for n in (4046, 5435, 5450, 5928, 6238)]
    assert all(one.aliases == () for one in found)
    assert {(one.severity, one.severity_source) for one in found} == {(Severity.MEDIUM, "Ubuntu")}
    assert {one.id: one.cvss[0].score for one in found}["CVE-2026-5450"] == 9.8


def test_bundles_never_join_the_vulnerabilities_they_name() -> None:
    bundle = made(id="DSA-1-1", upstream=["CVE-2020-1", "CVE-2020-2222", "CVE-2020-3333"])
    own = made(id="DEBIAN-CVE-2020-2222", upstream=["CVE-2020-2222"])
    found = openssl(bundle, own)
    assert [(one.id, one.aliases) for one in found] == [
        ("CVE-2020-3333", ()),
        ("DEBIAN-CVE-2020-2222", ("CVE-2020-2222",)),
    ]


def test_an_advisory_that_names_no_cve_is_a_finding_of_its_own() -> None:
    [found] = findings("tzdata", "2020a-1", "Debian:9", record("DLA-3051-1"))
    assert (found.id, found.severity) == ("DLA-3051-1", Severity.UNKNOWN)


def test_ubuntus_priority_rates_before_cvss() -> None:
    system = OsRelease("ubuntu", "24.04")
    [found] = findings("pcre2", "10.42-4ubuntu2", "Ubuntu:24.04:LTS", record("UBUNTU-CVE-2026-86145"), system=system)
    assert (found.severity, found.severity_source) == (Severity.MEDIUM, "Ubuntu")
    assert found.cvss[0].score == 8.2


def test_alpine_packages_match_by_origin_and_have_an_apk_purl() -> None:
    system = OsRelease("alpine", "3.19.1")
    [found] = findings(
        "musl", "1.2.4_git20230717-r4", "Alpine:v3.19", record("ALPINE-CVE-2025-26519"), system=system,
        kind=PackageKind.APK,
    )  # fmt: skip
    assert found.aliases == ("CVE-2025-26519",)
    assert found.fixed_versions == ("1.2.4_git20230717-r5",)
    assert found.package.purl.startswith("pkg:apk/alpine/musl-bin@1.2.4_git20230717-r4?")
    assert "distro=alpine-3.19.1" in found.package.purl


def test_a_fix_below_the_installed_version_is_not_offered() -> None:
    ranges: JsonValue = [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "1.1"}, {"fixed": "2.0"}]},
    ]
    [found] = openssl(made(affected=[{"package": {"ecosystem": "Debian:9", "name": "openssl"}, "ranges": ranges}]))
    assert found.fixed_versions == ("2.0",)


V2 = "AV:N/AC:L/Au:N/C:C/I:C/A:C"
V3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
V3_LOW = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
V3_NONE = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"


def rating(kind: str, score: str) -> JsonValue:
    return [{"type": kind, "score": score}]


def entry(**fields: JsonValue) -> JsonValue:
    package: JsonValue = {"ecosystem": "Debian:9", "name": "openssl"}
    return [{"package": package, "versions": ["1.1.0l-1~deb9u5"], **fields}]


@pytest.mark.parametrize(
    ("fields", "severity", "source"),
    [
        pytest.param({}, Severity.UNKNOWN, "", id="nothing said is unknown"),
        pytest.param({"severity": rating("CVSS_V3", V3)}, Severity.CRITICAL, "CVSS 3.1", id="v3"),
        pytest.param({"severity": rating("CVSS_V3", V3_NONE)}, Severity.NEGLIGIBLE, "CVSS 3.0", id="v3.0 with score 0"),
        pytest.param({"severity": rating("CVSS_V4", V4)}, Severity.CRITICAL, "CVSS 4.0", id="v4"),
        pytest.param({"severity": rating("CVSS_V2", V2)}, Severity.HIGH, "CVSS 2.0", id="v2 has no critical"),
        pytest.param({"severity": rating("CVSS_V3", "CVSS:3.1/nonsense")}, Severity.UNKNOWN, "", id="broken vector"),
        pytest.param({"severity": rating("NEW", "5")}, Severity.UNKNOWN, "", id="unknown kind"),
        pytest.param(
            {"severity": rating("CVSS_V3", V3), "affected": entry(severity=rating("CVSS_V3", V3_LOW))},
            Severity.LOW,
            "CVSS 3.1",
            id="the entry before the record",
        ),
        pytest.param(
            {"severity": rating("CVSS_V3", V3), "affected": entry(ecosystem_specific={"urgency": "unimportant"})},
            Severity.NEGLIGIBLE,
            "Debian",
            id="the distribution's word before CVSS",
        ),
        pytest.param(
            {"severity": rating("CVSS_V3", V3), "affected": entry(ecosystem_specific={"urgency": "not yet assigned"})},
            Severity.CRITICAL,
            "CVSS 3.1",
            id="not yet assigned is no word",
        ),
        pytest.param(
            {"affected": entry(ecosystem_specific={"urgency": "low**"})}, Severity.LOW, "Debian", id="asterisks"
        ),
        pytest.param({"database_specific": {"severity": "MODERATE"}}, Severity.MEDIUM, "T", id="the database's word"),
    ],
)
def test_severity_comes_from_the_best_source(fields: dict[str, JsonValue], severity: Severity, source: str) -> None:
    [found] = openssl(made(**fields))
    assert (found.severity, found.severity_source) == (severity, source)


def test_findings_come_in_one_order_whatever_order_matches_come_in() -> None:
    advisories = [made(id=f"DSA-{n}-1", upstream=[f"CVE-2020-{n}{n}{n}{n}"]) for n in range(1, 5)]
    assert openssl(*advisories) == openssl(*reversed(advisories))


def test_what_people_are_shown_holds_no_control_characters_and_only_links() -> None:
    bad = made(
        summary="\x1b[31mred\x07 text", references=[{"url": "javascript:alert(1)"}, {"url": "https://ok.example/a"}]
    )
    [found] = openssl(bad)
    assert found.title == "[31mred  text"
    assert found.references == ("https://osv.dev/vulnerability/T-1", "https://ok.example/a")
