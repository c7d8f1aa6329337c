"""Findings of a simulated image: always the same for the same digest, with the oddities of the vendor's samples.

The shapes follow Qualys' public API documentation (fetch vulnerability details for an image): timestamps are epoch
milliseconds as text, CVSS scores are text, anything may be null, one QID holds several CVEs and packages.
"""

from __future__ import annotations

import random
from typing import Any

_EPOCH_MS = 1_738_660_042_992
_PACKAGES = ("openssl", "zlib1g", "libxml2", "bash", "curl", "expat", "glibc", "sqlite3", "tar", "perl")


def vulnerabilities(key: str, count: int, operating_system: str, seed: int) -> list[dict[str, Any]]:
    """So many QIDs of an image, in the form of ``details[]``."""
    chance = random.Random(f"{seed} {key}")  # noqa: S311  # the same answer every time is the point
    return [_vulnerability(chance, number, operating_system) for number in range(count)]


def _vulnerability(chance: random.Random, number: int, operating_system: str) -> dict[str, Any]:
    severity = chance.choice((1, 2, 3, 3, 4, 5))
    names = chance.sample(_PACKAGES, chance.choice((1, 1, 1, 2, 3)))
    year = chance.randint(2015, 2025)
    cves = [f"CVE-{year}-{chance.randint(1000, 49_999)}" for _ in range(chance.choice((0, 1, 1, 1, 2, 4)))]
    software = [_software(chance, name) for name in names]
    return {
        "qid": 370_000 + number,
        "title": f"{operating_system.split(maxsplit=1)[0]} Security Update for {names[0]}",
        "cveids": cves,
        "severity": severity,
        "customerSeverity": chance.choice((None, severity, severity, max(1, severity - 1))),
        "qdsScore": chance.choice((None, chance.randint(1, 100))),
        "cvssInfo": {"baseScore": "5.0", "temporalScore": "3.9", "accessVector": "Network"},
        "cvss3Info": chance.choice((None, {"baseScore": f"{chance.uniform(1, 10):.1f}", "temporalScore": None})),
        "patchAvailable": chance.choice((True, False, None)),
        "published": _EPOCH_MS - year,
        "firstFound": str(_EPOCH_MS),
        "lastFound": str(_EPOCH_MS + 86_400_000),
        "typeDetected": chance.choice(("CONFIRMED", "CONFIRMED", "CONFIRMED", "POTENTIAL", "INFORMATION")),
        "status": None,
        "risk": severity * 10,
        "category": operating_system.split(maxsplit=1)[0],
        "port": None,
        "discoveryType": ["AUTHENTICATED"],
        "authType": ["UNIX_AUTH"],
        "supportedBy": ["VM"],
        "product": names,
        "vendor": [operating_system.split(maxsplit=1)[0].lower()],
        "threatIntel": {"activeAttacks": None, "publicExploit": chance.choice((True, None))},
        "software": software,
        "result": '#table cols="3"\nPackage Installed_Version Required_Version',
        "scanType": ["DYNAMIC"],
        "isExempted": chance.random() < 0.1,
        "vendorData": {},
    }


def _software(chance: random.Random, name: str) -> dict[str, Any]:
    version = f"{chance.randint(1, 9)}.{chance.randint(0, 9)}.{chance.randint(0, 20)}-{chance.randint(1, 9)}ubuntu1"
    fixed = chance.choice((None, f"{version}.{chance.randint(1, 9)}"))
    return {"name": name, "version": version, "fixVersion": fixed, "scanType": "DYNAMIC", "packagePath": None}


def compliance(key: str, seed: int) -> list[dict[str, Any]]:
    """Controls of an image."""
    chance = random.Random(f"{seed} {key} controls")  # noqa: S311  # the same answer every time is the point
    return [
        {
            "controlId": 10_800 + number,
            "title": title,
            "posture": chance.choice(("PASS", "FAIL")),
            "criticality": chance.choice(("LOW", "MEDIUM", "HIGH")),
        }
        for number, title in enumerate(
            (
                "Ensure that a user for the container has been created",
                "Ensure that HEALTHCHECK instructions have been added",
                "Ensure that setuid and setgid permissions are removed",
            )
        )
    ]
