"""The exceptions, one class for each kind of failure."""

from __future__ import annotations

from typing import Dict, Optional, Type

from ._library import library

__all__ = [
    "Error",
    "ArgumentError",
    "ConfigError",
    "ForkedError",
    "InterruptedCallError",
    "NoTokenError",
    "TokenExpiredError",
    "TokenInvalidError",
    "UnauthorizedError",
    "ConnectionFailedError",
    "TimeoutExpiredError",
    "TlsError",
    "InsecureError",
    "ServerError",
    "RateLimitedError",
    "StoreError",
    "LockTimeoutError",
    "OutOfMemoryError",
    "InternalError",
    "STATUS_CLASSES",
    "argument_error",
    "last_error",
]


class Error(Exception):
    """A call of the library failed. The session is as it was before the call.

    Attributes
    ----------
    status : int
        The status of the C header, for example 30 for ``GC_AUTH_ERR_UNAUTHORIZED``.
    name : str
        Its name, for example ``"GC_AUTH_ERR_UNAUTHORIZED"``.
    http_status : int
        The status of the server's answer; 0 when there was none.
    retryable : bool
        Whether the same call may succeed later.
    retry_after : float or None
        Seconds to wait before that, where the server said so.
    """

    status: int = 99
    name: str = "GC_AUTH_ERR_INTERNAL"
    http_status: int = 0
    retryable: bool = False
    retry_after: Optional[float] = None

    def __reduce__(self) -> "tuple[object, ...]":
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(kind: "Type[Error]", args: "tuple[object, ...]", state: "dict[str, object]") -> "Error":
    error = kind(*args)
    error.__dict__.update(state)
    return error


class ArgumentError(Error, ValueError):
    """An argument is missing, empty, or holds what it must not hold."""


class ConfigError(Error, ValueError):
    """The config is not what is expected; the message names the key."""


class ForkedError(Error):
    """A forked child would have to spend its parent's refresh token: configure a store."""


class InterruptedCallError(Error):
    """The call was interrupted."""


class NoTokenError(Error):
    """There is no token, or no refresh token: log in."""


class TokenExpiredError(Error):
    """The token has expired."""


class TokenInvalidError(Error):
    """The token does not verify, or can't be read."""


class UnauthorizedError(Error):
    """The server refused the login or the refresh token."""


class ConnectionFailedError(Error, ConnectionError):
    """The server can't be reached."""


class TimeoutExpiredError(Error, TimeoutError):
    """The time for the call ran out."""


class TlsError(Error, ConnectionError):
    """The certificate or the handshake failed."""


class InsecureError(Error):
    """A redirect, or plain http to another machine, was refused."""


class ServerError(Error):
    """The server answered with an error, or with something that is no answer."""


class RateLimitedError(ServerError):
    """The server asks for patience (429)."""


class StoreError(Error, OSError):
    """The session store can't be read or written."""


class LockTimeoutError(TimeoutExpiredError):
    """Another process held the renewal for too long."""


class OutOfMemoryError(Error, MemoryError):
    """There is not enough memory for what came in."""


class InternalError(Error):
    """A bug of the library; please report it."""


# A status of a later version of the library is an Error itself.
STATUS_CLASSES: Dict[int, Type[Error]] = {
    1: ArgumentError,
    2: ArgumentError,
    4: ConfigError,
    5: ForkedError,
    6: InterruptedCallError,
    20: NoTokenError,
    21: NoTokenError,
    22: TokenExpiredError,
    23: TokenInvalidError,
    24: TokenInvalidError,
    25: TokenInvalidError,
    26: TokenInvalidError,
    27: TokenInvalidError,
    28: TokenInvalidError,
    29: TokenInvalidError,
    30: UnauthorizedError,
    40: ConnectionFailedError,
    41: TimeoutExpiredError,
    42: TlsError,
    43: InsecureError,
    60: ServerError,
    61: RateLimitedError,
    62: ServerError,
    63: ServerError,
    80: StoreError,
    81: LockTimeoutError,
    98: OutOfMemoryError,
    99: InternalError,
}


def argument_error(message: str) -> ArgumentError:
    """What the library would say, of an argument that can't be handed to it."""
    error = ArgumentError(message)
    error.status, error.name = 1, "GC_AUTH_ERR_INVALID_ARGUMENT"
    return error


def last_error(status: int) -> Error:
    """The exception for the failure of this thread's last call."""
    message = library.gc_auth_last_error_message().decode("utf-8", "replace")
    name = library.gc_auth_status_name(status).decode("ascii", "replace")
    retry_after_ms = library.gc_auth_last_error_retry_after_ms()
    error = STATUS_CLASSES.get(status, Error)(message or name)
    error.status = status
    error.name = name
    error.http_status = library.gc_auth_last_error_http_status()
    error.retryable = library.gc_auth_last_error_is_retryable() != 0
    error.retry_after = None if retry_after_ms < 0 else retry_after_ms / 1000
    return error
