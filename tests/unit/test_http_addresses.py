from __future__ import annotations

import pytest

from scanguard.http import AddressPolicy, refusal


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.8.8.8", id="loopback-any"),
        pytest.param("::1", id="loopback-6"),
        pytest.param("10.1.2.3", id="private-10"),
        pytest.param("172.16.0.1", id="private-172"),
        pytest.param("192.168.1.1", id="private-192"),
        pytest.param("fd00::1", id="unique-local"),
        pytest.param("169.254.169.254", id="metadata-service"),
        pytest.param("fe80::1", id="link-local-6"),
        pytest.param("fe80::1%eth0", id="link-local-6-with-scope"),
        pytest.param("100.64.0.1", id="carrier-grade-nat"),
        pytest.param("168.63.129.16", id="azure-wire-server"),
        pytest.param("0.0.0.0", id="unspecified"),  # noqa: S104  # an address to judge, nothing binds to it
        pytest.param("::", id="unspecified-6"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("ff02::1", id="multicast-6"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("192.0.2.1", id="documentation"),
        pytest.param("198.18.0.1", id="benchmarking"),
        pytest.param("::ffff:127.0.0.1", id="mapped-loopback"),
        pytest.param("::ffff:169.254.169.254", id="mapped-metadata"),
        pytest.param("::ffff:a9fe:a9fe", id="mapped-metadata-in-hex"),
        pytest.param("::127.0.0.1", id="compatible-loopback"),
        pytest.param("2002:7f00:1::", id="6to4-of-loopback"),
        pytest.param("64:ff9b::a00:1", id="nat64-of-private"),
        pytest.param("64:ff9b:1::1", id="local-nat64"),
        pytest.param("2001:db8::1", id="documentation-6"),
        pytest.param("2001::1", id="teredo"),
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(address) is not None
    assert AddressPolicy().refusal("registry.example", 443, address) is not None


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "20.50.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"],
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert AddressPolicy().refusal("registry.example", 443, address) is None


def test_private_addresses_are_allowed_for_the_hosts_named_and_no_other() -> None:
    policy = AddressPolicy.of(("registry.internal", "localhost:5000", "[::1]:5000"))
    assert policy.refusal("registry.internal", 443, "10.0.0.5") is None
    assert policy.refusal("REGISTRY.internal", 8443, "127.0.0.1") is None
    assert policy.refusal("localhost", 5000, "127.0.0.1") is None
    assert policy.refusal("::1", 5000, "::1") is None
    assert policy.refusal("localhost", 5001, "127.0.0.1") == "loopback"
    assert policy.refusal("other.internal", 443, "10.0.0.5") == "private"
    assert policy.refusal("xregistry.internal", 443, "10.0.0.5") == "private"


@pytest.mark.parametrize("allow", [True, ("evil.example",)], ids=["everywhere", "by-host"])
def test_allowing_private_addresses_does_not_open_the_metadata_service(allow: bool | tuple[str, ...]) -> None:
    policy = AddressPolicy.of(allow)
    assert policy.refusal("evil.example", 80, "10.0.0.1") is None
    assert policy.refusal("evil.example", 80, "169.254.169.254") == "link-local"
    assert policy.refusal("evil.example", 80, "168.63.129.16") == "cloud platform"
    assert policy.refusal("evil.example", 80, "::ffff:169.254.169.254") == "link-local"


def test_a_network_is_allowed_for_every_host_even_a_link_local_one() -> None:
    policy = AddressPolicy.of(("10.20.0.0/16", "169.254.7.0/24"))
    assert policy.refusal("a.example", 443, "10.20.3.4") is None
    assert policy.refusal("a.example", 443, "169.254.7.7") is None
    assert policy.refusal("a.example", 443, "10.21.3.4") == "private"
    assert policy.refusal("a.example", 443, "fd00::1") == "private"
