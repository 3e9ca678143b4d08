"""Offloading: pure functions that take long run in a thread, beside the event loop."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 1_000
"""The number of contacts from which on a function is offloaded: it then takes milliseconds."""


async def offload(size: int, function: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """Run a pure function, in a thread if it reads many contacts; see `identity_core.Offload`."""
    if size < LARGE:
        return function(*values, **named)
    return await asyncio.to_thread(function, *values, **named)
