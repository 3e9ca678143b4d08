"""Graceful shutdown: a stopping service first reports it, and still answers while clients move away."""

import asyncio
import signal
from types import FrameType
from typing import Any

from attrs import define


@define
class GracefulShutdown:
    """Whether this process is stopping.

    Attributes:
        has_begun: whether a signal to stop has arrived.
    """

    has_begun: bool = False

    def __call__(self) -> bool:
        return self.has_begun

    def delay(self, number: signal.Signals, seconds: float) -> None:
        """Delay the effect of a signal, and report the shutdown until then.

        A second signal takes effect at once. Call this in the main thread, with a running event loop.

        Args:
            number: the signal.
            seconds: how long its effect is delayed.
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
