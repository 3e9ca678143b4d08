"""Who may ask for what, and how often, where API keys are configured."""

import time
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from math import ceil
from typing import Any, TypeAlias

from attrs import field, frozen
from litestar import Request
from litestar.types import Scope

from identity_adapters.http.middleware.observe import KEY
from identity_adapters.http.problems import RequestRejected
from identity_adapters.keys import ApiKey, find_key

SCOPE = "scope"
"""The name of a handler's option that says which scope it needs; one without may be asked by everybody."""

Check: TypeAlias = Callable[[Scope], None]


@frozen
class RateLimit:
    """How often each key may ask: so many times a second, and as many at once.

    It is the generic cell rate algorithm (ITU-T I.371): of each key nothing is kept but the time at
    which all that it asked for would be over, had it come at the rate.
    """

    rate: float
    _over_at: dict[ApiKey, float] = field(factory=dict, init=False)

    def wait(self, key: ApiKey, now: float) -> float:
        """Seconds after which a request of a key is welcome; 0 if it is now, and then it counts.

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
    """What refuses a request that its key does not allow.

    Raises:
        RequestRejected: with 401 it has no key that is configured, with 403 the key is not for this, with
            429 the key was used too often.
    """

    def check(scope: Scope) -> None:
        needed = scope["route_handler"].opt.get(SCOPE)
        if needed is None:
            return
        key = find_key(_read_secret(scope), keys)
        if key is None:
            raise RequestRejected(
                HTTPStatus.UNAUTHORIZED,
                "needs an API key: Authorization: Bearer …",
                {"WWW-Authenticate": "Bearer"},
            )
        scope["state"][KEY] = key.name
        if needed not in key.scopes:
            raise RequestRejected(
                HTTPStatus.FORBIDDEN, f"the API key is not for this; it needs the scope {needed}"
            )
        if limit is not None and (wait := limit.wait(key, time.monotonic())):
            raise RequestRejected(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"the API key may ask {limit.rate:g} times a second",
                {"Retry-After": f"{ceil(wait)}"},
            )

    return check


def to_before_request(check: Check) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """The check as what Litestar calls before it calls a handler."""

    async def check_request(request: Request[Any, Any, Any]) -> None:
        check(request.scope)

    return check_request


def _read_secret(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            return secret.strip() if scheme.lower() == b"bearer" else b""
    return b""
