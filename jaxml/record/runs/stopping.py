"""A process that is asked to end, as a cluster does by SIGTERM, ends where all that it
has written is whole.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EXIT_CODE = 128 + signal.SIGTERM
"""Of a process that SIGTERM has ended, as shells count."""


class Stopped(BaseException):
    """The process was asked to end, and what it had computed is stored."""


_asked = threading.Event()
_sections = threading.Condition()
_open: list[object] = []
"""One for each section that is not to be broken off."""


def asked() -> bool:
    """Whether this process has been asked to end."""
    return _asked.is_set()


@contextmanager
def unbroken() -> Iterator[None]:
    """A section that the process does not end within, unless it is killed."""
    section = object()
    with _sections:
        _open.append(section)
    try:
        yield
    finally:
        with _sections:
            _open.remove(section)
            _sections.notify_all()


@contextmanager
def ending_at_sigterm(farewell: Callable[[], None]) -> Iterator[None]:
    """Within it, SIGTERM ends the process with code 143 as soon as no section is open.

    A thread waits for the signal and ends the process, whatever the others do: the main
    thread may be within a compiled program for minutes, and would not be asked before.
    So nothing that stands on disk may depend on code that follows: all is written whole
    or not at all. Outside the main thread signals cannot be received, and it does
    nothing.

    Args:
        farewell: is called before the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.signal(signal.SIGTERM, _noted)
    descriptor = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watched, args=(heard, farewell), daemon=True)
    watcher.start()
    try:
        yield
    except Stopped:
        watcher.join()  # it ends the process
        raise
    finally:
        signal.set_wakeup_fd(descriptor)
        signal.signal(signal.SIGTERM, before)
        os.close(told)  # at which the watcher ends
        watcher.join()
        os.close(heard)


def _noted(number: int, frame: object) -> None:
    """Lets Python write the signal's number for the watcher, and go on."""
    del number, frame


def _watched(heard: int, farewell: Callable[[], None]) -> None:
    """Waits for SIGTERM, then for the open sections, and ends the process."""
    while numbers := os.read(heard, 1):
        if numbers[0] == signal.SIGTERM:
            _asked.set()
            with _sections:
                _sections.wait_for(lambda: not _open)
                farewell()
                os._exit(EXIT_CODE)
