"""Which addresses a client may talk to. Pure: no name is looked up here.

A host name that comes from an image name, a redirect or a token realm was written by somebody else. It may
lead into our own network (server-side request forgery), to a cloud's metadata service, or change between the
check and the connection (DNS rebinding). So the *address* is judged, at the moment of connecting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_CGNAT = IPv4Network("100.64.0.0/10")
_AZURE_WIRE_SERVER = IPv4Address("168.63.129.16")
"""Azure's platform address: public by its number, yet it answers every virtual machine with its own settings.

https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16.
"""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Decides whether a host may be reached at an address; public addresses always may.

    Attributes:
        private: Private, loopback and carrier-grade NAT addresses are allowed for every host.
        hosts: Lower-case ``host`` or ``host:port`` for which they are allowed.
        networks: Networks that are allowed whatever they are, link-local ones included.
    """

    private: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def of(cls, allow_private: bool | Iterable[str], hosts: Iterable[str] = ()) -> AddressPolicy:
        """Read a configuration: True, False, or a list of hosts, ``host:port`` and CIDR networks."""
        entries = () if isinstance(allow_private, bool) else tuple(allow_private)
        networks = tuple(network for entry in entries if (network := _network(entry)) is not None)
        names = {entry.lower() for entry in entries if _network(entry) is None} | {host.lower() for host in hosts}
        return cls(allow_private is True, frozenset(names), networks)

    def refusal(self, host: str, port: int, address: str) -> str | None:
        """Say why ``host`` may not be reached at ``address``; None when it may."""
        ip = _unwrap(ip_address(address))
        if any(ip in network for network in self.networks if network.version == ip.version):
            return None
        kind = refusal(str(ip))
        if kind is None or (kind in _LIFTABLE and (self.private or self._names(host, port))):
            return None
        return kind

    def _names(self, host: str, port: int) -> bool:
        name = host.lower().strip("[]")
        bracketed = f"[{name}]" if ":" in name else name
        return not self.hosts.isdisjoint({name, bracketed, f"{bracketed}:{port}"})


_LIFTABLE = frozenset({"loopback", "private", "carrier-grade NAT"})


def refusal(address: str) -> str | None:
    """Name the kind of an address that is not public, such as ``loopback``; None for a public one.

    An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) is judged as that IPv4 address.
    """
    ip = _unwrap(ip_address(address))
    kinds = (
        ("loopback", ip.is_loopback),
        ("link-local", ip.is_link_local),
        ("multicast", ip.is_multicast),
        ("unspecified", ip.is_unspecified),
        ("cloud platform", ip == _AZURE_WIRE_SERVER),
        ("carrier-grade NAT", ip in _CGNAT if ip.version == 4 else False),
        ("reserved", ip.is_reserved or _is_broadcast(ip)),
        ("private", ip.is_private or ip in _NAT64_LOCAL if ip.version == 6 else ip.is_private),
        ("not public", not ip.is_global),
    )
    return next((kind for kind, holds in kinds if holds), None)


def _is_broadcast(ip: IPAddress) -> bool:
    return ip == IPv4Address("255.255.255.255")


def _unwrap(ip: IPAddress) -> IPAddress:
    if ip.version == 4:
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _network(text: str) -> IPNetwork | None:
    """A network in CIDR notation; a bare address is a host, not a network."""
    if "/" not in text:
        return None
    return ip_network(text, strict=False)
