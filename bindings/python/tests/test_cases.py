"""The table that the tests of all languages run; its head explains it."""

import pytest
from conftest import DIRECTORY, HTTPS, ROOT

import gcauth

CASES = ROOT / "tests" / "cases"
PLACES = {"@HTTPS@": HTTPS, "@CA@": f"{DIRECTORY}/ca.pem", "@DIR@": DIRECTORY, "@CASES@": str(CASES)}


def table():
    cases = {}
    for line in (CASES / "cases.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, *rest = line.split("\t")
            cases.setdefault(name, []).append(rest)
    return cases


class Case:
    def __init__(self, sandbox):
        self.sandbox, self.session, self.config, self.bearer = sandbox, None, None, None

    def make(self, call, text):
        if call == "sandbox":
            import json

            path, body = text.split(" ", 1)
            return self.sandbox.ask("POST", path, json.loads(body))
        for place, value in PLACES.items():
            text = text.replace(place, value)
        given = [None if part == "-" else part for part in text.split("|")] + [None] * 4
        session = self.session
        if call == "new":
            self.config = given[0]
            self.session = gcauth.Session(given[0], token=given[1], refresh_token=given[2])
        elif call == "login":
            session.login(*given[:4])
        elif call == "refresh":
            session.refresh(given[0])
        elif call == "report-rejected":
            session.report_rejected(self.bearer)
        elif call == "logout":
            session.logout()
        elif call == "bearer":
            before, self.bearer = self.bearer, session.bearer
            return "same" if self.bearer == before else "new"
        elif call == "env":
            return session.env
        elif call == "token-type":
            return session.token_type
        elif call == "project-id":
            return str(session.project_id)
        elif call == "decode-jwt":
            with open(given[0]) as file:
                session.verify(file.read())
        elif call == "export and go on":
            self.session = gcauth.Session.from_json(session.to_json(), self.config)
        elif call == "counter":
            return str(self.sandbox.counter(given[0]))
        else:
            raise AssertionError(f"the table has a call that is not known: {call}")

    def outcome(self, call, text):
        try:
            value = self.make(call, text)
        except gcauth.Error as error:
            return error.name.replace("GC_AUTH_", "", 1), str(error.http_status), str(int(error.retryable)), "-"
        return "OK", "0", "0", value if isinstance(value, str) else "-"


def test_the_table_is_there():
    assert sum(map(len, table().values())) > 80


@pytest.mark.parametrize("name", table())
def test_case(sandbox, name):
    case = Case(sandbox)
    for call, text, *expected in table()[name]:
        actual = case.outcome(call, text)
        # "-" is not compared.
        compared = tuple(a if e == "-" else e for e, a in zip(expected, actual))
        assert actual == compared, (call, text)
