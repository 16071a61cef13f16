"""requests, httpx, aiohttp and fsspec, against servers that tell what they were sent."""

import asyncio
import io
import os

import pytest
from conftest import HTTP, logged_in, run_python
from servers import Server

import gcauth

if "GCAUTH_REQUIRE_CLIENTS" not in os.environ:
    for _name in ("requests", "httpx", "aiohttp", "fsspec"):
        pytest.importorskip(_name)

import aiohttp  # noqa: E402
import httpx  # noqa: E402
import requests  # noqa: E402


class Requests:
    """Each client: `send` gives the status and the text."""

    def __init__(self, session):
        self.auth = gcauth.auth(session)

    def send(self, method, url, body=None):
        with requests.Session() as client:
            client.trust_env = False
            answer = client.request(method, url, data=body, auth=self.auth)
            return answer.status_code, answer.text

    @staticmethod
    def once_body(content):
        return iter([content])


class Httpx(Requests):
    def send(self, method, url, body=None):
        with httpx.Client(auth=self.auth, follow_redirects=True, trust_env=False) as client:
            answer = client.request(method, url, content=body)
            return answer.status_code, answer.text


class AsyncHttpx(Requests):
    def send(self, method, url, body=None):
        async def go():
            async with httpx.AsyncClient(auth=self.auth, follow_redirects=True, trust_env=False) as client:
                answer = await client.request(method, url, content=body)
                return answer.status_code, answer.text

        return asyncio.run(go())

    @staticmethod
    def once_body(content):
        async def parts():
            yield content

        return parts()


class Aiohttp(Requests):
    def __init__(self, session):
        self.middleware = gcauth.aiohttp_middleware(session)

    def send(self, method, url, body=None):
        async def go():
            async with aiohttp.ClientSession(middlewares=[self.middleware]) as client:
                async with client.request(method, url, data=body) as answer:
                    return answer.status, await answer.text()

        return asyncio.run(go())

    once_body = staticmethod(AsyncHttpx.once_body)


@pytest.fixture(params=[Requests, Httpx, AsyncHttpx, Aiohttp], ids=lambda kind: kind.__name__)
def client(request, session):
    return request.param(session)


@pytest.fixture
def server():
    with Server() as server:
        yield server


@pytest.fixture
def other():
    with Server() as server:
        yield server


def test_platform_accepts_it(client, sandbox):
    status, text = client.send("GET", f"{HTTP}/me")
    assert status == 200 and '"sub":"ada"' in text


def test_real_401_is_repeated_with_a_renewed_bearer(client, sandbox, session):
    old = session.bearer
    sandbox.ask("POST", "revoke", {})
    status, _ = client.send("GET", f"{HTTP}/me")
    assert status == 200 and session.bearer != old
    assert sandbox.counter("refreshes") == 1


@pytest.mark.parametrize("body", [None, b"body", ""])
def test_401_is_reported_and_repeated_once(client, server, session, sandbox, body):
    first = session.bearer
    server.answers = [(401, {}), (401, {}), (500, {})]
    status, text = client.send("POST", server.url + "/path?q=1", body)
    assert (status, text) == (401, "status 401")
    second = session.bearer
    assert second != first or sandbox.counter("refreshes") == 1
    content = body or b""
    assert len(server.seen) == 2
    assert server.seen[0] == ("POST", "/path?q=1", first, content)
    assert server.seen[1][:2] == ("POST", "/path?q=1") and server.seen[1][3] == content
    assert server.seen[1][2] not in (None, first)


def test_after_a_401_it_goes_on(client, server, session):
    first = session.bearer
    server.answers = [(401, {})]
    assert client.send("PUT", server.url, b"body") == (200, "status 200")
    assert [(seen[2], seen[3]) for seen in server.seen] == [(first, b"body"), (session.bearer, b"body")]


def test_no_second_bearer_no_repetition(client, server, session, sandbox):
    """The server can't be reached for a renewal: the answer is the 401."""
    first = session.bearer
    sandbox.fault("any", {"drop": {"at": "before-reading", "reset": True}}, times="forever")
    server.answers = [(401, {})]
    status, _ = client.send("GET", server.url)
    assert status == 401
    assert [seen[2] for seen in server.seen] == [first]


def test_other_statuses_are_no_matter(client, server, session, sandbox):
    for status in (200, 403, 404, 500):
        server.answers = [(status, {})]
        assert client.send("GET", server.url)[0] == status
    assert len(server.seen) == 4 and sandbox.counter("refreshes") == 0


def test_body_that_is_read_once_is_not_repeated(client, server, session):
    first = session.bearer
    server.answers = [(401, {})]
    status, _ = client.send("POST", server.url, client.once_body(b"content"))
    assert status == 401
    assert [(seen[2], seen[3]) for seen in server.seen] == [(first, b"content")]
    # It is reported all the same.
    assert session.bearer != first


def test_file_is_repeated_from_where_it_began(session, server):
    file = io.BytesIO(b"passed over; content")
    file.seek(13)
    server.answers = [(401, {})]
    assert Requests(session).send("POST", server.url, file)[0] == 200
    assert [seen[3] for seen in server.seen] == [b"content", b"content"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_bearer_follows_no_redirect_to_another_host(client, server, other, session, code):
    bearer = session.bearer
    server.answers = [(code, {"Location": other.url + "/there"})]
    assert client.send("GET", server.url)[0] == 200
    assert [seen[2] for seen in server.seen] == [bearer]
    assert [seen[1:3] for seen in other.seen] == [("/there", None)]


def test_401_of_another_host_is_not_reported(client, server, other, session, sandbox):
    server.answers = [(307, {"Location": other.url})]
    other.answers = [(401, {})]
    assert client.send("GET", server.url)[0] == 401
    assert len(other.seen) == 1 and other.seen[0][2] is None
    session.bearer
    assert sandbox.counter("refreshes") == 0


def test_no_bearer_further_along(client, server, other, session):
    """From host to host, and around there."""
    with Server() as third:
        server.answers = [(302, {"Location": other.url + "/1"})]
        other.answers = [(302, {"Location": "/2"}), (302, {"Location": third.url + "/3"})]
        assert client.send("GET", server.url)[0] == 200
        assert [seen[1:3] for seen in other.seen] == [("/1", None), ("/2", None)]
        assert [seen[1:3] for seen in third.seen] == [("/3", None)]


def test_redirect_on_the_same_host_keeps_it(client, server, session):
    bearer = session.bearer
    server.answers = [(307, {"Location": "/there"})]
    assert client.send("GET", server.url)[0] == 200
    assert [seen[1:3] for seen in server.seen] == [("/", bearer), ("/there", bearer)]


def test_401_after_a_redirect_on_the_same_host(client, server, session):
    first = session.bearer
    server.answers = [(307, {"Location": "/there"}), (401, {})]
    assert client.send("GET", server.url)[0] == 200
    # httpx begins anew, the others where they were.
    assert server.seen[-1][1] in ("/", "/there") and server.seen[-1][2] == session.bearer != first


def test_aiohttp_after_a_redirect_that_was_not_followed(session, server, other):
    """The next request of the same task is one of its own."""

    async def go():
        middleware = gcauth.aiohttp_middleware(session)
        async with aiohttp.ClientSession(middlewares=[middleware]) as client:
            server.answers = [(302, {"Location": other.url})]
            for url, follows in ((server.url, False), (server.url, True), (other.url, True)):
                async with client.get(url, allow_redirects=follows) as answer:
                    await answer.read()

    asyncio.run(go())
    assert [seen[2] for seen in server.seen + other.seen] == [session.bearer] * 3


def test_errors_come_through(client, server, session):
    session.logout()
    with pytest.raises(gcauth.NoTokenError):
        client.send("GET", server.url)
    assert server.seen == []


def test_event_loop_goes_on_while_a_renewal_waits(session, sandbox, server):
    session.report_rejected(session.bearer)
    sandbox.fault("refresh", {"hold": {"at": "before-processing"}})

    async def go():
        async with aiohttp.ClientSession(middlewares=[gcauth.aiohttp_middleware(session)]) as client:
            request = asyncio.ensure_future(client.get(server.url))
            await asyncio.get_running_loop().run_in_executor(None, sandbox.wait_held)
            assert not request.done()
            sandbox.release()
            async with await request as answer:
                return answer.status

    assert asyncio.run(go()) == 200


def test_auth_is_what_clients_look_for(session):
    auth = gcauth.auth(session)
    assert isinstance(auth, requests.auth.AuthBase) and isinstance(auth, httpx.Auth)


def test_importing_needs_none_of_them():
    code = (
        "import gcauth, sys; "
        "print([name for name in ('requests', 'httpx', 'aiohttp', 'fsspec') if name in sys.modules])"
    )
    assert run_python(code).stdout == "[]\n"


def test_fsspec_example(session, server):
    import runpy

    from conftest import ROOT

    example = runpy.run_path(str(ROOT / "bindings" / "python" / "examples" / "fsspec_http.py"))
    files = example["file_system"](session)
    server.answers = []
    assert files.cat(server.url + "/variants.vcf") == b"status 200"
    first = session.bearer
    assert {seen[2] for seen in server.seen} == {first}
    server.answers = [(401, {})]
    assert files.cat(server.url + "/variants.vcf") == b"status 200"
    assert server.seen[-1][2] == session.bearer != first
