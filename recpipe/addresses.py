"""Where a fetch may connect to. Addresses come from metadata, and metadata from strangers."""

import asyncio
import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

import httpx

PORTS = {"http": 80, "https": 443}
MOST_ADDRESSES = 3
"""Of a host that are tried one after another."""

_NAT64 = IPv6Network("64:ff9b::/96")


class RefusedAddressError(Exception):
    """A fetch may not go there; ``reason`` is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Origin(NamedTuple):
    scheme: str
    host: str  # as written, in lower case; IDNA where it is not ASCII
    port: int


def origin_of(url: httpx.URL, allowed_hosts: Collection[str]) -> Origin:
    """Raises:
    RefusedAddressError: the URL has another scheme than http and https, no host, a user name, or another port than
        80 and 443 on a host that is not among ``allowed_hosts``.
    """
    if url.scheme not in PORTS or not url.host or url.userinfo:
        raise RefusedAddressError("bad_address")
    host = url.raw_host.decode("ascii").lower()
    port = PORTS[url.scheme] if url.port is None else url.port
    if port not in PORTS.values() and host not in allowed_hosts:
        raise RefusedAddressError("forbidden_port")
    return Origin(url.scheme, host, port)


async def checked_addresses(origin: Origin, allowed_hosts: Collection[str]) -> list[str]:
    """Numeric addresses of the host, all of them public unless it is among ``allowed_hosts``.

    Connect to these and not to the name: a second look-up may be answered otherwise.

    Raises:
        RefusedAddressError: an address of the host is not public.
        OSError: the host has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        origin.host, origin.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    addresses = list(dict.fromkeys(entry[4][0] for entry in found))
    if origin.host not in allowed_hosts and not all(map(is_public, addresses)):
        raise RefusedAddressError("private_address")
    return addresses[:MOST_ADDRESSES]


def is_public(address: str) -> bool:
    """Whether the address is one of the internet, and so is the IPv4 address that it may stand for."""
    try:
        found = ip_address(address)
    except ValueError:  # such as fe80::1%eth0
        return False
    if isinstance(found, IPv6Address):
        if inner := found.ipv4_mapped or (IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None):
            return is_public(str(inner))
        if found.sixtofour or found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved
