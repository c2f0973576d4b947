import ipaddress

import pytest

from federation.addresses import check_announced_url, check_entity_id, is_public, parse_networks
from federation.errors import TrustError

NODE = "https://spoc.example.me"


@pytest.mark.parametrize(
    "url",
    [
        NODE,
        "https://spoc.example.me:8443",
        "https://spoc.example.me:65535/veza/node-1",
        "https://anchor.example.org/anchor",
        "https://xn--80ak6aa92e.example",
        "https://node",
        "https://198.51.99.7",
        "https://[2001:4860::8888]:1024",
    ],
)
@pytest.mark.parametrize("insecure", [False, True])
def test_a_sound_identifier_is_given_back(url: str, insecure: bool) -> None:
    assert check_entity_id(url, insecure) == url


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="nothing"),
        pytest.param("spoc.example.me", id="no scheme"),
        pytest.param("ftp://spoc.example.me", id="another scheme"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("HTTPS://spoc.example.me", id="scheme in capitals"),
        pytest.param("https://Spoc.example.me", id="host in capitals"),
        pytest.param("https://spoc.example.me/", id="trailing slash"),
        pytest.param("https://spoc.example.me/a/", id="trailing slash of a path"),
        pytest.param("https://spoc.example.me//a", id="empty segment"),
        pytest.param("https://spoc.example.me/../a", id="dot segments"),
        pytest.param("https://spoc.example.me/.", id="dot segment"),
        pytest.param("https://spoc.example.me:443", id="the usual port written"),
        pytest.param("https://spoc.example.me:22", id="a privileged port"),
        pytest.param("https://spoc.example.me:80", id="the port of http"),
        pytest.param("https://spoc.example.me:0", id="port 0"),
        pytest.param("https://spoc.example.me:65536", id="a port too large"),
        pytest.param("https://spoc.example.me:", id="an empty port"),
        pytest.param("https://spoc.example.me:08443", id="a padded port"),
        pytest.param("https://ok@evil.example", id="user"),
        pytest.param("https://ok:pw@evil.example", id="user and password"),
        pytest.param("https://spoc.example.me?x", id="query"),
        pytest.param("https://spoc.example.me#x", id="fragment"),
        pytest.param("https://spoc.example.me\\@evil.example", id="backslash"),
        pytest.param("https://spoc.example.me\r\nHost: x", id="line break"),
        pytest.param("https://spoc.example.me\n", id="line break at the end"),
        pytest.param("https://spoc%2eexample.me", id="percent encoding"),
        pytest.param("https://spoc.example.me/%2e%2e/a", id="percent encoding in the path"),
        pytest.param("https://шпок.example", id="no punycode"),
        pytest.param("https://①②⑦.⓪.⓪.①", id="circled digits"),
        pytest.param("https://-spoc.example.me", id="leading hyphen"),
        pytest.param("https://spoc..example.me", id="empty label"),
        pytest.param("https://spoc.example.me.", id="trailing dot"),
        pytest.param("https://127.1", id="short address"),
        pytest.param("https://2130706433", id="an address as a number"),
        pytest.param("https://0177.0.0.1", id="octal"),
        pytest.param("https://0x7f.1", id="hexadecimal"),
        pytest.param("https://256.1.1.1", id="no address"),
        pytest.param("https://[::ffff:7f00:1]x", id="text after an address"),
        pytest.param("https://[2001:4860:0::8888]", id="an address in another spelling"),
        pytest.param("https://[::1", id="an open bracket"),
        pytest.param("https://" + "a" * 64 + ".example", id="a label of 64"),
        pytest.param("https://" + "a." * 127 + "aa", id="a name of 256"),
        pytest.param(NODE + "/" + "a" * 300, id="longer than 300"),
    ],
)
@pytest.mark.parametrize("insecure", [False, True])
def test_another_form_is_insecure_always(url: str, insecure: bool) -> None:
    with pytest.raises(TrustError) as refusal:
        check_entity_id(url, insecure)
    assert refusal.value.code == "insecure_url"


INSIDE = [
    "http://spoc.example.me",
    "http://127.0.0.1:8100",
    "https://localhost",
    "https://node.localhost:8443",
    "https://127.0.0.1",
    "https://10.1.2.3",
    "https://192.168.1.1",
    "https://169.254.169.254",
    "https://100.64.0.1",
    "https://0.0.0.0",
    "https://[::1]",
    "https://[::]",
    "https://[fd00::1]",
    "https://[fe80::1]",
    "https://[::ffff:127.0.0.1]",
    "https://[64:ff9b::7f00:1]",
    "https://[64:ff9b::a9fe:a9fe]",
    "https://[2002:7f00:1::]",
    "https://[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "https://224.0.0.1",
]


@pytest.mark.parametrize("url", INSIDE)
def test_the_inside_is_insecure_unless_allowed(url: str) -> None:
    with pytest.raises(TrustError, match="insecure_url"):
        check_entity_id(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8100", "http://node.example", "http://[::1]:8100/anchor", "https://10.1.2.3"]
)
def test_a_demo_may_use_the_inside(url: str) -> None:
    assert check_entity_id(url, insecure_urls=True) == url


def test_an_operator_allows_one_network_and_no_more() -> None:
    allowed = parse_networks(["10.1.0.0/16", "fd00::/8"])
    assert check_entity_id("https://10.1.2.3", allowed_networks=allowed)
    assert check_entity_id("https://[fd00::1]", allowed_networks=allowed)
    for url in ("https://10.2.0.1", "https://127.0.0.1", "http://10.1.2.3"):
        with pytest.raises(TrustError, match="insecure_url"):
            check_entity_id(url, allowed_networks=allowed)


@pytest.mark.parametrize("text", ["10.1.2.3/8", "10.0.0.0/33", "inside", ""])
def test_a_network_is_written_as_cidr(text: str) -> None:
    with pytest.raises(TrustError, match=r"10\.1\.0\.0/16"):
        parse_networks([text])


@pytest.mark.parametrize(
    "url",
    [
        None,
        5,
        "",
        NODE,
        NODE + "/",
        NODE + ".evil.example/log",
        NODE + "@evil.example/log",
        NODE + ":8443/log",
        "https://evil.example/log",
        "http://spoc.example.me/log",
        NODE + "//evil.example",
        NODE + "/../log",
        NODE + "/a/../log",
        NODE + "/log?x",
        NODE + "/log#x",
        NODE + "/log ",
        NODE + "/log\r\n",
        NODE + "/" + "a" * 300,
    ],
    ids=repr,
)
def test_an_announced_url_lies_under_the_identifier(url: object) -> None:
    with pytest.raises(TrustError) as refusal:
        check_announced_url(url, NODE)
    assert refusal.value.code == "insecure_url"


def test_an_announced_url_is_given_back() -> None:
    assert check_announced_url(NODE + "/federation/v1/logs/ME", NODE) == NODE + "/federation/v1/logs/ME"


def test_public_addresses_are_told_from_those_inside() -> None:
    assert is_public(ipaddress.ip_address("2606:4700::1111"))
    assert not is_public(ipaddress.ip_address("::ffff:10.0.0.1"))
    assert not is_public(ipaddress.ip_address("ff0e::1"))
