"""Log in to Genomcore and hand out bearer tokens, renewed ahead of time and shared with other processes.

>>> import gcauth, requests                                          # doctest: +SKIP
>>> session = gcauth.Session(store="user")                           # doctest: +SKIP
>>> requests.get(url, auth=gcauth.auth(session))                     # doctest: +SKIP
"""

from ._auth import aiohttp_middleware, auth
from ._controller import AuthController
from ._errors import (
    ArgumentError,
    ConfigError,
    ConnectionFailedError,
    Error,
    ForkedError,
    InsecureError,
    InternalError,
    InterruptedCallError,
    LockTimeoutError,
    NoTokenError,
    OutOfMemoryError,
    RateLimitedError,
    ServerError,
    StoreError,
    TimeoutExpiredError,
    TlsError,
    TokenExpiredError,
    TokenInvalidError,
    UnauthorizedError,
)
from ._library import library, library_path
from ._session import Failure, Session, SessionInfo

__all__ = [
    "ArgumentError",
    "AuthController",
    "ConfigError",
    "ConnectionFailedError",
    "Error",
    "Failure",
    "ForkedError",
    "InsecureError",
    "InternalError",
    "InterruptedCallError",
    "LockTimeoutError",
    "NoTokenError",
    "OutOfMemoryError",
    "RateLimitedError",
    "ServerError",
    "Session",
    "SessionInfo",
    "StoreError",
    "TimeoutExpiredError",
    "TlsError",
    "TokenExpiredError",
    "TokenInvalidError",
    "UnauthorizedError",
    "aiohttp_middleware",
    "auth",
    "library_path",
]
__version__: str = library.gc_auth_version_string().decode("ascii")
