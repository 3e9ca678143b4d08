"""The progress of a long command, on standard error."""

import sys
import time

import click

INTERVAL = 5.0
"""Seconds between two lines of progress if standard error is not a terminal."""


class Progress:
    """Reports progress: in one line that changes on a terminal, else in a new line now and then.

    Args:
        activity: what is done, such as ``Imported``.
        total: how many rows there are; None if that is unknown.
    """

    def __init__(self, activity: str, total: int | None = None) -> None:
        self._activity = activity
        self._total = total
        self._started = self._written_at = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, done: int, *, is_end: bool = False) -> None:
        now = time.monotonic()
        if not is_end and now - self._written_at < (0.2 if self._is_terminal else INTERVAL):
            return
        self._written_at = now
        rate = done / max(now - self._started, 1e-3)
        line = f"{self._activity} {done:,} rows, {rate:,.0f} a second"
        if self._total is not None and done:
            left = (self._total - done) / rate
            line += f", {100 * done / self._total:.0f} %, {left:,.0f} s left"
        if self._is_terminal:
            click.echo(f"\r\x1b[K{line}", err=True, nl=is_end)
        else:
            click.echo(line, err=True)
