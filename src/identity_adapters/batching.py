"""Many calls at once become few: whatever waits while a batch is under way forms the next one.

Nothing waits on a timer. A call that finds nothing under way starts at once, alone; under load
batches grow by themselves, up to a limit. Who would have to wait behind too many is refused at
once instead.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeAlias, TypeVar, cast

from identity_core import (
    ContactDetails,
    Identified,
    IdentifyContacts,
    RepositoryBusy,
    RepositoryOverloaded,
    RepositoryUnavailable,
)

TURNS = 20
"""How many turns of the event loop a further batch lets pass."""


Item = TypeVar("Item")
Result = TypeVar("Result")


_Call: TypeAlias = tuple[Item, asyncio.Future[Result]]
"""What a caller asks for, and what it waits for."""


class Batches(Generic[Item, Result]):
    """Calls of a function of many items, made one item at a time.

    A caller that is cancelled is left out, or its result is dropped; nobody else notices. If a
    batch fails, its halves are tried again, so that in the end only those items fail that fail
    alone; unless the repository is unavailable, which it is for all of them.

    Args:
        run: gives the results of some items, in their order.
        max_size: how many items a batch has at most.
        max_at_once: how many batches are under way at most.
        max_waiting: how many items wait at most for a batch to take them.
        on_batch: told how many items a batch had that is over.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_size: int,
        max_at_once: int,
        max_waiting: int,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._max_size = max_size
        self._max_at_once = max_at_once
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._waiting: deque[_Call[Item, Result]] = deque()
        self._halves: deque[list[_Call[Item, Result]]] = deque()
        self._is_turn_of_halves = False
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many items wait for a batch to take them."""
        return len(self._waiting)

    async def __call__(self, item: Item) -> Result:
        """The result of one item.

        Raises:
            RepositoryOverloaded: there is no room in the line.
            Exception: what `run` raises for this item.
        """
        if len(self._waiting) >= self._max_waiting:
            raise RepositoryOverloaded("too many requests are waiting")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, result))
        if len(self._under_way) < self._max_at_once:
            task = loop.create_task(self._work())
            self._under_way.add(task)
        return await result

    async def _work(self) -> None:
        try:
            await self._run_batches()
        finally:
            # At once, with nothing between it and the look at the empty line: a call that came in
            # between would count on this task.
            self._under_way.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _run_batches(self) -> None:
        while True:
            # One batch under way is enough for as long as it is quick. Another lets the event loop
            # turn a few times first: that takes no time while there is little else to do, and is
            # long enough for the first to come back while there is much.
            for _ in range(TURNS if len(self._under_way) > 1 else 0):
                await asyncio.sleep(0)
            if not (batch := self._next_batch()):
                return
            try:
                results = await self._run([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - it is the callers' to handle
                self._fail(batch, error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
            self._on_batch(len(batch))

    def _next_batch(self) -> list[_Call[Item, Result]]:
        # In turns, so that nobody waits for long behind a batch that fails again and again.
        self._is_turn_of_halves = not self._is_turn_of_halves
        if self._halves and (self._is_turn_of_halves or not self._waiting):
            return self._halves.popleft()
        batch: list[_Call[Item, Result]] = []
        while self._waiting and len(batch) < self._max_size:
            call = self._waiting.popleft()
            if not call[1].done():
                batch.append(call)
        return batch or (self._halves.popleft() if self._halves else [])

    def _fail(self, batch: list[_Call[Item, Result]], error: Exception) -> None:
        concerns_all = isinstance(error, RepositoryUnavailable) and not isinstance(error, RepositoryBusy)
        if len(batch) > 1 and not concerns_all:
            middle = len(batch) // 2
            self._halves += [batch[:middle], batch[middle:]]
            return
        for _, future in batch:
            if not future.done():
                future.set_exception(error)


class IdentifyInBatches:
    """The use case for many callers at once: each asks for one customer.

    Details that teach nothing new are answered as soon as they are read; they do not wait for
    the others of their batch, which are written in batches of their own.

    Args:
        identify: the use case.
        max_batch: how many details a batch has at most.
        max_waiting: how many details wait at most, to be read or to be written.
        on_batch: told of each batch that is over, if it was to ``read`` or to ``write``, and its size.
    """

    def __init__(
        self,
        identify: IdentifyContacts,
        *,
        max_batch: int = 128,
        max_waiting: int = 2048,
        on_batch: Callable[[str, int], None] = lambda _, __: None,
    ) -> None:
        bounds = {"max_size": max_batch, "max_waiting": max_waiting}
        self._known = Batches(identify.known, max_at_once=2, on_batch=partial(on_batch, "read"), **bounds)
        self._decide = Batches(identify.decide, max_at_once=4, on_batch=partial(on_batch, "write"), **bounds)

    @property
    def waiting(self) -> int:
        """How many details wait."""
        return self._known.waiting + self._decide.waiting

    async def __call__(self, details: ContactDetails) -> Identified:
        """The identity of one customer, after the details were linked to it, and what became of them.

        Raises:
            RepositoryOverloaded: there is no room in the line.
            RepositoryUnavailable: ask again later; it is safe to.
        """
        known = await self._known(details)
        return known if known is not None else await self._decide(details)
