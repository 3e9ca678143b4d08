from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from identity_adapters.webhooks.network import InvalidUrl, check_url, is_allowed, is_public, parse_url

SPECIAL = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32", "::/128",
    "::1/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32", "2001:2::/48",
    "2001:10::/28", "2001:20::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7",
    "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
"""What IANA lists as not reachable for everybody, also parts of what it lists; see `network` for where."""


def has_ipv4_inside(address):
    return any(address in ip_network(prefix) for prefix in ("::ffff:0:0/96", "64:ff9b::/96"))


BESIDE = [
    "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255",
    "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
    "223.255.255.255", "168.63.129.15", "168.63.129.17", "2000::", "2001:200::", "2001:db7:ffff::",
    "2001:db9::", "2001:ffff::", "2003::", "2606:4700::", "2a00::", "3ffe::", "3fff:1000::",
]  # fmt: skip

ALL = (ip_network("0.0.0.0/0"), ip_network("::/0"))
versions_4, versions_6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
addresses = (
    versions_4 | versions_6 | st.sampled_from(SPECIAL).flatmap(lambda one: st.ip_addresses(network=one))
)


@given(st.sampled_from(SPECIAL).flatmap(lambda network: st.ip_addresses(network=network)))
def test_no_address_of_a_special_network_is_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("network", SPECIAL)
def test_a_special_network_is_special_from_its_first_address_to_its_last(network):
    network = ip_network(network)
    assert not is_public(network[0])
    assert not is_public(network[-1])


@pytest.mark.parametrize("address", BESIDE)
def test_what_lies_beside_the_special_networks_is_public(address):
    assert is_public(ip_address(address))


@given(addresses)
def test_what_is_public_is_so_for_python_as_well(address):
    """Not the other way round: what Python knows depends on its version."""
    if is_public(address) and not has_ipv4_inside(address):
        assert address.is_global


@given(versions_4 | st.sampled_from(SPECIAL[:17]).flatmap(lambda network: st.ip_addresses(network=network)))
@example(IPv4Address("127.0.0.1"))
def test_an_ipv4_address_in_an_ipv6_address_decides_for_it(address):
    inside = [IPv6Address(int(IPv6Address(prefix)) | int(address)) for prefix in ("::ffff:0:0", "64:ff9b::")]
    for outer in inside:
        assert is_public(outer) is is_public(address)
        assert is_allowed(outer, [ip_network(f"{address}/32")])
        assert is_allowed(outer, ALL[1:]) is is_public(address)


@given(addresses, st.lists(addresses, max_size=3))
def test_an_address_is_allowed_if_it_is_public_or_in_a_network(address, others):
    networks = [ip_network(other) for other in others]
    if not has_ipv4_inside(address):
        assert is_allowed(address, networks) is (is_public(address) or address in others)
    assert is_allowed(address, ALL)


def test_an_address_with_a_zone_is_never_allowed():
    assert not is_allowed(ip_address("fe80::1%lo"), ALL)
    assert not is_allowed(ip_address("2a00::1%1"), ALL)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with https://"),
        ("ftp://a.example", "must begin with https://"),
        ("//a.example", "must begin with https://"),
        ("https:a.example", "must begin with https://"),
        ("javascript:alert(1)", "must begin with https://"),
        ("https://", "must name a host"),
        ("https://:443", "must name a host"),
        ("https:///path", "must name a host"),
        ("https://user@a.example", "must not have a user or password"),
        ("https://a.example@127.0.0.1", "must not have a user or password"),
        ("https://:@a.example", "must not have a user or password"),
        ("https://a.example/#part", "must not have a fragment"),
        ("https://a.example#@127.0.0.1", "must not have a fragment"),
        ("https://a.example/" + 2048 * "a", "is longer than 2048 characters"),
        *[
            (f"https://a{mark}.example/{end}", "must not have whitespace, control characters or backslashes")
            for mark, end in ("\\a", " a", "\t\n", "\u00a0a", "\u202ea", "\u200ba", "\x00a", "\ud800a")
        ],
        (" https://a.example", "must not have whitespace, control characters or backslashes"),
        ("https://a.example:0", "must have a port from 1 to 65535"),
        ("https://a.example:65536", "must have a port from 1 to 65535"),
        ("https://a.example:http", "must have a valid host and port"),
        ("https://a.example:-1", "must have a valid host and port"),
        ("https://a.example:１", "must have a valid host and port"),
        ("https://::1", "must have a valid host and port"),
        ("https://[::1", "must have a valid host and port"),
        ("https://[::1].a.example", "must have a valid host and port"),
        ("https://[a.example]", "must have a valid IPv6 address in brackets"),
        ("https://[127.0.0.1]", "must have a valid IPv6 address in brackets"),
        ("https://[v1.a]", "must have a valid IPv6 address in brackets"),
        ("https://[fe80::1%25lo]", "must not have the zone of an address"),
        ("https://[fe80::1%lo]", "must not have the zone of an address"),
        ("https://%31%32%37.0.0.1", "must have a valid host"),
        ("https://a..example", "must have a valid host"),
        ("https://.a.example", "must have a valid host"),
        ("https://.", "must have a valid host"),
        ("https://a.example..", "must have a valid host"),
        ("https://a,b.example", "must have a valid host"),
        ("https://" + 64 * "a" + ".example", "must have a valid host"),
        ("https://" + ".".join(64 * ["aaaa"]), "must have a valid host"),
        ("https://\u2100.example", "must have a valid host"),  # a/c, for who normalizes it
        ("https://a.example/ä", "must have ASCII characters only after its host"),
        ("https://a.example?ä", "must have ASCII characters only after its host"),
    ],
)
def test_a_url_that_is_none_is_rejected_and_says_why(url, reason):
    for allows_http in (False, True):
        with pytest.raises(InvalidUrl) as raised:
            check_url(url, allows_http=allows_http)
        assert raised.value.reason == str(raised.value) == reason


def test_http_has_to_be_allowed():
    with pytest.raises(InvalidUrl, match=r"^must begin with https://$"):
        check_url("HTTP://a.example", allows_http=False)
    check_url("HTTP://a.example", allows_http=True)


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("HTTPS://A.Example", "a.example", None, "/"),
        ("https://a.example:443/p/?q=%20&r=@/:", "a.example", 443, "/p/?q=%20&r=@/:"),
        ("https://a.example?q", "a.example", None, "/?q"),
        ("https://a.example:", "a.example", None, "/"),
        ("https://a.example.", "a.example.", None, "/"),
        ("https://my_service", "my_service", None, "/"),
        ("https://bücher。example", "xn--bcher-kva.example", None, "/"),
        ("https://１２７.0.0.1", "127.0.0.1", None, "/"),
        ("https://[::FFFF:127.0.0.1]:8443", "::ffff:7f00:1", 8443, "/"),
    ],
)
def test_a_url_is_taken_apart(url, host, port, target):
    parsed = parse_url(url)
    if host == "::ffff:7f00:1":  # Pythons write it in two ways
        host = IPv6Address(host).compressed
    assert (parsed.host.decode(), parsed.port, parsed.target.decode()) == (host, port, target)


parts = st.sampled_from(
    ["https://", "http://", "a.example", "127.0.0.1", "[::1]", *"@:/?#[].\\%-_ aä0", ":80"]
)


@given(st.text() | st.lists(parts).map(lambda some: "https://" + "".join(some)))
def test_a_url_that_is_accepted_means_the_same_to_other_programs(url):
    with suppress(InvalidUrl):
        parsed, other = parse_url(url), urlsplit(url)
        assert other.username is None
        assert parsed.scheme.decode() == other.scheme
        assert parsed.port == other.port
        if other.hostname.isascii() and ":" not in other.hostname:
            assert parsed.host.decode() == other.hostname
