"""Pictures fetched from a real server on this machine, which the settings allow."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from recpipe import addresses, delta
from recpipe.arriving import ingest_lock
from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.fetch_images import fetch_images
from recpipe.settings import CHECKOUT, ImageSettings
from recpipe.tables import ARRIVALS, IMAGES, ITEMS, REJECTED_ROWS
from tests.lakes import empty_lake
from tests.pictures import gif, png
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, item

FAST = {"delay_seconds": 0, "longest_wait_seconds": 0.05, "picture_seconds": 2, "max_bytes": 5000}


class Shop(BaseHTTPRequestHandler):
    """A picture host; the first part of a path says how it behaves."""

    protocol_version = "HTTP/1.1"
    asked: Counter[str]
    headers_seen: list
    now: Counter[str]
    under_way: list

    def do_GET(self):
        self.asked[self.path] += 1
        self.headers_seen.append(self.headers)
        getattr(self, self.path.split("/")[1])()

    def held(self):
        self.now["held"] += 1
        self.under_way.append(self.now["held"])
        time.sleep(0.05)
        self.now["held"] -= 1
        self.send(png())

    def send(self, content, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content_Length": len(content), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    def png(self):
        self.send(png())

    def gif(self):
        self.send(gif())

    def missing(self):
        self.send(b"gone", 404)

    def forbidden(self):
        self.send(b"no", 403)

    def page(self):
        self.send(b"<html>" + b"x" * 1000)

    def slow_page(self):
        """Told by its first bytes; the rest is not waited for."""
        self.send(b"<html><head></head>", Content_Length=4000)
        self.drip(b"x", 0.1)

    def empty(self):
        self.send(b"")

    def large(self):
        self.send(png() + b"x" * 6000)

    def endless(self):
        self.close_connection = True
        self.send(png(), Content_Length=None)
        self.drip(b"x" * 1000, 0)

    def slow(self):
        self.send(png()[:20], Content_Length=4000)
        self.drip(b"x", 0.1)

    def slow_headers(self):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.drip(b"x", 0.1)

    def drip(self, content, seconds):
        for _ in range(200):
            try:
                self.wfile.write(content)
            except OSError:
                return
            time.sleep(seconds)

    def cut(self):
        self.close_connection = True
        self.send(png(), Content_Length=4000)

    def to(self):
        self.send(b"", 302, Location=self.path.removeprefix("/to/"))

    def round(self):
        self.send(b"", 302, Location="/round/1")

    def busy(self):
        """Busy for the first time, then fine."""
        if self.asked[self.path] > 1:
            self.send(png())
        else:
            self.send(b"", 429, Retry_After=self.path.split("/")[2])

    def failing(self):
        self.send(b"", 500)

    def log_message(self, *_):
        pass


@pytest.fixture
def shop():
    handler = type("Shop", (Shop,), {"asked": Counter(), "headers_seen": [], "now": Counter(), "under_way": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    handler.address = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def home(tmp_path):
    """A lake whose Monday is sealed."""
    empty_lake(tmp_path / "lake")
    delta.append(tmp_path / "lake", ARRIVALS, [arrival()])
    return tmp_path


def name_pictures(home, urls, arrived_on=MONDAY):
    rows = [item(item_id, None, image_url=url, arrived_on=arrived_on) for item_id, url in urls.items()]
    delta.append(home / "lake", ITEMS, rows)


def fetch(home, arrived_on=None, limit=None, **settings):
    settings = ImageSettings(**{**FAST, "allowed_hosts": ["127.0.0.1"], **settings})
    return fetch_images(home / "landing", home / "lake", settings, arrived_on, limit)


def pictures(home):
    return {
        str(path.relative_to(home / "landing" / "images")): path.read_bytes()
        for path in (home / "landing" / "images").rglob("[!_.]*.*")
        if path.is_file()
    }


def listed(home):
    lines = (home / "landing" / "images" / "_fetched.jsonl").read_text().splitlines()
    return {entry["item_id"]: entry["result"] for entry in map(json.loads, lines)}


def refused(home, shop, path, **settings):
    """Why the one picture at ``path`` is not to be had; nothing of it lies anywhere."""
    name_pictures(home, {"I1": f"{shop.address}{path}"})
    done = fetch(home, **settings)
    assert (done.fetched, pictures(home)) == (0, {})
    [(reason, pictures_refused)] = done.refused.items()
    assert pictures_refused == 1
    return reason


def test_pictures_land_on_the_first_day_that_is_not_sealed_under_their_items_names(home, shop):
    name_pictures(home, {"I1": f"{shop.address}/png", "B0/2": f"{shop.address}/gif", "I3": None})
    done = fetch(home)
    assert pictures(home) == {"arrived_on=2024-01-02/I1.png": png(), "arrived_on=2024-01-02/B0%2F2.gif": gif()}
    assert (done.arrived_on, done.fetched, done.bytes) == (TUESDAY, 2, len(png()) + len(gif()))
    assert listed(home) == {"I1": "fetched", "B0/2": "fetched"}
    assert all(headers["User-Agent"] == "recpipe" for headers in shop.headers_seen)


def test_the_newest_address_of_an_item_counts(home, shop):
    name_pictures(home, {"I1": f"{shop.address}/missing", "I2": f"{shop.address}/png"})
    name_pictures(home, {"I1": f"{shop.address}/png/new", "I2": None}, arrived_on=TUESDAY)
    assert fetch(home).fetched == 1
    assert shop.asked == {"/png/new": 1}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "not_found"),
        ("/forbidden", "http_403"),
        ("/page", "not_a_picture"),
        ("/slow_page", "not_a_picture"),
        ("/empty", "not_a_picture"),
        ("/large", "too_large"),
        ("/endless", "too_large"),
        ("/round/0", "too_many_redirects"),
        ("/to/file:///etc/passwd", "bad_address"),
        ("/to/http://user:word@127.0.0.1/", "bad_address"),
        ("/to/http://localhost/", "private_address"),
        ("/to/http://169.254.169.254/latest", "private_address"),
        ("/to/http://2130706433/", "private_address"),
        ("/to/https://[::ffff:10.0.0.1]/", "private_address"),
        ("/to/http://10.0.0.1:8080/", "forbidden_port"),
    ],
)
def test_what_is_refused_for_good_is_asked_for_once(home, shop, path, reason):
    assert refused(home, shop, path) == reason
    asked = shop.asked.copy()
    again = fetch(home)
    assert (again.refused_before, again.refused, shop.asked) == (1, {}, asked)


@pytest.mark.parametrize(
    ("path", "reason", "times"),
    [
        ("/failing", "server_error", 2),
        ("/cut", "bad_answer", 2),
        ("/to/http://[::1", "bad_answer", 2),
        ("/busy/9", "busy", 1),
    ],
)
def test_a_host_in_trouble_is_asked_again_within_bounds_and_in_the_next_fetch(home, shop, path, reason, times):
    assert refused(home, shop, path, retries=1) == reason
    assert shop.asked == {path: times}
    assert listed(home) == {}
    fetch(home, retries=0)
    assert shop.asked == {path: times + 1}


@pytest.mark.parametrize("path", ["/slow", "/slow_headers"])
def test_a_host_that_never_ends_is_left_when_its_time_is_over(home, shop, path):
    started = time.monotonic()
    assert refused(home, shop, path, picture_seconds=0.4, retries=0) == "timed_out"
    assert time.monotonic() - started < 2


def test_a_busy_host_is_asked_again_when_it_said_and_not_before(home, shop):
    name_pictures(home, {"I1": f"{shop.address}/busy/1"})
    started = time.monotonic()
    assert fetch(home, longest_wait_seconds=2).fetched == 1
    assert time.monotonic() - started > 1
    assert shop.asked == {"/busy/1": 2}


def test_a_host_that_wants_to_be_left_alone_for_long_is_not_asked_for_the_rest(home, shop):
    name_pictures(home, {f"I{n}": f"{shop.address}/busy/3600/{n}" for n in range(30)})
    done = fetch(home, connections_a_host=1)
    assert (done.refused, shop.asked.total()) == ({"busy": 30}, 1)


def test_without_leave_this_machine_is_not_asked(home, shop):
    assert refused(home, shop, "/png", allowed_hosts=["10.0.0.1"]) == "forbidden_port"
    assert shop.asked == {}


def test_a_name_is_looked_up_once_and_the_checked_address_is_asked_in_its_name(home, shop, monkeypatch):
    """A name that turns to a private address after it was checked leads nowhere."""
    lookups = []

    async def resolves(origin, allowed):
        lookups.append(origin.host)
        return ["127.0.0.1"]

    monkeypatch.setattr("recpipe.fetching.checked_addresses", resolves)
    port = shop.address.rpartition(":")[2]
    name_pictures(home, {"I1": f"http://pictures.test:{port}/png"})
    assert fetch(home, allowed_hosts=["pictures.test"]).fetched == 1
    assert lookups == ["pictures.test"]
    assert [headers["Host"] for headers in shop.headers_seen] == [f"pictures.test:{port}"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        *[(address, False) for address in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254")],
        *[(address, False) for address in ("100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255")],
        *[(address, False) for address in ("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1")],
        *[(address, False) for address in ("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1")],
    ],
)
def test_only_addresses_of_the_internet_are_public(address, public):
    assert addresses.is_public(address) is public


def test_what_is_there_is_not_asked_for(home, shop):
    name_pictures(home, {f"I{n}": f"{shop.address}/png/{n}" for n in range(4)})
    row = {"arrived_on": MONDAY, "item_id": "I0", "file": "I0.png", "sha256": "0", "format": "png"}
    delta.append(home / "lake", IMAGES, [{**row, "width": 1, "height": 1, "bytes": 1}])
    for day, name in (("2024-01-02", "I1.JPG"), ("2024-01-01", "I2.png")):  # I2's came too late and is not read
        path = home / "landing" / "images" / f"arrived_on={day}" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(png())
    done = fetch(home)
    assert (done.there, done.fetched, sorted(shop.asked)) == (2, 2, ["/png/2", "/png/3"])


def test_a_fetched_picture_that_ingest_rejected_is_asked_for_only_at_another_address(home, shop):
    name_pictures(home, {"I1": f"{shop.address}/png"})
    fetch(home)
    row = {"arrived_on": TUESDAY, "kind": "images", "file": "I1.png", "line_number": 1, "origin": "I1.png"}
    delta.append(
        home / "lake", REJECTED_ROWS, [{**row, "origin_line": 1, "reason": "broken_picture", "line_hash": "0"}]
    )
    delta.append(home / "lake", ARRIVALS, [arrival(arrived_on=TUESDAY, kind="images", file="images")])
    assert fetch(home).refused_before == 1
    name_pictures(home, {"I1": f"{shop.address}/gif"}, arrived_on=TUESDAY)
    assert fetch(home).fetched == 1


def test_a_limit_leaves_the_rest_for_the_next_fetch(home, shop):
    name_pictures(home, {f"I{n}": f"{shop.address}/png/{n}" for n in range(5)})
    first = fetch(home, limit=2)
    assert (first.fetched, first.left) == (2, 3)
    second = fetch(home, most_fetched=2)
    assert (second.fetched, second.there, second.left) == (2, 2, 1)
    assert fetch(home, total_seconds=1e-9).left == 1
    assert fetch(home).fetched == 1
    assert shop.asked.total() == 5


def test_a_fetch_that_was_killed_goes_on_where_it_was(home, shop):
    name_pictures(home, {f"I{n}": f"{shop.address}/held/{n}" for n in range(30)})
    name_pictures(home, {"A": f"{shop.address}/missing", "B": f"{shop.address}/slow"})
    variables = {"RECPIPE_HOME": str(home), "RECPIPE_IMAGES__ALLOWED_HOSTS": '["127.0.0.1"]'}
    command = [sys.executable, "-c", "from recpipe.cli import main; main()", "fetch-images"]
    with subprocess.Popen(command, env={**os.environ, **variables}, cwd=CHECKOUT) as killed:
        while len(pictures(home)) < 3 and killed.poll() is None:
            time.sleep(0.01)
        killed.kill()
    there, asked = len(pictures(home)), shop.asked.copy()
    assert 3 <= there < 30
    with (home / "landing" / "images" / "_fetched.jsonl").open("a") as state:
        state.write('{"item_id": "I4", "ur')  # a line that the kill cut off
    done = fetch(home, picture_seconds=2, retries=0)
    assert (done.there, done.fetched, done.refused_before, done.refused) == (there, 30 - there, 1, {"timed_out": 1})
    assert set(pictures(home)) == {f"arrived_on=2024-01-02/I{n}.png" for n in range(30)}
    assert set(pictures(home).values()) == {png()}
    twice = {path for path, times in shop.asked.items() if times > 1}
    assert len(twice - {"/slow"}) <= 2  # those that were under way
    assert asked.total() < shop.asked.total()
    assert not (home / "landing" / "images" / ".fetching").exists()


def test_a_host_is_asked_by_few_connections_and_with_pauses(home, shop):
    name_pictures(home, {f"I{n}": f"{shop.address}/held/{n}" for n in range(8)})
    assert fetch(home, connections_a_host=2).fetched == 8
    assert max(shop.under_way) == 2


def test_requests_to_a_host_start_with_pauses_between(home, shop):
    name_pictures(home, {f"I{n}": f"{shop.address}/png/{n}" for n in range(6)})
    started = time.monotonic()
    assert fetch(home, delay_seconds=0.05).fetched == 6
    assert time.monotonic() - started > 5 * 0.05


def test_a_sealed_day_is_refused(home):
    with pytest.raises(UserError, match="expected a day after 2024-01-01"):
        fetch(home, arrived_on=MONDAY)


@pytest.mark.parametrize("is_sealed_meanwhile", [False, True])
def test_pictures_that_are_fetched_during_an_ingest_land_after_it_on_an_open_day(home, shop, is_sealed_meanwhile):
    name_pictures(home, {"I1": f"{shop.address}/png"})
    with ThreadPoolExecutor() as threads:
        with ingest_lock(home / "lake"):
            fetching = threads.submit(fetch, home)
            with suppress(TimeoutError):
                fetching.result(1)
            assert listed(home) == {"I1": "fetched"}
            assert not list((home / "landing" / "images").glob("arrived_on=*"))
            if is_sealed_meanwhile:
                delta.append(home / "lake", ARRIVALS, [arrival(arrived_on=TUESDAY, kind="none", file="")])
        done = fetching.result(30)
    day = WEDNESDAY if is_sealed_meanwhile else TUESDAY
    assert pictures(home) == {f"arrived_on={day}/I1.png": png()}
    assert done.arrived_on == day
    assert ("2024-01-02 was sealed meanwhile" in str(done)) == is_sealed_meanwhile


def test_what_was_fetched_lands_though_the_fetch_fails(home, shop, monkeypatch):
    name_pictures(home, {"I1": f"{shop.address}/png", "I2": f"{shop.address}/gif"})
    monkeypatch.setattr(
        "recpipe.fetch_images.file_name", lambda item_id, _: {"I1": "I1.png", "I2": "no/I2.gif"}[item_id]
    )
    with pytest.raises(UserError, match="expected to write into"):
        fetch(home, connections=1)
    assert list(pictures(home)) == ["arrived_on=2024-01-02/I1.png"]


def test_a_second_fetch_at_the_same_time_is_refused(home):
    folder = home / "landing" / "images"
    folder.mkdir(parents=True)
    take = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); input()"
    )
    command = [sys.executable, "-c", take, str(folder / ".fetching.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        first.stdout.readline()
        with pytest.raises(UserError, match="found one running"):
            fetch(home)
        first.communicate(b"\n")
    assert fetch(home).fetched == 0


def test_nothing_taken_in_yet_says_what_to_do(tmp_path):
    empty_lake(tmp_path / "lake")
    with pytest.raises(UserError, match="found nothing taken in yet; land metadata"):
        fetch(tmp_path)


def test_the_command_tells_its_counts_and_that_some_were_not_to_be_had(home, shop, monkeypatch):
    name_pictures(home, {"I1": f"{shop.address}/png", "I2": f"{shop.address}/missing", "I3": f"{shop.address}/gif"})
    monkeypatch.setenv("RECPIPE_HOME", str(home))
    monkeypatch.setenv("RECPIPE_IMAGES__ALLOWED_HOSTS", '["127.0.0.1"]')
    done = CliRunner().invoke(app, ["fetch-images", "--arrived-on", "2024-01-03", "--limit", "2"])
    assert (done.exit_code, done.output) == (
        0,
        f"1 pictures fetched for 2024-01-03 ({len(png())} bytes); 0 there already; 1 not to be had: 1 not_found; "
        "1 left for the next fetch\n",
    )
    done = CliRunner().invoke(app, ["fetch-images", "--json"])
    assert json.loads(done.output) == {
        "arrived_on": str(TUESDAY),
        "fetched": 1,
        "bytes": len(gif()),
        "there": 1,
        "refused_before": 1,
        "left": 0,
        "refused": {},
        "sealed_meanwhile": None,
    }
    assert WEDNESDAY.isoformat() in str(pictures(home))
