"""Finds and loads libgcauth.so, and declares its functions."""

from __future__ import annotations

import ctypes
import os
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

__all__ = ["LOG", "library", "library_path", "place"]

# Looked for in the package, or by the system.
_SONAME = "libgcauth.so.0"

LOG = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)

_text_out = (c_void_p, c_size_t, c_void_p)
_FUNCTIONS: "dict[str, tuple[Any, tuple[Any, ...]]]" = {
    "gc_auth_new": (c_int32, (c_char_p, c_char_p, c_char_p, c_char_p, POINTER(c_void_p))),
    "gc_auth_from_json": (c_int32, (c_char_p, c_char_p, POINTER(c_void_p))),
    "gc_auth_login": (c_int32, (c_void_p, c_char_p, c_char_p, c_char_p, c_char_p)),
    "gc_auth_refresh": (c_int32, (c_void_p, c_char_p)),
    "gc_auth_report_rejected": (c_int32, (c_void_p, c_char_p)),
    "gc_auth_logout": (c_int32, (c_void_p,)),
    "gc_auth_free": (None, (c_void_p,)),
    "gc_auth_bearer": (c_int32, (c_void_p, *_text_out, c_void_p)),
    "gc_auth_bearer_valid_for": (c_int32, (c_void_p, c_int64, *_text_out, c_void_p)),
    "gc_auth_token": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_refresh_token": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_token_type": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_env": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_host": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_decoded_token": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_decode_jwt": (c_int32, (c_void_p, c_char_p, *_text_out)),
    "gc_auth_verify": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_project_id": (c_int32, (c_void_p, POINTER(c_int64))),
    "gc_auth_to_json": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_session_info": (c_int32, (c_void_p, *_text_out)),
    "gc_auth_write_token_file": (c_int32, (c_void_p, c_char_p, c_char_p)),
    "gc_auth_set_log": (c_int32, (c_void_p, LOG, c_void_p, c_int32)),
    "gc_auth_last_error_message": (c_char_p, ()),
    "gc_auth_last_error_http_status": (c_int32, ()),
    "gc_auth_last_error_retry_after_ms": (c_int64, ()),
    "gc_auth_last_error_is_retryable": (c_int32, ()),
    "gc_auth_status_name": (c_char_p, (c_int32,)),
    "gc_auth_version_string": (c_char_p, ()),
    "gc_auth_version_number": (c_uint32, ()),
}


def _refuse_subinterpreter() -> None:
    """Callbacks of ctypes run in the main interpreter, whichever made them."""
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            interpreters = __import__(name)
        except ImportError:
            continue
        current, main = interpreters.get_current(), interpreters.get_main()
        # Newer versions add what kind of interpreter it is.
        if getattr(current, "__getitem__", None) is not None:
            current, main = current[0], main[0]
        if current != main:
            raise ImportError(
                "gcauth can't be used in a sub-interpreter; import it in the main interpreter, or start processes"
            )
        return


def place() -> Path:
    """The directory of the package, which holds ``lib`` and ``include`` in a wheel."""
    return Path(__file__).resolve().parent


def _candidates() -> "list[str]":
    named = os.environ.get("GCAUTH_LIBRARY")
    if named:
        return [named]
    return [str(place() / "lib" / _SONAME), _SONAME]


def _load() -> "tuple[str, ctypes.CDLL]":
    _refuse_subinterpreter()
    failures = []
    for candidate in _candidates():
        if os.path.isabs(candidate) and not os.path.exists(candidate):
            failures.append(f"{candidate}: no such file")
            continue
        try:
            loaded = ctypes.CDLL(candidate)
        except OSError as error:
            failures.append(str(error))
            continue
        for name, (result, arguments) in _FUNCTIONS.items():
            try:
                function = getattr(loaded, name)
            except AttributeError:
                raise ImportError(
                    f"{candidate} has no {name}: it is no libgcauth, or an older one than this package needs"
                ) from None
            function.restype, function.argtypes = result, arguments
        return candidate, loaded
    raise ImportError(
        "libgcauth was not found ("
        + "; ".join(failures)
        + "); install the wheel, install the library, or set GCAUTH_LIBRARY to the path of libgcauth.so"
    )


library_path, library = _load()
