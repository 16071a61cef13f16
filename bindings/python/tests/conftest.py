"""Tests beside a sandbox, whose addresses are in the environment: bindings/python/check starts one."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import gcauth

ROOT = Path(__file__).resolve().parents[3]
HTTPS = os.environ["GCAUTH_SANDBOX_HTTPS"]
HTTP = os.environ["GCAUTH_SANDBOX_HTTP"]
DIRECTORY = os.environ["GCAUTH_SANDBOX_DIR"]
CONTROL = os.environ["GCAUTH_SANDBOX_CONTROL"]
LOGIN = ("ada", "lovelace", "analytical-engines")

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Sandbox:
    """The server's control endpoints."""

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{CONTROL}/{path}", data=data, method=method)
        with _direct.open(request) as answer:
            return json.loads(answer.read())

    def counter(self, name):
        return self.ask("GET", "counters")[name]

    def requests(self):
        return self.ask("GET", "requests")

    def fault(self, on, do, times=1):
        self.ask("POST", "faults", {"on": on, "times": times, "do": do})

    def wait_held(self, count=1):
        wait_until(lambda: self.ask("GET", "held")["held"] >= count)

    def release(self):
        self.ask("POST", "release", {})

    def reset(self):
        self.ask("POST", "reset", {})
        self.ask("DELETE", "faults")
        self.ask("POST", "clock", {"offset_s": 0})
        self.ask("POST", "token-life", {"seconds": 3600})


def wait_until(condition):
    """Polls, for as long as the machine may need."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def config(**more):
    return {
        "env": "sandbox",
        "environments": {"sandbox": {"host": HTTPS}},
        "ca_file": f"{DIRECTORY}/ca.pem",
        **more,
    }


def logged_in(project_id=None, **more):
    session = gcauth.Session(config(**more))
    session.login(*LOGIN, project_id)
    return session


def run_python(code, *arguments, check=True, **environment):
    """Runs code in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=240,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def in_threads(count, work):
    """What `work` gives in each of so many threads that begin together."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(n):
        barrier.wait()
        try:
            results[n] = work()
        except BaseException as error:
            results[n] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def sandbox():
    sandbox = Sandbox()
    sandbox.reset()
    yield sandbox
    sandbox.reset()


@pytest.fixture
def session(sandbox):
    with logged_in() as session:
        yield session
