"""Batching: calls that arrive while a batch is running form the next batch.

Nothing waits on a timer. A call that finds nothing running starts at once, alone; under load,
batches grow by themselves, up to a limit. If too many calls wait already, a new one is rejected
at once.
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

YIELDS = 20
"""The number of event loop iterations that a further batch waits."""


Item = TypeVar("Item")
Result = TypeVar("Result")


_Call: TypeAlias = tuple[Item, asyncio.Future[Result]]
"""An item, and the future result that its caller waits for."""


class Batcher(Generic[Item, Result]):
    """Calls a function of many items for callers that have one item each.

    A cancelled call is left out, or its result is dropped; no other call notices. If a batch
    fails, its halves are retried, so that finally only items fail that fail alone. If
    the repository is unavailable, it is so for all of them, and nothing is retried.

    Args:
        run: returns the results of some items, in their order.
        max_size: the maximum number of items in a batch.
        max_concurrency: the maximum number of concurrent batches.
        max_waiting: the maximum number of items that wait for a batch.
        on_batch: called with the size of each batch when it is over.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_size: int,
        max_concurrency: int,
        max_waiting: int,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._max_size = max_size
        self._max_concurrency = max_concurrency
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._waiting: deque[_Call[Item, Result]] = deque()
        self._retries: deque[list[_Call[Item, Result]]] = deque()
        self._is_turn_of_retries = False
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many items wait for a batch."""
        return len(self._waiting)

    async def __call__(self, item: Item) -> Result:
        """The result of one item.

        Raises:
            RepositoryOverloaded: too many items wait already.
            Exception: what `run` raises for this item.
        """
        if len(self._waiting) >= self._max_waiting:
            raise RepositoryOverloaded("too many requests are waiting")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, result))
        if len(self._running) < self._max_concurrency:
            task = loop.create_task(self._work())
            self._running.add(task)
        return await result

    async def _work(self) -> None:
        try:
            await self._run_batches()
        finally:
            # Nothing may be awaited between the check of the empty queue and this line: a call that arrives
            # in between would rely on this task.
            self._running.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _run_batches(self) -> None:
        while True:
            # One batch at a time is enough while it is quick. A further one first yields to the event loop a
            # few times: this takes no time in an idle process, and lets the first one finish in a busy one.
            for _ in range(YIELDS if len(self._running) > 1 else 0):
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
        # Alternate, so that no call waits long behind a batch that fails repeatedly.
        self._is_turn_of_retries = not self._is_turn_of_retries
        if self._retries and (self._is_turn_of_retries or not self._waiting):
            return self._retries.popleft()
        batch: list[_Call[Item, Result]] = []
        while self._waiting and len(batch) < self._max_size:
            call = self._waiting.popleft()
            if not call[1].done():
                batch.append(call)
        return batch or (self._retries.popleft() if self._retries else [])

    def _fail(self, batch: list[_Call[Item, Result]], error: Exception) -> None:
        concerns_all = isinstance(error, RepositoryUnavailable) and not isinstance(error, RepositoryBusy)
        if len(batch) > 1 and not concerns_all:
            middle = len(batch) // 2
            self._retries += [batch[:middle], batch[middle:]]
            return
        for _, future in batch:
            if not future.done():
                future.set_exception(error)


class IdentifyInBatches:
    """`IdentifyContacts` for many concurrent callers, each of which identifies one customer.

    Details that add nothing new are answered as soon as they are read; they do not wait for the
    others of their batch, which are written in batches of their own.

    Args:
        identify: the use case.
        max_batch: the maximum number of details in a batch.
        max_waiting: the maximum number of details that wait to be read, or to be written.
        on_batch: called with ``read`` or ``write`` and the size of each batch when it is over.
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
        self._known = Batcher(
            identify.find_known, max_concurrency=2, on_batch=partial(on_batch, "read"), **bounds
        )
        self._decide = Batcher(
            identify.decide, max_concurrency=4, on_batch=partial(on_batch, "write"), **bounds
        )

    @property
    def waiting(self) -> int:
        """How many details wait."""
        return self._known.waiting + self._decide.waiting

    async def __call__(self, details: ContactDetails) -> Identified:
        """Identify one customer: the identity, and what became of the details.

        Raises:
            RepositoryOverloaded: too many items wait already.
            RepositoryUnavailable: try again later; it is safe to.
        """
        known = await self._known(details)
        return known if known is not None else await self._decide(details)
