"""Airflow's REST API on this machine, as far as recpipe needs it."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from recpipe.airflow_setup import DAG_ID, POOL
from recpipe.errors import UserError

_LOCKED_TRIES = 30
_READ_SECONDS = 120
_PAGE = 100


class ApiError(UserError):
    """Airflow refused a call, or did not answer (status 0)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status

    @property
    def is_refusal(self) -> bool:
        """Whether asking again is in vain; else Airflow was busy, or something is broken for a while."""
        return 400 <= self.status < 500


class Api:
    """A session: logs in at the first call, and again when the login has expired."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        # past any proxy, since it is this machine; a connection a call, since a kept one may be closed at the other end
        once = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=60, limits=once)
        self._login = {"username": user, "password": password}
        self._token: str | None = None

    def call(self, method: str, *path: str, body: Mapping[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """The answer to a call of `/api/v2/PATH`. Waits while SQLite is locked.

        Raises:
            ApiError: the call was refused, or nothing answers.
        """
        address = "/api/v2/" + "/".join(quote(part, safe="") for part in path)
        for _ in range(_LOCKED_TRIES):
            if self._token is None:
                self._token = self._send("POST", "/auth/token", json=self._login)["access_token"]
            try:
                return self._send(method, address, json=body, params=query)
            except ApiError as error:
                if error.status == 401:
                    self._token = None
                elif error.status != 503:
                    raise
                else:
                    time.sleep(1)
        raise ApiError(503, f"{address} is still locked after {_LOCKED_TRIES} tries")

    def health(self) -> dict[str, Any]:
        """How Airflow's parts are; needs no login.

        Raises:
            ApiError: nothing answers.
        """
        return self._send("GET", "/api/v2/monitor/health")

    def pages(self, *path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every entry of a list that Airflow gives page by page."""
        offset, total = 0, 1
        while offset < total:
            page = self.call("GET", *path, limit=_PAGE, offset=offset, **query)
            total = page["total_entries"]
            offset += _PAGE
            yield from page[key]

    def _send(self, method: str, address: str, **rest: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            answer = self._client.request(method, address, headers=headers, **rest)
        except httpx.RequestError as error:
            raise ApiError(0, f"expected Airflow at {self.url}, found: {error!r}; start it with `recpipe up`") from None
        if answer.is_error:
            raise ApiError(answer.status_code, _detail(answer.content))
        return json.loads(answer.content or b"{}")


def _detail(answer: bytes) -> str:
    """What a refusal says; Airflow says it as text, or as a list of faults."""
    try:
        detail = json.loads(answer)["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")[:300]
    return detail if isinstance(detail, str) else json.dumps(detail)


def is_healthy(api: Api, component: str, since: datetime) -> bool:
    """Whether the component has given a sign of life after ``since``; an older one is a dead predecessor's."""
    try:
        health = api.health()
    except ApiError:
        return False
    if component == "api-server":
        return True
    part = component.replace("-", "_")
    beat = health[part][f"latest_{part}_heartbeat"]
    return health[part]["status"] == "healthy" and datetime.fromisoformat(beat) >= since


def create_pool(api: Api) -> None:
    """See to the one slot for which the DAG's tasks wait; without it they would wait for ever."""
    pool = {"name": POOL, "slots": 1, "description": "One task at a time.", "include_deferred": False}
    try:
        api.call("POST", "pools", body=pool)
    except ApiError as error:
        if error.status != 409:  # there already: leave it as the operator may have changed it
            raise


def require_dag(api: Api, since: datetime) -> None:
    """Wait until Airflow has read the DAG after ``since``.

    Raises:
        UserError: the DAG cannot be read.
    """
    deadline = time.monotonic() + _READ_SECONDS
    while time.monotonic() < deadline:
        for fault in api.pages("importErrors", key="import_errors"):
            if datetime.fromisoformat(fault["timestamp"]) >= since:
                found = fault["stack_trace"].strip().rpartition("\n")[2]
                raise UserError(
                    f"expected a DAG in {fault['filename']}, found: {found}; {api.url} shows the whole text"
                )
        with suppress(ApiError):
            read_at = api.call("GET", "dags", DAG_ID)["last_parsed_time"]
            if datetime.fromisoformat(read_at) >= since:
                return
        time.sleep(0.5)
    raise UserError(f"expected Airflow to read the DAG {DAG_ID} within {_READ_SECONDS} s, found that it did not")
