"""A session: one login and its tokens."""

from __future__ import annotations

import getpass
import json
import math
import os
import sys
from ctypes import byref, c_int64, c_void_p
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Type, TypeVar, Union

from ._calls import BUFFER_TOO_SMALL, FIRST_SIZE, OK, Handle, Room, checked, encoded, rooms, text
from ._errors import TokenInvalidError, argument_error
from ._library import library

__all__ = ["Session", "SessionInfo", "Failure"]

Config = Union[str, Mapping[str, Any], None]
_Self = TypeVar("_Self", bound="Session")
_bearer = library.gc_auth_bearer
_CLOSED = "the session is closed"


@dataclass(frozen=True)
class Failure:
    """The last renewal that failed.

    Attributes
    ----------
    status : str
        The status's name.
    message : str
        What failed, where, and what to do next.
    at : datetime or None
        When.
    """

    status: str
    message: str
    at: Optional[datetime]


@dataclass(frozen=True)
class SessionInfo:
    """How a session is shared, and how it fares. Times are aware, in UTC; None is what is not known.

    Attributes
    ----------
    generation : int
        How often the session's tokens were replaced.
    store, lock : str
        The kind of store and of lock.
    place : str or None
        The store's path, or its URL without secrets.
    scope : str or None
        The project that was asked for.
    renewed_at, renewed_by_host, renewed_by_pid
        When the tokens came, and to whom.
    made, joined, adopted : int
        How many renewals this handle made, waited for, and found in the store.
    expires_in : int or None
        Seconds that are left of the token; negative once it has expired.
    refused_with, refused_at
        The HTTP status with which the server refused the refresh token, and when.
    last_failure : Failure or None
        The last renewal that failed, while renewals fail.
    next_try_at : datetime or None
        When the next renewal is tried.
    logged_out_by, logged_out_at
        Who ended the session, and when.
    raw : dict
        Everything as the library gave it.
    """

    generation: int
    store: str
    lock: str
    place: Optional[str]
    scope: Optional[str]
    renewed_at: Optional[datetime]
    renewed_by_host: Optional[str]
    renewed_by_pid: Optional[int]
    made: int
    joined: int
    adopted: int
    expires_in: Optional[int]
    refused_with: Optional[int]
    refused_at: Optional[datetime]
    last_failure: Optional[Failure]
    next_try_at: Optional[datetime]
    logged_out_by: Optional[str]
    logged_out_at: Optional[datetime]
    raw: Dict[str, Any]


def _moment(seconds: Optional[float]) -> Optional[datetime]:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def _config_text(config: Config, keys: Mapping[str, Any]) -> Optional[bytes]:
    if isinstance(config, str):
        if keys:
            raise TypeError("give the config as a JSON text, or its keys as arguments, not both")
        return encoded("config", config)
    if config is None and not keys:
        return None
    if config is not None and not isinstance(config, Mapping):
        raise TypeError(f"config must be a dict, a JSON text or None, not {type(config).__name__}")
    merged = {**(config or {}), **keys}
    return json.dumps(merged, default=_plain).encode("utf-8")


def _plain(value: object) -> object:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a config can't hold a {type(value).__name__}")


class Session:
    """One login and its tokens, renewed ahead of time. Safe to use from many threads at once.

    Parameters
    ----------
    config : dict, str or None
        The config as a dict or as a JSON text. None is the file that the environment variable ``GCAUTH_CONFIG`` names,
        or else the built-in defaults.
    token, refresh_token : str or None
        Tokens that you have already. With a shared store they only seed an empty one.
    env : str or None
        The environment; None is the config's own.
    **keys
        Keys of the config, for example ``store="file:/home/ada/.gcauth/session"`` or ``timeout_ms=10000``.

    Raises
    ------
    ConfigError
        The config is not what is expected; the message names the key.
    ArgumentError
        A token holds white space or control characters inside.

    Examples
    --------
    >>> with gcauth.Session() as session:                            # doctest: +SKIP
    ...     session.login("ada", organization_id="analytical-engines")
    ...     requests.get(url, auth=gcauth.auth(session))
    """

    __slots__ = ("_handle", "__weakref__")

    def __init__(
        self,
        config: Config = None,
        *,
        token: Optional[str] = None,
        refresh_token: Optional[str] = None,
        env: Optional[str] = None,
        **keys: Any,
    ) -> None:
        address = c_void_p()
        checked(
            library.gc_auth_new(
                _config_text(config, keys),
                encoded("token", token),
                encoded("refresh_token", refresh_token),
                encoded("env", env),
                byref(address),
            ),
            None,
        )
        self._handle: Optional[Handle] = Handle(address)

    @classmethod
    def from_json(
        cls: Type[_Self], exported: Union[str, Mapping[str, Any]], config: Config = None, **keys: Any
    ) -> _Self:
        """The session that :meth:`to_json` wrote.

        Parameters
        ----------
        exported : str or dict
            What :meth:`to_json` gave, or the dict that it stands for.
        config, **keys
            As for :class:`Session`. Environment and host must be those of the export.
        """
        if isinstance(exported, Mapping):
            exported = json.dumps(dict(exported))
        address = c_void_p()
        checked(
            library.gc_auth_from_json(_config_text(config, keys), encoded("exported", exported), byref(address)), None
        )
        session = cls.__new__(cls)
        session._handle = Handle(address)
        return session

    @property
    def _open(self) -> Handle:
        handle = self._handle
        if handle is None:
            raise ValueError(_CLOSED)
        return handle

    def login(
        self,
        username: Optional[str] = None,
        password: Optional[str] = None,
        organization_id: Optional[str] = None,
        project_id: Optional[str] = None,
    ) -> None:
        """Logs in; on success the new tokens replace the old ones, for all who share the session.

        Parameters
        ----------
        username, password, organization_id : str or None
            What is None is asked for where a person can answer: on a terminal. The password shows no echo.
        project_id : str or None
            The project's name; None logs in without one.

        Raises
        ------
        UnauthorizedError
            The server refused; the message holds its own words.
        ConnectionFailedError, TimeoutExpiredError, TlsError
            The server can't be reached.
        ArgumentError
            Something is missing, and there is no terminal to ask at.
        """
        handle = self._open
        if username is None:
            username = _ask("User name: ", "username")
        if organization_id is None:
            organization_id = _ask("Organization: ", "organization_id")
        if password is None:
            password = _ask(f"Password of {username}: ", "password", is_secret=True)
        checked(
            library.gc_auth_login(
                handle.address,
                encoded("username", username),
                encoded("password", password),
                encoded("organization_id", organization_id),
                encoded("project_id", project_id),
            ),
            handle,
        )

    @property
    def bearer(self) -> str:
        """``Bearer <token>`` for an Authorization header, renewed if it is time to.

        Ask before each request and don't keep it. Renewal may need the network; a failed early renewal costs nothing.

        Raises
        ------
        NoTokenError
            Nobody has logged in.
        Error
            The token has expired, and the renewal failed.
        """
        handle = self._handle
        if handle is None:
            raise ValueError(_CLOSED)
        try:
            room = rooms.pop()
        except IndexError:
            room = Room(FIRST_SIZE)
        status = _bearer(handle.address, room.text, room.capacity, room.size_address, None)
        bearer = str(room.view[: room.size.value - 1], "ascii") if status == OK else ""
        rooms.append(room)
        if status == BUFFER_TOO_SMALL:
            return text(handle, _bearer_without_expiry)
        if status != OK or handle.lines:
            checked(status, handle)
        return bearer

    def bearer_valid_for(self, seconds: Union[float, timedelta]) -> str:
        """As :attr:`bearer`, renewed first if less than `seconds` are left: for long uploads.

        If the server's tokens don't live that long, the newest one is given.

        Parameters
        ----------
        seconds : float or timedelta
            How long the bearer has to be good for.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        # c_int64 would take the lowest bits of what is larger.
        whole = max(-1, min(math.ceil(seconds), 2**63 - 1))
        return text(self._open, _bearer_valid_for, c_int64(whole))

    def header(self) -> "dict[str, str]":
        """``{"Authorization": "Bearer …"}``."""
        return {"Authorization": self.bearer}

    @property
    def token(self) -> str:
        """The access token as it is, expired or not. Never renews."""
        return text(self._open, library.gc_auth_token)

    @property
    def refresh_token(self) -> str:
        """The refresh token. Never renews."""
        return text(self._open, library.gc_auth_refresh_token)

    @property
    def token_type(self) -> str:
        """The token type: ``Bearer`` unless the server said otherwise."""
        return text(self._open, library.gc_auth_token_type)

    @property
    def env(self) -> str:
        """The environment's name."""
        return text(self._open, library.gc_auth_env)

    @property
    def host(self) -> str:
        """The base URL that credentials go to."""
        return text(self._open, library.gc_auth_host)

    @property
    def expires_at(self) -> Optional[datetime]:
        """When the current token ends (aware, UTC); None when nobody says. Never renews.

        Raises
        ------
        NoTokenError
            Nobody has logged in.
        """
        try:
            exp = self.claims.get("exp")
        except TokenInvalidError:
            exp = None
        # What the library reads otherwise (text, milliseconds, the server's word) it knows as what is left.
        if isinstance(exp, (int, float)) and not isinstance(exp, bool) and 0 <= exp < 1e11:
            return _moment(exp)
        left = self.info().expires_in
        if left is None:
            return None
        try:
            return datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=left)
        except OverflowError:  # After the year 9999.
            return None

    @property
    def claims(self) -> "dict[str, Any]":
        """The payload of the current token, decoded and **not verified**. Never renews."""
        return _object(text(self._open, library.gc_auth_decoded_token))

    @property
    def project_id(self) -> int:
        """The number of the project in the token, which is another identifier than its name.

        Raises
        ------
        TokenInvalidError
            The token has no such claim.
        """
        handle = self._open
        number = c_int64()
        checked(library.gc_auth_project_id(handle.address, byref(number)), handle)
        return number.value

    def refresh(self, project_id: Optional[str] = None) -> None:
        """Renews now. `project_id` scopes the session to that project from now on; None keeps the scope."""
        handle = self._open
        checked(library.gc_auth_refresh(handle.address, encoded("project_id", project_id)), handle)

    def report_rejected(self, bearer: str) -> None:
        """Says that a server turned `bearer` (or a token) away with 401. Ask for :attr:`bearer` again, and repeat the
        request once. Any number of reports of one token make one renewal."""
        handle = self._open
        checked(library.gc_auth_report_rejected(handle.address, encoded("bearer", bearer)), handle)

    def logout(self) -> None:
        """Forgets the session, for all who share it."""
        handle = self._open
        checked(library.gc_auth_logout(handle.address), handle)

    def verify(self, public_key: Optional[str] = None) -> "dict[str, Any]":
        """The payload of the current token, if its signature holds.

        Parameters
        ----------
        public_key : str or None
            PEM, JWK or JWKS; None takes the config's ``public_key`` or ``jwks_url``.

        Raises
        ------
        TokenInvalidError, TokenExpiredError
            The token does not verify.
        """
        handle = self._open
        if public_key is None:
            return _object(text(handle, library.gc_auth_verify))
        return _object(text(handle, library.gc_auth_decode_jwt, encoded("public_key", public_key)))

    def info(self) -> SessionInfo:
        """How the session is shared and how it fares."""
        raw = json.loads(text(self._open, library.gc_auth_session_info))
        failure = raw.get("last_failure")
        return SessionInfo(
            generation=raw["generation"],
            store=raw["store"],
            lock=raw["lock"],
            place=raw.get("place"),
            scope=raw.get("scope"),
            renewed_at=_moment(raw.get("renewed_at")),
            renewed_by_host=raw.get("renewed_by_host"),
            renewed_by_pid=raw.get("renewed_by_pid"),
            made=raw["made"],
            joined=raw["joined"],
            adopted=raw["adopted"],
            expires_in=raw.get("expires_in"),
            refused_with=raw.get("refused_with"),
            refused_at=_moment(raw.get("refused_at")),
            last_failure=failure
            and Failure(failure.get("status", ""), failure.get("message", ""), _moment(failure.get("at"))),
            next_try_at=_moment(raw.get("next_try_at")),
            logged_out_by=raw.get("logged_out_by"),
            logged_out_at=_moment(raw.get("logged_out_at")),
            raw=raw,
        )

    def to_json(self) -> str:
        """The session as JSON, to go on with elsewhere by :meth:`from_json`. It holds both tokens: keep it secret."""
        return text(self._open, library.gc_auth_to_json)

    def write_token_file(self, path: "Union[str, os.PathLike[str]]", format: str = "htslib") -> None:
        """Writes the token for another tool, atomically, readable by its owner only.

        Parameters
        ----------
        path : str or path
            Where to.
        format : {"htslib", "wlcg", "curl"}
            For ``HTS_AUTH_LOCATION``, for ``BEARER_TOKEN_FILE``, or a header for ``curl -H @FILE``.
        """
        handle = self._open
        place = os.fsencode(path)
        if b"\0" in place:
            raise argument_error("path holds a NUL character")
        checked(library.gc_auth_write_token_file(handle.address, place, encoded("format", format)), handle)

    def close(self) -> None:
        """Frees the session. Calls of other threads that are under way end first."""
        self._handle = None

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: "Optional[Type[BaseException]]",
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._handle is None:
            return "<gcauth.Session closed>"
        return f"<gcauth.Session {self.env} {self.host}>"

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError(
            "a gcauth.Session can't be pickled, copied or sent to another process, since two copies would log each other "
            'out; give all of them a shared store (for example store="file:PATH") and let each make its own Session'
        )

    def __copy__(self) -> Any:
        return self.__reduce_ex__(4)

    def __deepcopy__(self, memo: object) -> Any:
        return self.__reduce_ex__(4)


def _bearer_without_expiry(*arguments: Any) -> int:
    return int(_bearer(*arguments, None))


def _bearer_valid_for(*arguments: Any) -> int:
    return int(library.gc_auth_bearer_valid_for(*arguments, None))


def _object(payload: str) -> "dict[str, Any]":
    value = json.loads(payload)
    assert isinstance(value, dict)
    return value


def _ask(question: str, name: str, is_secret: bool = False) -> str:
    if not sys.stdin or not sys.stdin.isatty():
        raise argument_error(f"{name} is missing, and there is no terminal to ask for it")
    return getpass.getpass(question) if is_secret else input(question)
