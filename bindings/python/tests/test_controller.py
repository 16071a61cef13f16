"""The platform's class, as its documentation shows it: only the import is another."""

import inspect
import json
from pathlib import Path

import pytest
from conftest import DIRECTORY, HTTPS, config

import gcauth
from gcauth import AuthController

USER = {"username": "ada", "password": "lovelace", "organization_id": "analytical-engines"}


@pytest.fixture
def prod(sandbox, monkeypatch, tmp_path):
    """A config file whose ``prod`` is the sandbox, for examples that name no environment."""
    path = tmp_path / "config.json"
    hosts = {name: {"host": HTTPS} for name in ("prod", "dev")}
    path.write_text(json.dumps({"environments": hosts, "ca_file": f"{DIRECTORY}/ca.pem"}))
    monkeypatch.setenv("GCAUTH_CONFIG", str(path))
    return sandbox


def test_signatures():
    def shape(function):
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values() if p.name != "self"]

    assert [name for name, _ in shape(AuthController)] == ["config", "token", "refresh_token", "env"]
    absent = inspect.Parameter.empty
    expected = [("username", absent), ("password", absent), ("organization_id", absent), ("project_id", None), ("env", "prod")]
    assert shape(AuthController.login) == expected
    assert shape(AuthController(config()).login) == expected
    assert shape(AuthController.decode_jwt) == [("public_key", None)]
    assert shape(AuthController.refresh) == [("project_id", None)]
    assert shape(AuthController.get_project_id) == shape(AuthController.to_json) == []


def test_login_of_the_class(prod):
    token, refresh_token = AuthController.login("ada", "lovelace", "analytical-engines")
    auth = AuthController(token=token, refresh_token=refresh_token)
    assert auth.bearer == f"Bearer {token}"
    assert (auth.token, auth.refresh_token, auth.env) == (token, refresh_token, "prod")
    token, _ = AuthController.login(**USER, project_id="genomes", env="dev")
    assert AuthController(token=token, env="dev").get_project_id() == 9007199254740993
    assert prod.counter("logins") == 2


def test_login_of_an_instance(prod):
    auth = AuthController()
    assert auth.token is None and auth.refresh_token is None and auth.decoded_token is None
    token, refresh_token = auth.login(**USER)
    assert (auth.token, auth.refresh_token) == (token, refresh_token)
    assert {"Authorization": auth.bearer} == {"Authorization": f"Bearer {token}"}

    dev = AuthController(env="dev")
    dev.login(**USER)
    assert dev.env == "dev"
    auth.login(**USER, env="dev")
    assert auth.env == "dev" and auth.token


def test_failed_login_keeps_the_session(prod):
    auth = AuthController()
    auth.login(**USER)
    before = auth.to_json()
    for env in ("prod", "dev"):
        with pytest.raises(gcauth.UnauthorizedError):
            auth.login("ada", "wrong", "analytical-engines", env=env)
        assert auth.to_json() == before
    with pytest.raises(gcauth.ConfigError):
        auth.login(**USER, env="moon")
    assert auth.to_json() == before


def test_members(sandbox):
    auth = AuthController(config())
    auth.login("ada", "lovelace", "analytical-engines", "genomes", env="sandbox")
    assert (auth.env, auth.host, auth.token_type) == ("sandbox", HTTPS, "Bearer")
    assert auth.decoded_token["sub"] == "ada"
    assert auth.decode_jwt() == auth.decoded_token
    assert auth.decode_jwt(public_key=Path(DIRECTORY, "public.pem").read_text()) == auth.decoded_token
    with pytest.raises(gcauth.Error):
        auth.decode_jwt(public_key="no key")
    with pytest.raises(gcauth.Error):
        auth.decode_jwt(public_key="")
    assert auth.get_project_id() == 9007199254740993
    exported = auth.to_json()
    assert exported == {
        "env": "sandbox",
        "host": HTTPS,
        "token": auth.token,
        "refresh_token": auth.refresh_token,
        "token_type": "Bearer",
        "project_id": "genomes",
    }
    refreshed = auth.refresh()
    assert refreshed == auth.to_json() and refreshed["token"] != exported["token"]
    assert auth.get_project_id() == 9007199254740993
    assert auth.refresh(project_id="exomes")["project_id"] == "exomes"
    assert isinstance(auth.session, gcauth.Session)
    assert auth.token not in repr(auth) and auth.refresh_token not in repr(auth)


def test_errors_are_exceptions(sandbox):
    auth = AuthController(config())
    for act in (lambda: auth.bearer, auth.refresh, auth.get_project_id, auth.decode_jwt, lambda: auth.login("", "", "")):
        with pytest.raises(Exception) as caught:
            act()
        assert isinstance(caught.value, gcauth.Error)


def test_config_as_a_text(sandbox):
    auth = AuthController(json.dumps(config()))
    assert auth.login(**USER)[0] == auth.token
