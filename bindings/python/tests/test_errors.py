import pickle
import re

import pytest
from conftest import LOGIN, ROOT, config, logged_in

import gcauth
from gcauth._errors import STATUS_CLASSES


def header_statuses():
    text = (ROOT / "include" / "gcauth.h").read_text()
    return {name: int(value) for name, value in re.findall(r"^#define (GC_AUTH_(?:OK|ERR_\w+)) (\d+)$", text, re.M)}


def test_statuses_are_those_of_the_header():
    statuses = header_statuses()
    assert len(statuses) > 25
    known = {name: value for name, value in statuses.items() if name not in ("GC_AUTH_OK", "GC_AUTH_ERR_BUFFER_TOO_SMALL")}
    # 6 is there where the library can be interrupted.
    assert set(STATUS_CLASSES) - {6} == set(known.values()) - {6}
    for kind in STATUS_CLASSES.values():
        assert issubclass(kind, gcauth.Error) and kind.__name__ in gcauth.__all__ and kind.__doc__


def test_every_class_is_for_a_status():
    classes = {value for name in gcauth.__all__ for value in [getattr(gcauth, name)] if isinstance(value, type)}
    errors = {kind for kind in classes if issubclass(kind, BaseException)} - {gcauth.Error}
    assert errors == set(STATUS_CLASSES.values())


def test_functions_are_those_of_the_header():
    from gcauth._library import _FUNCTIONS

    text = (ROOT / "include" / "gcauth.h").read_text()
    declared = set(re.findall(r"^(?:const char \*|[a-z0-9_]+ )(gc_auth_\w+)\(", text, re.M))
    assert len(declared) > 25
    # The status of the last error comes back from the call itself.
    assert declared == set(_FUNCTIONS) | {"gc_auth_last_error_status"}


def test_refused_login(sandbox):
    with pytest.raises(gcauth.UnauthorizedError) as caught:
        gcauth.Session(config()).login("ada", "wrong", "analytical-engines")
    error = caught.value
    assert isinstance(error, gcauth.Error) and isinstance(error, Exception)
    assert (error.status, error.name, error.http_status) == (30, "GC_AUTH_ERR_UNAUTHORIZED", 401)
    assert error.retryable is False and error.retry_after is None
    assert "frontdesk/login" in str(error) and "wrong\"" not in str(error)


@pytest.mark.parametrize(
    "effect, kind, fields",
    [
        ({"status": {"code": 503, "headers": {"Retry-After": "7"}}}, gcauth.ServerError, (62, 503, True, 7.0)),
        ({"status": {"code": 429, "headers": {"Retry-After": "3"}}}, gcauth.RateLimitedError, (61, 429, True, 3.0)),
        ({"status": {"code": 418}}, gcauth.ServerError, (60, 418, False, None)),
        ({"status": {"code": 200, "body": {"html": "<h1>Hello</h1>"}}}, gcauth.ServerError, (63, 200, False, None)),
        ({"redirect": {"code": 307, "location": "http://127.0.0.1:1/"}}, gcauth.InsecureError, (43, 307, False, None)),
        ({"drop": {"at": "after-processing"}}, gcauth.ConnectionFailedError, (40, 0, None, None)),
    ],
)
def test_what_servers_do(sandbox, effect, kind, fields):
    session = logged_in()
    before = session.bearer
    sandbox.fault("login", effect)
    with pytest.raises(kind) as caught:
        session.login(*LOGIN)
    error = caught.value
    assert type(error) is kind
    status, http_status, retryable, retry_after = fields
    assert (error.status, error.http_status) == (status, http_status)
    assert retryable is None or error.retryable is retryable
    assert error.retry_after == retry_after
    assert session.bearer == before


def test_network():
    unreachable = {"sandbox": {"host": "https://127.0.0.1:1"}}
    with pytest.raises(gcauth.ConnectionFailedError) as caught:
        gcauth.Session(config(environments=unreachable, retries=0)).login(*LOGIN)
    assert caught.value.retryable and isinstance(caught.value, ConnectionError)
    with pytest.raises(gcauth.TlsError):
        gcauth.Session(config(ca_file=None)).login(*LOGIN)
    with pytest.raises(gcauth.InsecureError):
        gcauth.Session(config(environments={"sandbox": {"host": "http://somewhere.example"}})).login(*LOGIN)


def test_timeout(sandbox):
    session = logged_in(timeout_ms=300)
    sandbox.fault("login", {"hold": {"at": "before-processing"}}, times="forever")
    with pytest.raises(gcauth.TimeoutExpiredError) as caught:
        session.login(*LOGIN)
    assert isinstance(caught.value, TimeoutError) and caught.value.status == 41


def test_store(sandbox, tmp_path):
    (tmp_path / "session").mkdir()
    with pytest.raises(gcauth.StoreError) as caught:
        gcauth.Session(config(store=f"file:{tmp_path}/session")).bearer
    assert isinstance(caught.value, OSError)


def test_errors_are_pickled_with_all_fields(sandbox):
    session = logged_in()
    sandbox.fault("login", {"status": {"code": 503, "headers": {"Retry-After": "7"}}})
    with pytest.raises(gcauth.ServerError) as caught:
        session.login(*LOGIN)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(caught.value, protocol))
        assert type(again) is gcauth.ServerError and str(again) == str(caught.value)
        assert again.__dict__ == caught.value.__dict__ and again.retry_after == 7.0
    for kind in STATUS_CLASSES.values():
        error = kind("message")
        error.status = 5
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind and str(again) == "message" and again.status == 5


def test_a_later_status_is_an_error(monkeypatch):
    from gcauth._errors import last_error

    error = last_error(12345)
    assert type(error) is gcauth.Error and error.status == 12345
