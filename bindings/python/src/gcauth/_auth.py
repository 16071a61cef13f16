"""Bearers for the requests of requests, httpx and aiohttp. None of them is needed to import this."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, AsyncGenerator, Awaitable, Callable, Generator, Tuple

from ._session import Session

if TYPE_CHECKING:
    import aiohttp
    import httpx
    import requests

__all__ = ["auth", "aiohttp_middleware"]


class Auth:
    """What :func:`auth` gives: ``auth=`` for requests and for httpx, sync and async.

    Each request gets a bearer. A 401 is reported, and the request repeated once if there is another bearer. A request
    whose body can be read only once is not repeated. No bearer goes to another host than the one that the request was
    made for.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    # requests

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        bearer = self._session.bearer
        request.headers["Authorization"] = bearer
        start = _position(request.body)

        def once_more(response: "requests.Response", **options: Any) -> "requests.Response":
            # After a redirect to another host there is no bearer that could have been turned away.
            if response.status_code != 401 or response.request.headers.get("Authorization") != bearer:
                return response
            self._session.report_rejected(bearer)
            if start is None:
                return response
            again = self._session.bearer
            if again == bearer:
                return response
            # The connection goes back to the pool.
            response.content  # noqa: B018
            response.close()
            repeated = response.request.copy()
            body: Any = repeated.body
            if hasattr(body, "seek"):
                body.seek(start)
            repeated.headers["Authorization"] = again
            answer: "requests.Response" = response.connection.send(repeated, **options)
            answer.history.append(response)
            answer.request = repeated
            return answer

        request.register_hook("response", once_more)  # type: ignore[no-untyped-call]
        return request

    # httpx

    def sync_auth_flow(self, request: "httpx.Request") -> "Generator[httpx.Request, httpx.Response, None]":
        """For ``httpx.Client``."""
        bearer = self._session.bearer
        request.headers["Authorization"] = bearer
        response = yield request
        if _is_refusal_of(bearer, response):
            self._session.report_rejected(bearer)
            if _is_at_hand(request):
                again = self._session.bearer
                if again != bearer:
                    response.read()
                    request.headers["Authorization"] = again
                    yield request

    async def async_auth_flow(self, request: "httpx.Request") -> "AsyncGenerator[httpx.Request, httpx.Response]":
        """For ``httpx.AsyncClient``. A renewal may wait for the network, and does it in a thread."""
        bearer = await _in_thread(lambda: self._session.bearer)
        request.headers["Authorization"] = bearer
        response = yield request
        if _is_refusal_of(bearer, response):
            await _in_thread(lambda: self._session.report_rejected(bearer))
            if _is_at_hand(request):
                again = await _in_thread(lambda: self._session.bearer)
                if again != bearer:
                    await response.aread()
                    request.headers["Authorization"] = again
                    yield request


def _position(body: Any) -> "int | None":
    """Where a body has to be read from once more; None if it can be read only once."""
    if body is None or isinstance(body, (bytes, bytearray, str)):
        return 0
    try:
        body.seek(body.tell())
        return int(body.tell())
    except (AttributeError, OSError, TypeError):
        return None


def _is_refusal_of(bearer: str, response: "httpx.Response") -> bool:
    # After a redirect to another host there is no bearer that could have been turned away.
    return response.status_code == 401 and response.request.headers.get("Authorization") == bearer


def _is_at_hand(request: "httpx.Request") -> bool:
    """Whether the body is there to be sent again, and no stream."""
    import httpx

    try:
        request.content  # noqa: B018
    except httpx.RequestNotRead:
        return False
    return True


async def _in_thread(work: "Callable[[], Any]") -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work)


def auth(session: Session) -> Any:
    """``auth=`` for requests and httpx, which sends the session's bearer with each request.

    A 401 is reported, and the request repeated once if there is another bearer. No bearer goes to another host than the
    one that the request was made for.

    Parameters
    ----------
    session : Session
        Whose bearer to send.

    Returns
    -------
    object
        A ``requests.auth.AuthBase`` where requests is installed, an ``httpx.Auth`` where httpx is, and both where both
        are.

    Raises
    ------
    Error
        Each request may raise what :attr:`Session.bearer` raises.

    Examples
    --------
    >>> requests.get(url, auth=gcauth.auth(session))                 # doctest: +SKIP
    >>> httpx.Client(auth=gcauth.auth(session)).get(url)             # doctest: +SKIP
    """
    return _auth_class()(session)


def _auth_class() -> Any:
    """Auth with the base classes that the installed clients look for: httpx takes any callable for another thing."""
    global _made
    if _made is None:
        bases: "list[type]" = [Auth]
        try:
            from requests.auth import AuthBase

            bases.append(AuthBase)
        except ImportError:
            pass
        try:
            from httpx import Auth as HttpxAuth

            bases.append(HttpxAuth)
        except ImportError:
            pass
        _made = type("Auth", tuple(bases), {"__doc__": Auth.__doc__})
    return _made


_made: Any = None

_REDIRECTS = (301, 302, 303, 307, 308)


def aiohttp_middleware(
    session: Session,
) -> "Callable[[aiohttp.ClientRequest, Callable[..., Awaitable[aiohttp.ClientResponse]]], Awaitable[aiohttp.ClientResponse]]":
    """A middleware for ``aiohttp.ClientSession(middlewares=[…])``, aiohttp 3.12 and later.

    It sends the session's bearer with each request, but not to another host after a redirect. A 401 is reported, and
    the request repeated once if there is another bearer and the body can be read again.

    Parameters
    ----------
    session : Session
        Whose bearer to send.

    Raises
    ------
    Error
        Each request may raise what :attr:`Session.bearer` raises.

    Examples
    --------
    >>> aiohttp.ClientSession(middlewares=[gcauth.aiohttp_middleware(session)])      # doctest: +SKIP
    """
    # For each task that follows a redirect to another host: the origin that the request was made for, and the one that
    # it was led to. aiohttp calls the middleware for each hop, from the same task, and does not tell it which hop it is.
    led: "weakref.WeakKeyDictionary[Any, Tuple[Any, Any]]" = weakref.WeakKeyDictionary()

    async def middleware(request: Any, handler: Any) -> Any:
        task = asyncio.current_task()
        here = home = request.url.origin()
        before = led.pop(task, None)
        if before is not None and before[1] == here:
            home = before[0]
        response = await (with_bearer if here == home else without)(request, handler)
        if response.status in _REDIRECTS:
            target = response.headers.get("Location") or response.headers.get("URI")
            try:
                there = request.url.join(type(request.url)(target)).origin()
            except (TypeError, ValueError):
                # aiohttp does not follow it either.
                return response
            if there != home:
                led[task] = (home, there)
        return response

    async def without(request: Any, handler: Any) -> Any:
        return await handler(request)

    async def with_bearer(request: Any, handler: Any) -> Any:
        bearer = await _in_thread(lambda: session.bearer)
        request.headers["Authorization"] = bearer
        response = await handler(request)
        if response.status != 401:
            return response
        await _in_thread(lambda: session.report_rejected(bearer))
        if getattr(request.body, "consumed", False):
            return response
        again = await _in_thread(lambda: session.bearer)
        if again == bearer:
            return response
        response.release()
        request.headers["Authorization"] = again
        return await handler(request)

    return middleware
