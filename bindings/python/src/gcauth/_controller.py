"""The platform's Python class, member by member, on this library."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, TypeVar, Union

from ._errors import NoTokenError
from ._session import Session

__all__ = ["AuthController"]

_T = TypeVar("_T")


class _ClassOrInstance:
    """A method that gets the class where it is called on the class, and the instance where there is one."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self._function.__get__(instance if instance is not None else owner)


class AuthController:
    """Logs in and holds the tokens, as the platform's own class does; renewals are this library's.

    Parameters
    ----------
    config : dict, str or None
        The config, as for :class:`gcauth.Session`.
    token, refresh_token : str or None
        Tokens that you have already.
    env : str
        The environment.

    Examples
    --------
    >>> token, refresh_token = AuthController.login("ada", "…", "analytical-engines")   # doctest: +SKIP
    >>> controller = AuthController(token=token, refresh_token=refresh_token)           # doctest: +SKIP
    >>> headers = {"Authorization": controller.bearer}                                  # doctest: +SKIP
    """

    def __init__(
        self,
        config: Union[str, Mapping[str, Any], None] = None,
        token: Optional[str] = None,
        refresh_token: Optional[str] = None,
        env: Optional[str] = None,
    ) -> None:
        self._config = config
        #: The session behind it, for everything else that the library can do.
        self.session = Session(config, token=token, refresh_token=refresh_token, env=env)

    @property
    def env(self) -> str:
        """The environment's name."""
        return self.session.env

    @property
    def host(self) -> str:
        """The base URL that credentials go to."""
        return self.session.host

    @property
    def token(self) -> Optional[str]:
        """The access token; None before a login."""
        return _or_none(lambda: self.session.token)

    @property
    def refresh_token(self) -> Optional[str]:
        """The refresh token; None where there is none."""
        return _or_none(lambda: self.session.refresh_token)

    @property
    def token_type(self) -> str:
        """``Bearer`` unless the server said otherwise."""
        return self.session.token_type

    @property
    def decoded_token(self) -> Optional[Dict[str, Any]]:
        """The payload of the token, not verified; None before a login."""
        return _or_none(lambda: self.session.claims)

    @property
    def bearer(self) -> str:
        """``Bearer <token>``, renewed if it is time to."""
        return self.session.bearer

    @_ClassOrInstance
    def login(
        self: Any,
        username: str,
        password: str,
        organization_id: str,
        project_id: Optional[str] = None,
        env: str = "prod",
    ) -> Tuple[str, str]:
        """Logs in and gives the access token and the refresh token.

        Called on the class, nothing is kept. Called on an instance, the instance holds the session from then on.

        Parameters
        ----------
        username, password, organization_id : str
            Whose session it is to be.
        project_id : str or None
            The project's name; None logs in without one.
        env : str
            The environment. On an instance, ``"prod"`` is the one that it has.

        Returns
        -------
        tuple of str
            The access token and the refresh token, which is empty where the server gives none.

        Raises
        ------
        gcauth.UnauthorizedError
            The server refused the login.
        gcauth.Error
            Another failure; see its classes.
        """
        if isinstance(self, AuthController):
            controller = self
            session = self.session if env in ("prod", self.env) else Session(self._config, env=env)
        else:
            controller = self(env=env)
            session = controller.session
        session.login(username, password, organization_id, project_id)
        controller.session = session
        return session.token, controller.refresh_token or ""

    def decode_jwt(self, public_key: Optional[str] = None) -> Dict[str, Any]:
        """The payload of the token: verified if there is a key, otherwise only decoded.

        Raises
        ------
        gcauth.TokenInvalidError, gcauth.TokenExpiredError
            The token does not verify.
        """
        return self.session.claims if public_key is None else self.session.verify(public_key)

    def get_project_id(self) -> int:
        """The number of the project in the token.

        Raises
        ------
        gcauth.TokenInvalidError
            The token has no such claim.
        """
        return self.session.project_id

    def refresh(self, project_id: Optional[str] = None) -> Dict[str, Any]:
        """Renews now, and gives what :meth:`to_json` gives.

        Parameters
        ----------
        project_id : str or None
            The project's name, which the session keeps; None keeps the one that it has.

        Raises
        ------
        gcauth.Error
            The renewal failed; the session is as before.
        """
        self.session.refresh(project_id)
        return self.to_json()

    def to_json(self) -> Dict[str, Any]:
        """The session as a dict; it holds both tokens."""
        exported: Dict[str, Any] = json.loads(self.session.to_json())
        return exported

    def __repr__(self) -> str:
        return f"<gcauth.AuthController {self.env} {self.host}>"


def _or_none(get: Callable[[], _T]) -> Optional[_T]:
    try:
        return get()
    except NoTokenError:
        return None
