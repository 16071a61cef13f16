"""Calls of the library: the handle, its log, and text that comes out."""

from __future__ import annotations

import atexit
import ctypes
import logging
import weakref
from collections import deque
from ctypes import c_size_t, c_void_p, py_object
from functools import partial
from typing import Any, Deque, List, Optional, Tuple

from ._errors import argument_error, last_error
from ._library import LOG, library

__all__ = ["BUFFER_TOO_SMALL", "FIRST_SIZE", "OK", "Handle", "Room", "checked", "encoded", "rooms", "text"]

OK = 0
BUFFER_TOO_SMALL = 3
# Larger than most tokens; text that is longer costs a second call.
FIRST_SIZE = 8192

_logger = logging.getLogger("gcauth")
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


class Room:
    """Where the library writes text."""

    __slots__ = ("text", "view", "capacity", "size", "size_address")

    def __init__(self, size: int) -> None:
        self.text = ctypes.create_string_buffer(size)
        # Half the time of the array's own ways to its bytes.
        self.view = memoryview(self.text).cast("B")
        self.capacity = c_size_t(size)
        self.size = c_size_t()
        self.size_address = c_void_p(ctypes.addressof(self.size))


# Rooms that nobody is using. A call takes one out and puts it back, so that nothing that runs between the call and the
# reading (another thread, a signal's handler, a finalizer) can write over the text. More than one per call under way are
# never made.
rooms: List[Room] = []


def _take_room() -> Room:
    try:
        return rooms.pop()
    except IndexError:
        return Room(FIRST_SIZE)


# A C function that calls `append((0, level, message))`, without running Python code: a signal's handler runs where Python
# code begins, and ctypes drops what it raises within a callback. So Ctrl-C would be lost.
_call_with = ctypes.pythonapi["PyObject_CallFunction"]
_call_with.restype = py_object


class Handle:
    """One ``gc_auth_t``. It is freed when nobody uses it any more, also when a session was closed during a call."""

    __slots__ = ("address", "lines", "_log", "__weakref__")

    def __init__(self, address: c_void_p) -> None:
        self.address = address
        # Lines of the log, told once the call has ended: what handles them may use the session.
        self.lines: Deque[Tuple[int, int, bytes]] = deque()
        self._log = LOG(partial(_call_with, py_object(self.lines.append), b"((niy))"))
        level = 4 if _logger.isEnabledFor(logging.DEBUG) else 3
        checked(library.gc_auth_set_log(address, self._log, None, level), self)
        _handles.add(self)

    def tell(self) -> None:
        """Tells the log what was said during calls."""
        lines = self.lines
        while lines:
            try:
                _, level, line = lines.popleft()
            except IndexError:
                break
            _logger.log(_LEVELS.get(level, logging.DEBUG), "%s", line.decode("utf-8", "replace"))

    def silence(self) -> None:
        """Ends the callbacks."""
        library.gc_auth_set_log(self.address, LOG(), None, 0)

    def __del__(self, free: Any = library.gc_auth_free) -> None:
        free(self.address)


_handles: "weakref.WeakSet[Handle]" = weakref.WeakSet()


@atexit.register
def _silence_all() -> None:
    """A daemon thread may be in a call when the interpreter ends. From then on it must not come back into Python by a
    callback: Python would end the thread in the midst of the library, which ends the process."""
    for handle in list(_handles):
        handle.silence()


def checked(status: int, handle: Optional[Handle]) -> None:
    """Raises the exception for `status`, if it is not OK."""
    error = None if status == OK else last_error(status)
    if handle is not None and handle.lines:
        handle.tell()
    if error is not None:
        raise error


def text(handle: Handle, function: Any, *inputs: object) -> str:
    """What `function` writes for `handle` and `inputs`."""
    room = _take_room()
    while True:
        status = function(handle.address, *inputs, room.text, room.capacity, room.size_address)
        if status != BUFFER_TOO_SMALL:
            break
        room = Room(room.size.value + 1024)
    written = str(room.view[: room.size.value - 1], "utf-8") if status == OK else ""
    rooms.append(room)
    checked(status, handle)
    return written


def encoded(name: str, value: Optional[str]) -> Optional[bytes]:
    """A text as C takes it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str or None, not {type(value).__name__}")
    if "\0" in value:
        raise argument_error(f"{name} holds a NUL character")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        # The exception holds the text, which may be a secret.
        raise argument_error(f"{name} holds characters that are not Unicode text") from None
