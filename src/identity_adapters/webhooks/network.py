"""Which endpoints may be connected to.

Whoever chooses a URL must not reach, through this service, what only this service can reach: its own
machine, its private network, the metadata of its cloud. A name says nothing about that, and may resolve to
something else each time. So addresses are checked, at the one place that connects: a name is resolved once
for each connection, all its addresses are checked, and one of these addresses is connected to.
"""

import asyncio
import re
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

import httpcore
import idna

from identity_adapters.webhooks.webhook import Network

IPAddress: TypeAlias = IPv4Address | IPv6Address

LONGEST_URL = 2048
LONGEST_ANSWER = 1 << 20
"""Bytes that are read of the answer to one request, whatever they are."""

NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            # https://www.iana.org/assignments/iana-ipv4-special-registry, without what is globally reachable,
            # and https://www.iana.org/assignments/multicast-addresses. `is_global` depends on the Python.
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by customers of a provider
            "127.0.0.0/8",  # this machine
            "169.254.0.0/16",  # link-local, and the metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols of the IETF
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays from IPv6, deprecated
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
            "168.63.129.16/32",  # the metadata of Azure, at a public address
            # https://www.iana.org/assignments/iana-ipv6-special-registry, as far as it is unicast.
            "2001::/23",  # protocols of the IETF, and Teredo
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which leads to any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is assigned as global unicast; the rest is private, special, or not assigned."""

TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a translator (RFC 6052)."""

RESOLVERS = ThreadPoolExecutor(64, thread_name_prefix="resolver")
"""Threads that look names up. The few of the loop would soon all wait for names that do not resolve."""

URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?]*)(?P<target>.*)", re.IGNORECASE)
AUTHORITY = re.compile(r"(?:\[(?P<literal>[^\[\]]*)\]|(?P<name>[^\[\]:]*))(?::(?P<port>[0-9]{0,5}))?")
NAME = re.compile(r"(?=.{1,253}\.?$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")


class InvalidUrl(ValueError):
    """A URL that no webhook can have.

    Attributes:
        reason: why, as the end of a sentence that starts with the field.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CannotConnect(Exception):
    """An endpoint cannot be connected to.

    Attributes:
        reason: why, without any value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AddressNotAllowed(CannotConnect):
    """An endpoint has an address that is neither public nor in a network that is allowed."""

    def __init__(self) -> None:
        super().__init__("address not allowed")


class AnswerTooLarge(Exception):
    """An endpoint answers more than anybody reads."""


def check_url(url: str, *, allows_http: bool) -> None:
    """Check the URL of an endpoint; its address is checked when it is connected to.

    Raises:
        InvalidUrl: a webhook cannot have it.
    """
    if parse_url(url).scheme == b"http" and not allows_http:
        raise InvalidUrl("must begin with https://")


def parse_url(url: str) -> httpcore.URL:
    """Parse the URL of an endpoint, with its name in ASCII.

    What programs read in different ways is rejected instead.

    >>> parse_url("https://müller.example?shop=1")
    URL(scheme=b'https', host=b'xn--mller-kva.example', port=None, target=b'/?shop=1')

    Raises:
        InvalidUrl: a webhook cannot have it.
    """
    if len(url) > LONGEST_URL:
        raise InvalidUrl(f"is longer than {LONGEST_URL} characters")
    if " " in url or "\\" in url or not url.isprintable():
        raise InvalidUrl("must not have whitespace, control characters or backslashes")
    match = URL.fullmatch(url)
    if match is None:
        raise InvalidUrl("must begin with https://")
    if "#" in url:
        raise InvalidUrl("must not have a fragment")
    if "@" in match["authority"]:
        raise InvalidUrl("must not have a user or password")
    if not match["target"].isascii():
        raise InvalidUrl("must have ASCII characters only after its host")
    host, port = _parse_authority(match["authority"])
    return httpcore.URL(
        scheme=match["scheme"].lower(),
        host=host,
        port=port,
        target="/" * (not match["target"].startswith("/")) + match["target"],
    )


def _parse_authority(authority: str) -> tuple[str, int | None]:
    match = AUTHORITY.fullmatch(authority)
    if match is None:
        raise InvalidUrl("must have a valid host and port")
    if match["literal"] is not None:
        host = _parse_literal(match["literal"])
    elif match["name"]:
        host = _encode_name(match["name"])
    else:
        raise InvalidUrl("must name a host")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 1 <= port <= 65535:
        raise InvalidUrl("must have a port from 1 to 65535")
    return host, port


def _parse_literal(literal: str) -> str:
    if "%" in literal:
        raise InvalidUrl("must not have the zone of an address")
    try:
        return IPv6Address(literal).compressed
    except ValueError:
        raise InvalidUrl("must have a valid IPv6 address in brackets") from None


def _encode_name(name: str) -> str:
    """A name in ASCII, by UTS 46 if it is not; ASCII may be what IDNA rejects, such as an underscore."""
    try:
        encoded = (name if name.isascii() else idna.encode(name, uts46=True).decode()).lower()
    except idna.IDNAError:
        encoded = ""
    if not NAME.fullmatch(encoded):
        raise InvalidUrl("must have a valid host")
    return encoded


def is_public(address: IPAddress) -> bool:
    """Whether an address is one of the Internet; an IPv4 address in an IPv6 address decides for it.

    >>> is_public(ip_address("192.168.0.1")), is_public(ip_address("::ffff:192.168.0.1"))
    (False, False)
    >>> is_public(ip_address("9.9.9.9")), is_public(ip_address("2620:fe::fe"))
    (True, True)
    """
    address = _extract_ipv4(address)
    return not any(address in network for network in NOT_PUBLIC) and (
        address.version == 4 or address in UNICAST
    )


def is_allowed(address: IPAddress, networks: Sequence[Network]) -> bool:
    """Whether an address is public or in one of some networks; neither ever is one with a zone."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    inner = _extract_ipv4(address)
    return is_public(inner) or any(inner in network for network in networks)


def _extract_ipv4(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 address leads to; the address itself if it leads to none."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses and to some networks, and to nothing else, such as sockets in files.

    Args:
        networks: the networks that are not public and that may be connected to.
    """

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = networks
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that can be connected to, within so many seconds in all.

        Raises:
            AddressNotAllowed: one of its addresses is not allowed.
            CannotConnect: there is no such host, or none of its addresses can be connected to.
        """
        addresses = await self._resolve(host, port)
        # One that does not respond leaves time for the others.
        timeout = None if timeout is None else timeout / len(addresses)
        failures = []
        for address in addresses:
            try:
                return _Connection(
                    await self._backend.connect_tcp(
                        str(address), port, timeout, local_address, socket_options
                    )
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failure:
                failures.append(failure)
        raise CannotConnect(_describe(failures[0]))

    async def _resolve(self, host: str, port: int) -> Sequence[IPAddress]:
        """The addresses of a host, all of them allowed; the resolver also reads 0x7f.1 and the like."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(RESOLVERS, look_up, host, port)
        except (socket.gaierror, UnicodeError):
            raise CannotConnect("name not found") from None
        addresses = list(dict.fromkeys(_read_address(place) for *_, place in found))
        if not addresses:
            raise CannotConnect("name not found")
        if not all(is_allowed(address, self._networks) for address in addresses):
            raise AddressNotAllowed
        return addresses


def look_up(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Ask the resolver for the addresses of a host."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _read_address(place: tuple[Any, ...]) -> IPAddress:
    """The address of a socket address, with the zone that the resolver writes apart from it."""
    host, zone = place[0], place[3] if len(place) > 3 else 0
    return ip_address(f"{host}%{zone}" if zone and "%" not in host else host)


def _describe(failure: BaseException | None) -> str:
    if isinstance(failure, httpcore.ConnectTimeout):
        return "timeout"
    while failure is not None:
        if isinstance(failure, ConnectionRefusedError):
            return "connection refused"
        failure = failure.__cause__
    return "cannot connect"


class _Connection(httpcore.AsyncNetworkStream):
    """A connection that reads no endless answers, and that is closed if its handshake is cancelled.

    httpcore writes a request whole before it reads the answer, so whatever is written begins a new answer.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._read = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._read >= LONGEST_ANSWER:
            raise AnswerTooLarge
        data = await self._stream.read(max_bytes, timeout)
        if not data and not self._read:
            raise httpcore.ReadError("closed before the answer")
        self._read += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._read = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return _Connection(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
