"""Authorization and rate limits of API keys."""

import time
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from math import ceil
from typing import Any, TypeAlias

from attrs import field, frozen
from litestar import Request
from litestar.types import Scope

from identity_adapters.http.errors import RequestRejected
from identity_adapters.http.state import KEY, SCOPES
from identity_adapters.keys import ApiKey, find_key

SCOPE = "scope"
"""The option of a handler for the scope that it needs; a handler without one needs no API key."""

ANY_KEY = "any_key"
"""The option of a handler that needs an API key, whatever its scopes."""

Check: TypeAlias = Callable[[Scope], None]


@frozen
class RateLimit:
    """A limit of requests per second for each key, with bursts of the requests of one second.

    This is the generic cell rate algorithm (ITU-T I.371). Per key it stores only the time at which all
    earlier requests would be done at the given rate.
    """

    rate: float
    _over_at: dict[ApiKey, float] = field(factory=dict, init=False)

    def wait(self, key: ApiKey, now: float) -> float:
        """Seconds until a request of a key is allowed; 0 if it is allowed now, and then it counts.

        >>> limit = RateLimit(2)
        >>> [limit.wait("shop", now) for now in (0, 0, 0, 0.5)]
        [0, 0, 0.5, 0]
        """
        over_at = max(self._over_at.get(key, now), now) + 1 / self.rate
        if (wait := over_at - now - max(1.0, 1 / self.rate)) > 1e-9:
            return wait
        self._over_at[key] = over_at
        return 0


def make_key_check(keys: Collection[ApiKey], limit: RateLimit | None) -> Check:
    """Make a check that rejects requests without a sufficient API key.

    The check raises `RequestRejected`: 401 without a configured key, 403 if the key lacks the scope, and
    429 if the key exceeds the rate limit.
    """

    def check(scope: Scope) -> None:
        options = scope["route_handler"].opt
        needed = options.get(SCOPE)
        if needed is None and not options.get(ANY_KEY):
            return
        key = find_key(_read_secret(scope), keys)
        if key is None:
            raise RequestRejected(
                HTTPStatus.UNAUTHORIZED,
                "an API key is required: Authorization: Bearer …",
                {"WWW-Authenticate": "Bearer"},
            )
        scope["state"][KEY] = key.name
        scope["state"][SCOPES] = key.scopes
        if needed is not None and needed not in key.scopes:
            raise RequestRejected(HTTPStatus.FORBIDDEN, f"the API key needs the scope {needed}")
        if limit is not None and (wait := limit.wait(key, time.monotonic())):
            raise RequestRejected(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"the API key allows {limit.rate:g} requests per second",
                {"Retry-After": f"{ceil(wait)}"},
            )

    return check


def to_before_request(check: Check) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Make the hook that Litestar calls before a handler."""

    async def check_request(request: Request[Any, Any, Any]) -> None:
        check(request.scope)

    return check_request


def _read_secret(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            return secret.strip() if scheme.lower() == b"bearer" else b""
    return b""
