"""Threads, memory, and the end of the interpreter."""

import gc
import os
import resource
import sys
import threading
import time
import weakref

import pytest
from conftest import LOGIN, config, in_threads, logged_in, run_python, wait_until

import gcauth


def test_one_renewal_for_all_threads(sandbox, session):
    old = session.bearer

    def work():
        session.report_rejected(old)
        return session.bearer

    bearers = in_threads(40, work)
    assert len(set(bearers)) == 1 and bearers[0].startswith("Bearer ") and bearers[0] != old
    assert sandbox.counter("refreshes") == 1


def test_each_thread_gets_the_text_that_it_asked_for():
    """However calls mix: text of one session is never that of another."""
    sessions = [gcauth.Session(config(), token=letter * (20 + 3000 * n)) for n, letter in enumerate("abcd")]

    def work():
        return all(
            session.bearer == "Bearer " + letter * (20 + 3000 * n) and session.token == letter * (20 + 3000 * n)
            for _ in range(300)
            for n, (letter, session) in enumerate(zip("abcd", sessions))
        )

    assert in_threads(8, work) == [True] * 8


def test_python_goes_on_during_calls(sandbox, session):
    """No call holds the GIL while it waits."""
    sandbox.fault("login", {"hold": {"at": "before-processing"}})
    thread = threading.Thread(target=session.login, args=LOGIN)
    thread.start()
    sandbox.wait_held()
    assert thread.is_alive()
    # Others have the token meanwhile.
    assert session.bearer
    sandbox.release()
    thread.join()


def test_closing_during_the_call_of_another_thread(sandbox):
    session = logged_in()
    handle = weakref.ref(session._handle)
    sandbox.fault("refresh", {"hold": {"at": "before-processing"}})
    outcome = []

    def work():
        try:
            outcome.append(session.refresh())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    sandbox.wait_held()
    session.close()
    with pytest.raises(ValueError, match="closed"):
        session.bearer
    assert handle() is not None
    sandbox.release()
    thread.join()
    assert outcome == [None]
    gc.collect()
    assert handle() is None


def test_closing_under_load(sandbox):
    for _ in range(20):
        session = gcauth.Session(config(), token="token")

        def work():
            try:
                while True:
                    session.bearer
            except ValueError:
                return "closed"

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        session.close()
        for thread in threads:
            thread.join()


def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_sessions_leave_no_memory_behind():
    def some(count):
        for _ in range(count):
            with gcauth.Session(config(), token="x" * 1000) as session:
                session.bearer
                session.to_json()
                with pytest.raises(gcauth.Error):
                    session.claims
        gc.collect()

    some(1000)
    before = memory()
    some(10000)
    # A session has some 10 KB.
    assert memory() - before < 10 * 2**20


def test_calls_leave_no_references_behind(session):
    def some():
        for _ in range(50):
            session.bearer
            session.token
            session.info()
            session.claims
            try:
                session.login("", "", "")
            except gcauth.Error:
                pass

    some()
    handle = session._handle
    gc.collect()
    blocks, references = sys.getallocatedblocks(), sys.getrefcount(handle)
    for _ in range(10):
        some()
    gc.collect()
    assert sys.getrefcount(handle) == references
    assert sys.getallocatedblocks() - blocks < 500


def test_a_session_is_freed_without_the_collector():
    gc.disable()
    try:
        session = gcauth.Session(config(), token="token")
        handle = weakref.ref(session._handle)
        del session
        assert handle() is None
    finally:
        gc.enable()


END = """
import gcauth, threading, sys
session = gcauth.Session()
session.login("ada", "lovelace", "analytical-engines")
thread = threading.Thread(target=session.refresh, daemon=sys.argv[1] == "daemon")
thread.start()
sys.stdin.readline()
"""


@pytest.mark.parametrize("kind", ["daemon", "joined"])
@pytest.mark.parametrize("moment", ["before-processing", "after-processing"])
def test_interpreter_ends_during_a_renewal(sandbox, kind, moment):
    import subprocess

    sandbox.fault("refresh", {"hold": {"at": moment}})
    process = subprocess.Popen(
        [sys.executable, "-c", END, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    sandbox.wait_held()
    process.stdin.write(b"\n")
    process.stdin.flush()
    if kind == "joined":
        time.sleep(0.3)
        assert process.poll() is None
        sandbox.release()
    output = process.communicate(timeout=120)
    assert (process.returncode, *output) == (0, b"", b"")


ANSWERED_AT_THE_END = """
import atexit, gcauth, os, sys, threading, urllib.request

session = gcauth.Session()
session.login("ada", "lovelace", "analytical-engines")

class Slow:
    "Its finalizer runs while the interpreter ends; meanwhile the answer comes, and the call of the thread goes on."
    def __del__(self, read=os.read, write=os.write):
        write(1, b"ending\\n")
        read(0, 100)

sys.slow = Slow()
threading.Thread(target=session.refresh, daemon=True).start()
sys.stdin.readline()
"""


def test_answer_comes_while_the_interpreter_ends(sandbox):
    """The library tells its log nothing then: Python would end the thread within the library, and with it the process."""
    import subprocess

    sandbox.fault("refresh", {"hold": {"at": "after-processing"}})
    process = subprocess.Popen(
        [sys.executable, "-c", ANSWERED_AT_THE_END], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    sandbox.wait_held()
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"ending\n"
    sandbox.release()
    wait_until(lambda: sandbox.counter("held") == 0)
    # Time for the answer to arrive; too little of it would let the test pass, never fail.
    time.sleep(0.5)
    process.stdin.write(b"\n")
    output = process.communicate(timeout=120)
    assert (process.returncode, *output) == (0, b"", b"")


def test_ctrl_c_is_not_lost_at_the_end_of_a_call(sandbox):
    """The log's lines come at the end of a call; what a signal's handler raises is not dropped there."""
    import signal
    import subprocess

    code = """
import gcauth
session = gcauth.Session()
print("ready", flush=True)
try:
    session.login("ada", "lovelace", "analytical-engines")
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("lost", flush=True)
"""
    sandbox.fault("login", {"hold": {"at": "before-processing"}})
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    sandbox.wait_held()
    process.send_signal(signal.SIGINT)
    sandbox.release()
    output = process.communicate(timeout=120)
    assert output == (b"interrupted\n", b"")


def test_subinterpreters_are_refused_or_safe():
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import gcauth
number = interpreters.create()
attempt = '''
try:
    import gcauth
except ImportError as error:
    import os
    os.write(1, str(error).encode())
else:
    os.write(1, b"taken")
'''
getattr(interpreters, "exec", None) or interpreters.run_string
(interpreters.run_string)(number, attempt)
"""
    if sys.version_info < (3, 8) or os.name != "posix":
        pytest.skip("no sub-interpreters")
    done = run_python(code)
    assert "sub-interpreter" in done.stdout
