"""Addresses that must not be dialled, in every disguise (abuse.md T12)."""

import ipaddress
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.addresses import Destination, check_form, check_url, is_allowed, parse_networks
from sync.errors import InsecureUrlError, PeerUnreachableError

BAD_FORMS = {
    "http": "http://node.example",
    "file": "file:///etc/passwd",
    "no_scheme": "node.example",
    "user_info": "https://ok@evil.example",
    "user_and_password": "https://a:b@evil.example",
    "empty_user": "https://@evil.example",
    "fragment": "https://node.example/#x",
    "empty_fragment": "https://node.example#",
    "backslash": "https://node.example\\@evil.example",
    "space": "https://node.example /x",
    "newline": "https://node.example\n.evil.example",
    "nul": "https://node.example\x00",
    "upper_case_host": "https://Node.example",
    "no_host": "https://",
    "no_host_but_port": "https://:443",
    "ssh_port": "https://node.example:22",
    "http_port": "https://node.example:80",
    "port_zero": "https://node.example:0",
    "port_text": "https://node.example:abc",
    "port_too_large": "https://node.example:65536",
    "short_ipv4": "https://127.1",
    "decimal_ipv4": "https://2130706433",
    "octal_ipv4": "https://0177.0.0.1",
    "hexadecimal_ipv4": "https://0x7f.1",
    "hexadecimal_number": "https://0x7f000001",
    "circled_digits": "https://①②⑦.0.0.1",
    "numeric_last_label": "https://node.1",
    "dot_at_the_end": "https://node.example.",
    "empty_label": "https://node..example",
    "dash_first": "https://-node.example",
    "underscore": "https://a_b.example",
    "label_too_long": f"https://{'a' * 64}.example",
    "name_too_long": f"https://{'.'.join(['a' * 60] * 5)}",
    "unclosed_bracket": "https://[::1",
    "zone": "https://[fe80::1%25eth0]",
}

BAD_ADDRESSES = {
    "loopback": "127.0.0.1",
    "other_loopback": "127.255.0.9",
    "this_host": "0.0.0.0",
    "private_10": "10.1.2.3",
    "private_172": "172.16.0.1",
    "private_192": "192.168.1.1",
    "carrier_grade": "100.64.0.1",
    "metadata": "169.254.169.254",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
    "documentation": "192.0.2.1",
    "loopback_6": "::1",
    "unspecified_6": "::",
    "mapped": "::ffff:127.0.0.1",
    "mapped_private": "::ffff:10.0.0.1",
    "compatible": "::127.0.0.1",
    "nat64": "64:ff9b::7f00:1",
    "nat64_local": "64:ff9b:1::7f00:1",
    "6to4": "2002:7f00:1::",
    "6to4_private": "2002:a00:1::1",
    "teredo": "2001:0:7f00:1::",
    "link_local_6": "fe80::1",
    "site_local_6": "fec0::1",
    "unique_local_6": "fc00::1",
    "multicast_6": "ff02::1",
    "documentation_6": "2001:db8::1",
}


def never(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} must not be looked up")


@pytest.mark.parametrize("url", BAD_FORMS.values(), ids=BAD_FORMS)
def test_form_is_refused_before_any_look_up(url: str) -> None:
    with pytest.raises(InsecureUrlError) as refusal:
        check_url(url, resolve=never)
    assert refusal.value.code == "insecure_url"


@pytest.mark.parametrize("address", BAD_ADDRESSES.values(), ids=BAD_ADDRESSES)
def test_name_that_leads_inside_is_refused(address: str) -> None:
    with pytest.raises(InsecureUrlError, match=r"no public address"):
        check_url("https://node.example", resolve=lambda host, port: [address])


@pytest.mark.parametrize("address", BAD_ADDRESSES.values(), ids=BAD_ADDRESSES)
def test_written_address_that_leads_inside_is_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(InsecureUrlError):
        check_url(f"https://{host}", resolve=never)


def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    with pytest.raises(InsecureUrlError, match=r"10\.0\.0\.1"):
        check_url("https://node.example", resolve=lambda host, port: ["8.8.8.8", "10.0.0.1"])


GOOD_FORMS = {
    "https://node.example": ("node.example", 443),
    "https://node.example:443/x": ("node.example", 443),
    "https://node.example:1024/a/b?sub=https%3A%2F%2Fx.example": ("node.example", 1024),
    "https://a-b.xn--e1afmkfd.example/federation/v1/logs/ME": ("a-b.xn--e1afmkfd.example", 443),
    "https://8.8.8.8": ("8.8.8.8", 443),
    "https://[2606:4700::1111]:8443": ("2606:4700::1111", 8443),
}


@pytest.mark.parametrize(("url", "expected"), GOOD_FORMS.items())
def test_good_form_gives_host_and_port(url: str, expected: tuple[str, int]) -> None:
    assert check_form(url) == expected


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8100", "http://localhost:8100/x", "http://[::1]:8100", "http://n.example"]
)
def test_insecure_urls_are_dialled_only_where_allowed(url: str) -> None:
    assert check_url(url, insecure_urls=True, resolve=lambda host, port: ["127.0.0.1"]).url == url
    with pytest.raises(InsecureUrlError):
        check_url(url, resolve=never)


def test_insecure_urls_do_not_open_low_ports() -> None:
    with pytest.raises(InsecureUrlError, match="port"):
        check_url("http://127.0.0.1:22", insecure_urls=True)


def test_all_checked_addresses_are_kept_for_dialling() -> None:
    found = check_url("https://node.example:8443", resolve=lambda host, port: ["8.8.8.8", "2606:4700::1111"])
    assert found == Destination("https://node.example:8443", "node.example", 8443, ("8.8.8.8", "2606:4700::1111"))


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "10.255.255.255", True),
        (["10.0.0.0/8"], "11.0.0.1", True),
        (["10.0.0.0/8"], "192.168.0.1", False),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["fd00::/8"], "fd12::1", True),
        (["fd00::/8"], "10.0.0.1", False),
        (["127.0.0.0/8", "::1/128"], "::1", True),
        ([], "10.1.2.3", False),
    ],
)
def test_network_of_a_peer_opens_that_network_alone(networks: list[str], address: str, allowed: bool) -> None:
    assert is_allowed(ipaddress.ip_address(address), parse_networks(networks)) is allowed


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "nowhere", ""])
def test_networks_are_written_in_cidr_form(text: str) -> None:
    with pytest.raises(ValueError):
        parse_networks([text])


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_ipv4_inside_ipv6_is_judged_alike(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    wrapped = [ipaddress.IPv6Address(0xFFFF << 32 | number), ipaddress.IPv6Address(0x2002 << 112 | number << 80)]
    wrapped.append(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | number))
    assert {is_allowed(address) for address in wrapped} == {is_allowed(plain)}


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("label too long")])
def test_name_that_does_not_resolve_is_unreachable(error: Exception) -> None:
    def fail(host: str, port: int) -> list[str]:
        raise error

    with pytest.raises(PeerUnreachableError) as refusal:
        check_url("https://node.example", resolve=fail)
    assert refusal.value.code == "unreachable"


def test_name_without_addresses_is_unreachable() -> None:
    with pytest.raises(PeerUnreachableError):
        check_url("https://node.example", resolve=lambda host, port: [])


def test_resolver_that_hangs_ends_at_the_limit() -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        release.wait(10)
        return []

    with pytest.raises(PeerUnreachableError) as refusal:
        check_url("https://node.example", resolve=hang, seconds=0.05)
    release.set()
    assert refusal.value.code == "timeout"


def test_system_resolver_knows_localhost() -> None:
    found = check_url("http://localhost:8100", insecure_urls=True)
    assert set(found.addresses) <= {"127.0.0.1", "::1"}
