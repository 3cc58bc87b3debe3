import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from recpipe import airflow_api
from recpipe.airflow_api import Api, ApiError
from recpipe.errors import UserError


class Answers(BaseHTTPRequestHandler):
    """Gives the prepared answers in turn; a login always succeeds, with another token each time."""

    prepared: ClassVar[list[tuple[int, dict]]]
    asked: ClassVar[list[str]]

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}".strip())
        logins = sum("/auth/token" in line for line in self.asked)
        status, body = (201, {"access_token": f"t{logins}"}) if "/auth/token" in self.path else self.prepared.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


for method in ("GET", "POST"):
    setattr(Answers, f"do_{method}", Answers.answer)


@pytest.fixture
def api(monkeypatch) -> Iterator[Api]:
    monkeypatch.setattr(airflow_api.time, "sleep", lambda _: None)
    Answers.prepared, Answers.asked = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Api(server.server_port, "admin", "secret")
    server.shutdown()
    server.server_close()


def test_a_call_logs_in_once(api):
    Answers.prepared = [(200, {"a": 1}), (200, {"b": 2})]
    assert api.call("GET", "dags", "x y", limit=3) == {"a": 1}
    assert api.call("POST", "pools", body={"name": "p"}) == {"b": 2}
    assert Answers.asked == [
        "POST /auth/token",
        "GET /api/v2/dags/x%20y?limit=3 Bearer t1",
        "POST /api/v2/pools Bearer t1",
    ]


def test_an_expired_login_is_renewed(api):
    Answers.prepared = [(401, {"detail": "expired"}), (200, {"a": 1})]
    assert api.call("GET", "dags") == {"a": 1}
    assert Answers.asked[-1].endswith("Bearer t2")


def test_a_locked_database_is_waited_for(api):
    Answers.prepared = [(503, {"detail": "Database is locked"})] * 3 + [(200, {"id": 7})]
    assert api.call("POST", "backfills", body={}) == {"id": 7}


def test_one_that_stays_locked_is_an_error_in_the_end(api):
    Answers.prepared = [(503, {"detail": "Database is locked"})] * 100
    with pytest.raises(ApiError, match="still locked"):
        api.call("POST", "backfills", body={})


def test_a_refusal_is_told_in_airflows_words(api):
    Answers.prepared = [(409, {"detail": "There is already a running backfill"}), (422, {"detail": [{"msg": "bad"}]})]
    with pytest.raises(ApiError, match="already a running backfill") as refusal:
        api.call("POST", "backfills", body={})
    assert refusal.value.status == 409
    with pytest.raises(ApiError, match="bad"):
        api.call("POST", "backfills", body={})


def test_a_list_is_read_to_its_last_page(api):
    pages = [
        (200, {"rows": list(range(start, min(start + 100, 230))), "total_entries": 230}) for start in (0, 100, 200)
    ]
    Answers.prepared = list(pages)
    assert list(api.pages("dags", key="rows")) == list(range(230))
    assert [line.split("offset=")[1].split()[0] for line in Answers.asked[1:]] == ["0", "100", "200"]


def test_an_airflow_that_does_not_answer_is_one_line_for_the_user():
    with pytest.raises(
        UserError, match=r"expected Airflow at http://127.0.0.1:9, found: .*; start it with `recpipe up`"
    ):
        Api(9, "admin", "secret").call("GET", "dags")
