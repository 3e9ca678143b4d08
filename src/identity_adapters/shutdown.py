"""A service that is told to stop says so first, and goes on answering until nobody asks it any more."""

import asyncio
import signal
from types import FrameType
from typing import Any

from attrs import define


@define
class GracefulShutdown:
    """Whether this process was told to stop."""

    begun: bool = False

    def __call__(self) -> bool:
        return self.begun

    def on(self, number: signal.Signals, after: float) -> None:
        """Have a signal do what it does some seconds later, and tell of it until then.

        A second signal is not waited for. It is called in the main thread, with a loop running.
        """
        loop = asyncio.get_running_loop()
        act: Any = signal.getsignal(number)
        if not callable(act):
            return

        def handler(received: int, frame: FrameType | None) -> None:
            if self.begun:
                act(received, frame)
                return
            self.begun = True
            loop.call_soon_threadsafe(loop.call_later, after, act, received, None)

        signal.signal(number, handler)
