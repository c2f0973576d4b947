"""The written form of entity identifiers and announced URLs (protocol.md, section 1).

Only the text is judged here; where a name leads is judged when it is dialled. There is one spelling of each
identifier, so that two can be compared as texts.
"""

import ipaddress
import re
from collections.abc import Iterable

from federation.errors import TrustError

MAX_LENGTH = 300
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_URL = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[1-9]\d{0,4})?((?:/[A-Za-z0-9._~-]+)*)", re.ASCII)
_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_DEFAULT_PORTS = {"https": 443, "http": 80}


def check_entity_id(url: str, insecure_urls: bool = False, allowed_networks: Iterable[IPNetwork] = ()) -> str:
    """The entity identifier, where its form is sound; TrustError ``insecure_url`` otherwise.

    ``insecure_urls`` (demo, tests) also allows ``http`` and loopback or private hosts; ``allowed_networks`` are those
    that the operator allowed for this peer.
    """
    match = _URL.fullmatch(url) if len(url) <= MAX_LENGTH else None
    if match is None:
        raise _insecure(url, "https://host[:port][/path] in lower case, without user, query, fragment, trailing slash")
    scheme, host, port, path = match.groups()
    if any(segment in (".", "..") for segment in path.split("/")):
        raise _insecure(url, "a path without dot segments")
    if scheme == "http" and not insecure_urls:
        raise _insecure(url, "https")
    _check_port(url, _DEFAULT_PORTS[scheme], port)
    _check_host(url, host, insecure_urls, tuple(allowed_networks))
    return url


def check_announced_url(url: object, entity_id: str) -> str:
    """A URL that a node announces: its entity identifier plus ``/…``; TrustError ``insecure_url`` otherwise."""
    prefix = f"{entity_id}/"
    if not isinstance(url, str) or not url.startswith(prefix) or len(url) > MAX_LENGTH:
        raise _insecure(url, f"{prefix}…")
    # The rest is judged as part of a path: the authority is the identifier's own, checked when trust was given.
    path = url.removeprefix(prefix)
    if not re.fullmatch(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*", path, re.ASCII) or {".", ".."} & set(path.split("/")):
        raise _insecure(url, f"{prefix} and a plain path")
    return url


def is_public(address: IPAddress) -> bool:
    """Whether an address is reachable from anywhere, also inside the forms that carry an IPv4 address in IPv6."""
    return address.is_global and not address.is_multicast and all(map(is_public, _embedded(address)))


def _embedded(address: IPAddress) -> list[IPAddress]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[IPAddress | None] = [address.ipv4_mapped, address.sixtofour]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in found if inner is not None]


def _check_port(url: str, default: int, port: str | None) -> None:
    if port is None:
        return
    number = int(port[1:])
    if number == default or not 1024 <= number <= 65535:
        raise _insecure(url, f"port {default} (not written) or 1024 to 65535")


def _check_host(url: str, host: str, insecure_urls: bool, allowed: tuple[IPNetwork, ...]) -> None:
    address = _literal(url, host)
    if insecure_urls:
        return
    if address is None:
        if host == "localhost" or host.endswith(".localhost"):
            raise _insecure(url, "a host that is not this machine")
    elif not is_public(address) and not any(address in network for network in allowed):
        raise _insecure(url, "a host outside loopback, private and link-local networks")


def _literal(url: str, host: str) -> IPAddress | None:
    """The address that a host spells, None for a name; ``insecure_url`` for a spelling that readers disagree on."""
    last = host.rsplit(".", 1)[-1]
    if not host.startswith("[") and not last[:1].isdigit():
        if not _NAME.fullmatch(host) or len(host) > 253:
            raise _insecure(url, "a host name of letters, digits and hyphens")
        return None
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError as error:
        raise _insecure(url, "a host name, or an address in its usual form") from error
    if str(address) != host.strip("[]"):
        raise _insecure(url, f"the address as {address}")
    return address


def _insecure(url: object, expected: str) -> TrustError:
    return TrustError("insecure_url", f"expected {expected}; found {repr(url)[:120]}")


def parse_networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    """Networks in CIDR form; TrustError ``insecure_url`` for anything else."""
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise TrustError("insecure_url", f"expected a network such as 10.1.0.0/16: {error}") from error
