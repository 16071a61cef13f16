import copy
import json
import logging
import multiprocessing
import os
import pickle
import stat
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import DIRECTORY, HTTPS, LOGIN, config, logged_in, run_python

import gcauth


def jwt(payload):
    import base64

    def part(text):
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    return ".".join([part('{"alg":"RS256"}'), part(json.dumps(payload)), part("signature")])


def test_login_and_bearer(sandbox):
    session = gcauth.Session(config())
    with pytest.raises(gcauth.NoTokenError):
        session.bearer
    assert session.login(*LOGIN, project_id="genomes") is None
    assert session.bearer == f"Bearer {session.token}" == session.bearer
    assert session.header() == {"Authorization": session.bearer}
    assert session.refresh_token and session.refresh_token not in session.bearer
    assert (session.env, session.host, session.token_type) == ("sandbox", HTTPS, "Bearer")
    assert session.project_id == 9007199254740993
    assert sandbox.counter("logins") == 1 and sandbox.counter("refreshes") == 0


def test_login_by_keywords(sandbox):
    session = gcauth.Session(config())
    session.login(username="ada", password="lovelace", organization_id="analytical-engines")
    assert session.claims["sub"] == "ada"


def test_refresh_and_reports(sandbox, session):
    first = session.bearer
    session.refresh()
    second = session.bearer
    assert second != first
    session.report_rejected(first)
    assert session.bearer == second
    session.report_rejected(second)
    third = session.bearer
    assert third not in (first, second)
    session.refresh("genomes")
    assert session.project_id == 9007199254740993
    assert sandbox.counter("refreshes") == 3 and sandbox.counter("reuses") == 0


def test_logout(session):
    session.logout()
    for name in ("bearer", "token", "claims", "expires_at"):
        with pytest.raises(gcauth.NoTokenError):
            getattr(session, name)
    assert session.info().logged_out_at is not None


def test_claims_and_times(session):
    claims = session.claims
    assert claims["sub"] == "ada"
    assert session.expires_at == datetime.fromtimestamp(claims["exp"], timezone.utc)
    assert session.expires_at.utcoffset() == timedelta(0)
    assert session.verify(Path(DIRECTORY, "public.pem").read_text()) == claims


@pytest.mark.parametrize(
    "payload, expected",
    [
        ({"exp": 4102444800}, datetime(2100, 1, 1, tzinfo=timezone.utc)),
        ({"exp": 4102444800.5}, datetime(2100, 1, 1, 0, 0, 0, 500000, tzinfo=timezone.utc)),
        ({"exp": 4102444800000}, datetime(2100, 1, 1, tzinfo=timezone.utc)),
        ({"exp": "4102444800"}, datetime(2100, 1, 1, tzinfo=timezone.utc)),
        ({"exp": -1}, None),
        ({"exp": True}, None),
        ({"exp": 1e300}, None),
        ({}, None),
    ],
)
def test_expiry_as_issuers_write_it(payload, expected):
    expires_at = gcauth.Session(config(), token=jwt(payload)).expires_at
    if expected is None:
        assert expires_at is None or expires_at < datetime.now(timezone.utc)
    else:
        # What the library tells in seconds that are left may be one off.
        assert abs(expires_at - expected) <= timedelta(seconds=2)


def test_token_that_is_no_jwt():
    session = gcauth.Session(config(), token="opaque")
    assert session.bearer == "Bearer opaque"
    assert session.expires_at is None
    with pytest.raises(gcauth.TokenInvalidError):
        session.claims


def test_verify(sandbox):
    with pytest.raises(gcauth.ConfigError):
        logged_in().verify()
    by_file = logged_in(public_key=Path(DIRECTORY, "public.pem").read_text())
    by_url = logged_in(jwks_url=f"{HTTPS}/.well-known/jwks.json")
    assert by_file.verify() == by_file.claims
    assert by_url.verify() == by_url.claims
    with pytest.raises(gcauth.ArgumentError):
        by_url.verify("")
    with pytest.raises(gcauth.TokenInvalidError) as caught:
        by_url.verify("no key")
    assert caught.value.name == "GC_AUTH_ERR_KEY_INVALID"
    sandbox.ask("POST", "keys/rotate", {"keep_old": False})
    other = logged_in()
    with pytest.raises(gcauth.TokenInvalidError) as caught:
        by_file.verify("\n".join(["", Path(DIRECTORY, "public.pem").read_text()]))
    assert caught.value.name == "GC_AUTH_ERR_SIGNATURE_INVALID"
    assert other.verify(Path(DIRECTORY, "public.pem").read_text())


def test_info(sandbox, tmp_path):
    session = logged_in("genomes", store=f"file:{tmp_path}/session")
    session.refresh()
    info = session.info()
    assert isinstance(info, gcauth.SessionInfo)
    assert (info.store, info.lock, info.scope) == ("file", "flock", "genomes")
    assert info.place == f"{tmp_path}/session"
    assert info.made == 1 and info.joined == 0 and info.adopted == 0
    assert info.renewed_by_pid == os.getpid()
    assert abs(datetime.now(timezone.utc) - info.renewed_at) < timedelta(minutes=5)
    assert 3000 < info.expires_in <= 3600
    assert info.last_failure is None and info.logged_out_by is None
    assert info.raw["generation"] == info.generation

    sandbox.fault("refresh", {"status": {"code": 503}}, times="forever")
    session.report_rejected(session.token)
    with pytest.raises(gcauth.ServerError):
        session.bearer
    failure = session.info().last_failure
    assert failure.status == "GC_AUTH_ERR_SERVER" and "503" in failure.message
    assert failure.at.tzinfo is timezone.utc


def test_to_json_and_back(session):
    exported = session.to_json()
    assert json.loads(exported)["token"] == session.token
    for form in (exported, json.loads(exported)):
        again = gcauth.Session.from_json(form, config())
        assert (again.bearer, again.refresh_token) == (session.bearer, session.refresh_token)
    with pytest.raises(gcauth.ConfigError):
        gcauth.Session.from_json(exported, environments={"sandbox": {"host": "https://elsewhere.example"}}, env="sandbox")

    class Other(gcauth.Session):
        __slots__ = ()

    assert type(Other.from_json(exported, config())) is Other


@pytest.mark.parametrize("form, content", [("htslib", "{token}"), ("wlcg", "{token}"), ("curl", "Authorization: Bearer {token}")])
@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_token_files(session, tmp_path, form, content, kind):
    path = tmp_path / "tökën"
    session.write_token_file(kind(str(path)), form)
    text = path.read_text()
    assert session.token in text
    if form != "htslib":
        assert text.strip() == content.format(token=session.token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_token_files_refuse(session, tmp_path):
    with pytest.raises(gcauth.ArgumentError):
        session.write_token_file(tmp_path / "token", "nothing")
    with pytest.raises(gcauth.ArgumentError):
        session.write_token_file("")
    with pytest.raises(gcauth.ArgumentError):
        session.write_token_file(f"{tmp_path}/a\0b")
    with pytest.raises(gcauth.Error):
        session.write_token_file(tmp_path / "no" / "such" / "directory")
    assert os.listdir(str(tmp_path)) == []


def test_valid_for(sandbox, session):
    now = int(time.time())
    given = jwt({"iat": now, "exp": now + 600})
    session = gcauth.Session(config(), token=given, refresh_token=session.refresh_token)
    for enough in (60, timedelta(minutes=1), 0):
        assert session.bearer_valid_for(enough) == f"Bearer {given}"
    assert sandbox.counter("refreshes") == 0
    new = session.bearer_valid_for(timedelta(minutes=11))
    assert new != f"Bearer {given}" and sandbox.counter("refreshes") == 1
    # Longer than any token lives, and than C's integers reach.
    assert session.bearer_valid_for(1e30) == new
    for senseless in (float("nan"), -5, -1e30):
        with pytest.raises(ValueError):
            session.bearer_valid_for(senseless)


def test_long_tokens():
    """Longer than the room that text gets at first."""
    for length in (8180, 8183, 8184, 8185, 20000, 100000):
        session = gcauth.Session(config(), token="x" * length)
        assert session.bearer == "Bearer " + "x" * length
        assert session.token == "x" * length
        assert json.loads(session.to_json())["token"] == "x" * length


def test_config_ways(sandbox):
    parts = config()
    for made in (
        gcauth.Session(parts),
        gcauth.Session(json.dumps(parts)),
        gcauth.Session(**parts),
        gcauth.Session(environments=parts["environments"], env="sandbox", ca_file=Path(parts["ca_file"])),
        gcauth.Session({**parts, "timeout_ms": 1}, timeout_ms=30000),
        gcauth.Session(),  # By GCAUTH_CONFIG.
    ):
        made.login(*LOGIN)
        assert made.host == HTTPS and made.bearer
    with pytest.raises(gcauth.ConfigError, match="timeout_ms"):
        gcauth.Session(timeout_sm=1)
    with pytest.raises(gcauth.ConfigError):
        gcauth.Session("no JSON")
    with pytest.raises(TypeError):
        gcauth.Session(json.dumps(parts), timeout_ms=1)
    with pytest.raises(TypeError):
        gcauth.Session(5)
    with pytest.raises(TypeError):
        gcauth.Session(ca_file=object())


def test_given_tokens_are_stripped():
    session = gcauth.Session(config(), token=" Bearer abc\n", refresh_token="def\n")
    assert (session.token, session.refresh_token) == ("abc", "def")
    with pytest.raises(gcauth.ArgumentError):
        gcauth.Session(config(), token="a b")


def test_closed(session):
    token = session.token
    with session as same:
        assert same is session
    session.close()
    for call in (
        lambda: session.bearer,
        lambda: session.token,
        lambda: session.expires_at,
        lambda: session.info(),
        lambda: session.refresh(),
        lambda: session.login(*LOGIN),
        lambda: session.report_rejected(token),
    ):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert "closed" in repr(session)


def test_no_secrets_in_repr(session):
    for shown in (repr(session), str(session), repr(session.info())):
        for secret in (session.token, session.refresh_token, "lovelace"):
            assert secret not in shown
    assert "sandbox" in repr(session)


def test_neither_pickled_nor_copied(session):
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="store"):
            act(session)
    with pytest.raises(TypeError, match="store"):
        multiprocessing.get_context("spawn").Process(target=print, args=(session,)).start()


def test_arguments(session):
    with pytest.raises(TypeError):
        session.login(1, "p", "o")
    with pytest.raises(gcauth.ArgumentError):
        session.login("", "p", "o")
    with pytest.raises(gcauth.ArgumentError, match="NUL"):
        session.login("ada", "love\0lace", "o")
    with pytest.raises(gcauth.ArgumentError) as caught:
        session.login("ada", "love\udc80lace", "o")
    # What a traceback shows holds no password.
    assert caught.value.__suppress_context__
    assert "love" not in str(caught.value)
    assert caught.value.status == 1
    with pytest.raises(AttributeError):
        session.baerer = 1
    with pytest.raises(TypeError):
        gcauth.Session(config(), "token by place")


def test_without_a_terminal_nothing_is_asked_for(sandbox):
    code = "import gcauth; gcauth.Session().login('ada', organization_id='o')"
    failed = run_python(code, check=False)
    assert failed.returncode == 1 and "ArgumentError: password is missing" in failed.stderr
    assert sandbox.counter("logins") == 0


def test_on_a_terminal_what_is_missing_is_asked_for(sandbox):
    import pty
    import sys

    code = "import gcauth; s = gcauth.Session(); s.login(); print('in as', s.claims['sub'])"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    shown = b""

    def until(text):
        nonlocal shown
        while text not in shown:
            shown += os.read(terminal, 1000)

    for question, answer in ((b"User name: ", b"ada\n"), (b"Organization: ", b"analytical-engines\n"), (b"Password of ada: ", b"lovelace\n")):
        until(question)
        os.write(terminal, answer)
    until(b"in as ada")
    assert os.waitpid(child, 0)[1] == 0
    os.close(terminal)
    assert b"lovelace" not in shown


class Lines(logging.Handler):
    def __init__(self, act=lambda: None):
        super().__init__()
        self.lines, self.act = [], act

    def emit(self, record):
        self.lines.append((record.levelno, record.getMessage()))
        self.act()


@pytest.fixture
def listen():
    logger = logging.getLogger("gcauth")
    added = []

    def listen(handler, level=logging.INFO):
        logger.setLevel(level)
        logger.addHandler(handler)
        added.append(handler)
        return handler

    yield listen
    for handler in added:
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_log(sandbox, listen):
    handler = listen(Lines())
    session = logged_in()
    session.refresh()
    assert any("login" in line for level, line in handler.lines if level == logging.INFO)
    assert any("refresh" in line or "renew" in line for _, line in handler.lines)
    for _, line in handler.lines:
        assert "lovelace" not in line and session.refresh_token not in line and session.token not in line


def test_what_handles_the_log_may_use_sessions(sandbox, listen):
    """And the text that the call gives is its own, not that of the session that the handler asked."""
    other = gcauth.Session(config(), token="another.session.token")
    session = logged_in()
    seen = []

    def ask():
        seen.append((other.bearer, session.bearer, session.info()))

    listen(Lines(ask))
    first = session.bearer
    session.report_rejected(first)
    second = session.bearer
    assert seen and seen[0][0] == "Bearer another.session.token"
    assert second == session.bearer and second not in (first, seen[0][0])


def test_no_output_without_logging(sandbox):
    done = run_python("import gcauth; s = gcauth.Session(); s.login('ada', 'lovelace', 'analytical-engines'); s.refresh()")
    assert done.stdout == "" and done.stderr == ""
