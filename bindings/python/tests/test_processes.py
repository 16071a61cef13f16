"""Processes: fork and spawn, pools, one store for many."""

import concurrent.futures
import multiprocessing
import os
import time

import pytest
from conftest import config, logged_in, run_python

import gcauth


def bearer_of(store):
    return gcauth.Session(config(store=store)).bearer


def rejected_by(store, bearer):
    session = gcauth.Session(config(store=store))
    session.report_rejected(bearer)
    return session.bearer


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_pools_share_a_store(sandbox, tmp_path, way):
    store = f"file:{tmp_path}/session"
    session = logged_in(store=store)
    old = session.bearer
    context = multiprocessing.get_context(way)
    with context.Pool(4) as pool:
        assert set(pool.map(bearer_of, [store] * 8)) == {old}
        new = set(pool.starmap(rejected_by, [(store, old)] * 8))
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert set(pool.map(bearer_of, [store] * 4)) == new
    assert len(new) == 1 and new != {old} and new == {bearer_of(store)}
    assert sandbox.counter("refreshes") == 1 and sandbox.counter("reuses") == 0


def live(store, lifetimes, begun, answers):
    """Asks for bearers until so many different ones came."""
    session = gcauth.Session(config(store=store))
    begun.wait()
    seen = []
    while len(seen) <= lifetimes:
        bearer = session.bearer
        if bearer not in seen:
            seen.append(bearer)
        time.sleep(0.05)
    answers.put(seen)


def test_forty_processes_through_five_lifetimes(sandbox, tmp_path):
    """Five renewals for all of them."""
    store = f"file:{tmp_path}/session"
    sandbox.ask("POST", "token-life", {"seconds": 6})
    logged_in(store=store).close()
    context = multiprocessing.get_context("fork")
    begun, answers = context.Barrier(40), context.Queue()
    processes = [context.Process(target=live, args=(store, 5, begun, answers)) for _ in range(40)]
    for process in processes:
        process.start()
    seen = [answers.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 40
    counters = sandbox.ask("GET", "counters")
    different = {bearer for one in seen for bearer in one}
    # Who began late may have missed the first ones; each renewal's token was seen by all from then on.
    assert counters["refreshes"] == len(different) - 1 == max(map(len, seen)) - 1
    assert counters["reuses"] == counters["refreshes_refused"] == 0


def test_child_without_a_store(sandbox, session):
    """It may hand out what it inherited, and not spend what is its parent's."""
    bearer = session.bearer
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            assert session.bearer == bearer
            session.report_rejected(bearer)
            try:
                session.refresh()
            except gcauth.ForkedError as error:
                os.write(write, str(error).encode())
            session.login("ada", "lovelace", "analytical-engines")
            session.refresh()
            session.close()
            os._exit(0)
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    assert os.waitpid(child, 0)[1] == 0, said
    assert "store" in said
    session.refresh()
    assert session.bearer and sandbox.counter("reuses") == 0


def test_fork_in_the_middle_of_other_threads_calls(sandbox, tmp_path):
    import threading

    session = logged_in(store=f"file:{tmp_path}/session")
    stop = threading.Event()

    def work():
        while not stop.is_set():
            session.bearer
            session.info()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(0 if session.bearer and session.refresh_token else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_where_the_library_is():
    failed = run_python("import gcauth", check=False, GCAUTH_LIBRARY="/nowhere/libgcauth.so")
    assert "ImportError" in failed.stderr and "/nowhere/libgcauth.so" in failed.stderr and "GCAUTH_LIBRARY" in failed.stderr
    failed = run_python("import gcauth", check=False, GCAUTH_LIBRARY="libm.so.6")
    assert "ImportError: libm.so.6 has no gc_auth_new" in failed.stderr


def test_library_of_the_system(tmp_path):
    library = os.path.realpath(gcauth.library_path)
    os.symlink(library, str(tmp_path / "libgcauth.so.0"))
    code = "import gcauth; print(gcauth.library_path, gcauth.__version__)"
    done = run_python(code, GCAUTH_LIBRARY="", LD_LIBRARY_PATH=str(tmp_path))
    assert done.stdout.split() == ["libgcauth.so.0", gcauth.__version__]
