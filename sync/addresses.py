"""Which addresses this node may dial (protocol.md, section 1): a URL of a peer must not open a way into the inside.

A URL is checked in two steps: its form (no look-up needed), then every address its host resolves to. The address
that was checked is the one that is dialled, so that a name cannot answer differently the second time.
"""

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from sync.errors import InsecureUrlError, PeerUnreachableError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ASCII_URL = re.compile(r"[\x21-\x7e]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that may be dialled: where it goes, and the addresses that were checked for it."""

    url: str
    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def place(self) -> str:
        """Host and port, for the words of an error."""
        return f"{self.host}:{self.port}"


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks in CIDR form (``10.1.0.0/16``); ValueError for anything else."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def check_form(url: str, *, insecure_urls: bool = False) -> tuple[str, int]:
    """Host and port of ``url``, where its form allows that it be dialled; InsecureUrlError otherwise."""
    if not _ASCII_URL.fullmatch(url):
        raise InsecureUrlError(f"expected a URL of printable ASCII characters, found {url[:200]!r}")
    parts = _split(url)
    schemes = ("https", "http") if insecure_urls else ("https",)
    if parts.scheme not in schemes:
        raise InsecureUrlError(f"expected {' or '.join(schemes)}, found {url[:200]!r}")
    if "@" in parts.netloc or "#" in url or "\\" in url:
        raise InsecureUrlError(f"expected a URL without user info, fragment or backslash, found {url[:200]!r}")
    return _check_host(parts, url), _check_port(parts, url)


def check_url(
    url: str,
    *,
    insecure_urls: bool = False,
    allowed_networks: Sequence[Network] = (),
    resolve: Resolver | None = None,
    seconds: float = 10,
) -> Destination:
    """Where ``url`` leads, after every address of its host was checked.

    Raises InsecureUrlError (``insecure_url``) for a form or address that must not be dialled, PeerUnreachableError
    where the name cannot be resolved within ``seconds``.
    """
    host, port = check_form(url, insecure_urls=insecure_urls)
    literal = _literal(host)
    found = [str(literal)] if literal else _resolve_within(resolve or _resolve, host, port, seconds)
    for address in found:
        if not (insecure_urls or is_allowed(ipaddress.ip_address(address), allowed_networks)):
            raise InsecureUrlError(
                f"{host} leads to {address}, no public address; allow its network for this peer if that is right"
            )
    return Destination(url, host, port, tuple(found))


def is_allowed(address: Address, allowed_networks: Sequence[Network] = ()) -> bool:
    """Whether ``address`` is public, or lies in a network that the operator allowed.

    An address that only wraps an IPv4 address (mapped, compatible, NAT64, 6to4) is judged by the one inside.
    """
    inner = _unwrap(address)
    if any(candidate in network for candidate in {address, inner} for network in allowed_networks):
        return True
    if isinstance(inner, ipaddress.IPv6Address) and inner not in _GLOBAL_UNICAST:
        return False
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


def _unwrap(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise InsecureUrlError(f"expected a URL, found {url[:200]!r} ({error})") from error


def _check_host(parts: SplitResult, url: str) -> str:
    host = parts.hostname or ""
    if host not in parts.netloc:
        raise InsecureUrlError(f"expected a host in lower case, found {url[:200]!r}")
    if _literal(host):
        return host
    # A last label that is a number makes resolvers read the whole as an IPv4 address in disguise (127.1, 0x7f.1).
    if len(host) > 253 or not _HOST_NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise InsecureUrlError(f"expected a host name or a plain IP address, found {host[:100]!r}")
    return host


def _check_port(parts: SplitResult, url: str) -> int:
    try:
        port = parts.port
    except ValueError as error:
        raise InsecureUrlError(f"expected a port number, found {url[:200]!r}") from error
    default = _DEFAULT_PORTS[parts.scheme]
    if port is None:
        return default
    if port not in (443, default) and port < 1024:
        raise InsecureUrlError(f"expected port 443 or one from 1024 on, found {port}")
    return port


def _literal(host: str) -> Address | None:
    """The address that ``host`` writes out, in one of the two plain forms; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _resolve(host: str, port: int) -> list[str]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _resolve_within(resolve: Resolver, host: str, port: int, seconds: float) -> list[str]:
    """Resolve in a thread of its own: the system's resolver knows no deadline."""
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    try:
        answer = answers.get(timeout=max(seconds, 0))
    except queue.Empty as error:
        raise PeerUnreachableError("timeout", f"the name {host} was not resolved within {seconds:.0f} s") from error
    if not isinstance(answer, list) or not answer:
        raise PeerUnreachableError("unreachable", f"the name {host} has no address ({answer})")
    return answer
