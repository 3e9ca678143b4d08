"""Independence of the shell that starts the tests."""

import os
import signal


def forget_the_shell():
    """Have this process, and what it starts, be as if it was started by nobody in particular.

    A background job ignores SIGINT, and one under nohup SIGHUP. Who ignores a signal hands that on to
    what they start; who handles it does not, even if the handler does nothing.
    """
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # Python's own doing
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for name in list(os.environ):
        if name.startswith("PG") or name.lower().endswith("_proxy"):  # libpq and HTTP clients heed them
            del os.environ[name]
