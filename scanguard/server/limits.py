"""How much is let in: token buckets for all clients and for each, and slots for requests at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from scanguard.server.problems import RequestRefusedError

MAX_CLIENTS: Final = 10_000
"""Clients remembered; the one heard of longest ago is forgotten first."""
BURST_S: Final = 2.0
"""A bucket holds what its rate gives in so many seconds, and one request at least."""
BUSY_RETRY_S: Final = 5.0


class Bucket:
    """A token bucket; ``now`` is any clock in seconds that does not go back."""

    __slots__ = ("_capacity", "_level", "_rate", "_seen")

    def __init__(self, rate_per_s: float, now: float) -> None:
        self._rate = rate_per_s
        self._capacity = max(1.0, rate_per_s * BURST_S)
        self._level = self._capacity
        self._seen = now

    def take(self, now: float) -> float:
        """Take one token; returns 0.0, or without taking any the seconds until there is one."""
        self._level = min(self._capacity, self._level + (now - self._seen) * self._rate)
        self._seen = now
        if self._level < 1.0:
            return (1.0 - self._level) / self._rate
        self._level -= 1.0
        return 0.0


class RateLimits:
    """One bucket for everybody, and one for each client."""

    def __init__(self, rate_per_s: float, client_rate_per_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._client_rate = client_rate_per_s
        self._all = Bucket(rate_per_s, clock())
        self._clients: OrderedDict[str, Bucket] = OrderedDict()

    def admit_client(self, address: str) -> None:
        """Count a request of a client, whoever it says it is; 429 when it is one too many."""
        now = self._clock()
        network = _network(address)
        bucket = self._clients.get(network)
        if bucket is None:
            bucket = self._clients[network] = Bucket(self._client_rate, now)
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
        else:
            self._clients.move_to_end(network)
        _refuse(bucket.take(now), "this client asks too often")

    def admit(self) -> None:
        """Count an authenticated request; 429 when it is one too many.

        Only authenticated ones: otherwise anybody could use up what Event Grid needs.
        """
        _refuse(self._all.take(self._clock()), "too many requests at the moment")


class Slots:
    """Most requests worked on at once, each with its body in memory."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self) -> None:
        """Take a slot; RequestRefusedError with 503 when none is free."""
        if self._free <= 0:
            raise RequestRefusedError(
                503, "busy", "too many requests are worked on: send it again", retry_after_s=BUSY_RETRY_S
            )
        self._free -= 1

    def give_back(self) -> None:
        """Give a slot back that was taken."""
        self._free += 1


def _network(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 host has to itself."""
    if ":" not in address:
        return address
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or int(ip) >> 64)
    return str(ip)


def _refuse(wait_s: float, why: str) -> None:
    if wait_s > 0.0:
        raise RequestRefusedError(429, "rate-limited", f"{why}: wait, then send it again", retry_after_s=wait_s)
