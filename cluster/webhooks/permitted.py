"""Permitted addresses: where events may be sent, by URL and by the address that is connected to."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote

import httpx

from adapters.errors import InputError, SettingsError
from cluster.config import EventsConfig

LONGEST_URL = 2000
Ip = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
"""All that is given to anybody; whatever else there is leads inside, or nowhere."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True, slots=True)
class Permitted:
    """What the operator permits.

    Args:
        events: The part of the configuration that says it.
    """

    events: EventsConfig

    def url(self, url: str) -> httpx.URL:
        """Return where `url` leads, as it is read here and connected to.

        Raises:
            InputError: it is none that events are sent to; the message does not name its path,
                which may be a secret.
        """
        found = _read(url)
        if not self.events.allow:
            raise SettingsError(
                "events may be sent nowhere yet: name the addresses that webhooks may have under "
                "`events: {allow: [https://hooks.example.com/]}` in the configuration"
            )
        if not any(_is_below(found, _read(allowed)) for allowed in self.events.allow):
            raise InputError(
                f"events may not be sent to {shown(url)}: expected an address below one of "
                f"{', '.join(self.events.allow)}; choose another one, or name it under `events: "
                "allow:` in the configuration"
            )
        return found

    def ip(self, address: str) -> bool:
        """Return whether events may be sent to what lies at an IP address."""
        ip = ip_address(address.partition("%")[0])
        meant = [ip, *_embedded(ip)]
        networks = [ip_network(network, strict=False) for network in self.events.inner]
        if any(ip in network for network in networks):
            return True
        return all(_is_public(each) for each in meant)


def shown(url: str) -> str:
    """Return a URL as people are shown it: its path and its query may be secrets."""
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        return "an address that cannot be read"
    if not found.scheme or not found.host:
        return "an address without a host"
    origin = f"{found.scheme}://{found.netloc.decode('ascii')}/"
    return origin if found.raw_path in (b"", b"/") else f"{origin}…"


def _read(url: str) -> httpx.URL:
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InputError(
            "expected an address such as https://hooks.example.com/, found one whose host, port or "
            "characters cannot be read"
        ) from error
    path = unquote(found.path)
    problem = (
        "another scheme"
        if found.scheme not in _PORTS
        else "no host"
        if not found.host
        else "a user or a password in it"
        if found.userinfo or "@" in found.netloc.decode()
        else "a fragment"
        if found.fragment
        else "a path with `.` or `..`"
        if {".", ".."} & set(path.split("/"))
        else "a backslash or a space"
        if any(c == "\\" or not c.isprintable() or c == " " for c in url)
        else f"more than {LONGEST_URL} characters"
        if len(url) > LONGEST_URL
        else ""
    )
    if problem:
        raise InputError(f"expected an address such as https://hooks.example.com/, found {problem}")
    return found


def _is_below(found: httpx.URL, allowed: httpx.URL) -> bool:
    if (found.scheme, found.host, _port(found)) != (allowed.scheme, allowed.host, _port(allowed)):
        return False
    path = allowed.path if allowed.path.endswith("/") else f"{allowed.path}/"
    return found.path == allowed.path or found.path.startswith(path)


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]


def _is_public(ip: Ip) -> bool:
    if isinstance(ip, IPv6Address) and not (ip in _UNICAST or ip in _NAT64 or ip.ipv4_mapped):
        return False
    return ip.is_global and not ip.is_multicast


def _embedded(ip: Ip) -> list[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address stands for."""
    if isinstance(ip, IPv4Address):
        return []
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64:
        found.append(IPv4Address(int(ip) & 0xFFFF_FFFF))
    return [each for each in found if each is not None]
