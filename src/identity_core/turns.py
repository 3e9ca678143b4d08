"""What takes long takes turns with all else that the event loop has to do."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 1_000
"""From how many contacts on others get their turn while they are looked at: it takes milliseconds."""


async def in_turns(size: int, function: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """What a function returns; if there are many contacts to look at, others get their turn meanwhile.

    Args:
        size: how many contacts the function looks at.
        function: has no effects: it may run in a thread.
        values: what it is called with.
        named: likewise.
    """
    if size < LARGE:
        return function(*values, **named)
    return await asyncio.to_thread(function, *values, **named)
