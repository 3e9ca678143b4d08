"""A service that is told to stop says so first, and goes on answering until nobody asks it any more."""

import asyncio
import signal
from types import FrameType
from typing import Any

from attrs import define


@define
class GracefulShutdown:
    """Whether this process was told to stop."""

    has_begun: bool = False

    def __call__(self) -> bool:
        return self.has_begun

    def delay(self, number: signal.Signals, seconds: float) -> None:
        """Have a signal do what it does some seconds later, and tell of it until then.

        A second signal is not waited for. It is called in the main thread, with a loop running.
        """
        loop = asyncio.get_running_loop()
        act: Any = signal.getsignal(number)
        if not callable(act):
            return

        def handler(received: int, frame: FrameType | None) -> None:
            if self.has_begun:
                act(received, frame)
                return
            self.has_begun = True
            loop.call_soon_threadsafe(loop.call_later, seconds, act, received, None)

        signal.signal(number, handler)
