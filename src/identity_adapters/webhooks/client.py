"""Makes the requests of one webhook, and trusts its endpoint with nothing."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

import httpcore
from attrs import frozen

from identity_adapters.webhooks.network import AnswerTooLarge, CannotConnect, CheckedBackend, parse_url
from identity_adapters.webhooks.retries import parse_retry_after
from identity_adapters.webhooks.webhook import Target

KEEP_ALIVE = 60.0
"""Seconds that a connection may be idle for and still be used."""

LONGEST_BODY = 64 << 10
"""Bytes of a body that are read, and ignored, so that the connection can be used again."""

USER_AGENT = f"identity-reconciliation/{version('identity-reconciliation')}"


@frozen
class Answer:
    """The answer of an endpoint.

    Attributes:
        status: its status.
        retry_after: in how many seconds it wants the next request; None if it does not say.
    """

    status: int
    retry_after: float | None = None


class DeliveryFailed(Exception):
    """An endpoint did not answer.

    Attributes:
        reason: why, without any value.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS: Mapping[type[Exception], str] = {
    CannotConnect: "cannot connect",
    AnswerTooLarge: "invalid answer",
    httpcore.RemoteProtocolError: "invalid answer",
    httpcore.TimeoutException: "timeout",
    TimeoutError: "timeout",
    httpcore.ConnectError: "TLS failed",  # of connecting itself, `CheckedBackend` says more
    ssl.SSLError: "TLS failed",
    httpcore.NetworkError: "connection lost",
    OSError: "connection lost",
}
"""What an error comes to; the first type that it has decides."""


@cache
def trust() -> ssl.SSLContext:
    """What all clients of this process trust: the authorities of the system and those of certifi."""
    return httpcore.default_ssl_context()


class WebhookClient:
    """Makes the requests of one webhook, one after the other, over one connection while that is good.

    It follows no redirect, uses no proxy and keeps no cookie.

    Args:
        target: where they go.
        timeout: the seconds in which an endpoint must answer, from its name being resolved.
        ssl_context: what is trusted; None for what `trust` says.

    Raises:
        InvalidUrl: the URL of the target is none.
    """

    def __init__(self, target: Target, timeout: float, ssl_context: ssl.SSLContext | None = None) -> None:
        self._url = parse_url(target.url)
        self._headers = (
            ("Host", _write_authority(self._url)),
            ("User-Agent", USER_AGENT),
            ("Content-Type", "application/json"),
        )
        self._server_name = self._url.host.decode().removesuffix(".")
        self._timeout = timeout
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context or trust(),
            max_connections=1,
            keepalive_expiry=KEEP_ALIVE,
            network_backend=CheckedBackend(target.networks),
        )

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a message.

        Its status is the answer, whatever comes of the body behind it.

        Raises:
            DeliveryFailed: the endpoint did not answer.
        """
        answer = None
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._pool.stream(
                    "POST",
                    self._url,
                    headers=[*self._headers, *headers.items()],
                    content=body,
                    extensions={"timeout": {"connect": self._timeout}, "sni_hostname": self._server_name},
                ) as response,
            ):
                answer = _read_answer(response)
                await _skip_body(response)
        except BaseException as error:
            # Of a request that is cut short, httpcore may keep a connection that it never uses again.
            await self.aclose()
            if not isinstance(error, tuple(REASONS)):
                raise
            if answer is None:
                raise DeliveryFailed(_describe(error)) from None
        return answer

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pool.aclose()


def _read_answer(response: httpcore.Response) -> Answer:
    for name, value in response.headers:
        if name.lower() == b"retry-after":
            return Answer(response.status, parse_retry_after(value.decode("latin-1"), datetime.now(UTC)))
    return Answer(response.status)


async def _skip_body(response: httpcore.Response) -> None:
    """Read a body up to a limit. If there is more, the connection is closed with the answer."""
    size = 0
    async for part in response.aiter_stream():
        size += len(part)
        if size > LONGEST_BODY:
            return


def _write_authority(url: httpcore.URL) -> str:
    """The host and port of a URL, for the header Host."""
    host = url.host.decode()
    port = "" if url.port is None else f":{url.port}"
    return f"[{host}]{port}" if ":" in host else host + port


def _describe(error: BaseException) -> str:
    if isinstance(error, CannotConnect):
        return error.reason
    return next(reason for type, reason in REASONS.items() if isinstance(error, type))
