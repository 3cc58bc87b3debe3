"""What the command line says of days that are stopped, accepted or land again; the rest is tested end to end."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recpipe import delta, demo, environments
from recpipe.arriving import arriving_files
from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.intake import Intake
from recpipe.job_lock import job_under_way
from recpipe.rejects import RejectLimit
from recpipe.tables import ARRIVALS, RECOMMENDATIONS, RUNS
from tests.lakes import empty_lake
from tests.pictures import png
from tests.raw_lines import landed, review_2023, write_lines
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, attempt, recommendation


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))
    empty_lake(tmp_path / "lake")
    return tmp_path


@pytest.fixture
def no_airflow(monkeypatch):
    """A demo that should be refused and is not would start it."""
    monkeypatch.setattr(demo.airflow_backfill, "backfill", lambda *_, **__: 1)


def recpipe(*arguments):
    return CliRunner().invoke(app, arguments, catch_exceptions=False).output


def state_of_tuesday():
    return json.loads(recpipe("status", "--json"))["days"][0]["state"]


def test_a_stopped_day_is_shown_accepted_and_shown_again(home):
    landed(home / "landing", "reviews", "2024-01-02", "r.json", review_2023())
    outcomes = [
        (TUESDAY, "reviews", "r.json", "accepted", None, None, 348, [1]),
        (TUESDAY, "reviews", "r.json", "rejected", "bad_rating", None, 52, [17, 20, 31, 40, 41]),
    ]
    stopped = Intake.of(arriving_files(home / "landing", set(), TUESDAY), outcomes)
    with pytest.raises(UserError):
        RejectLimit(0.01, home / "reports", home / "landing").require_few_rejects(stopped)
    assert state_of_tuesday() == (
        f"stopped: 52 of 400 rejected, see {home / 'reports' / 'quality' / '2024-01-02.json'}"
    )
    said = recpipe("accept", "2024-01-02")
    assert "2024-01-02: 52 of 400 lines rejected" in said
    assert "17, 20, 31, 40, 41" in said
    assert "Run the night again: `recpipe run night --ds 2024-01-02`" in said
    assert state_of_tuesday() == "accepted: 52 of 400 rejected, to be run again"
    with pytest.raises(UserError, match="expected a day such as"):
        recpipe("accept", "yesterday")


def test_what_a_shop_wrote_is_shown_and_neither_obeyed_nor_taken_for_markup(home):
    said = recpipe("query", "select chr(27) || ']0;gone' || chr(7) || '[red]title' as \"[/b]\"")
    assert "[/b]" in said
    assert " ]0;gone [red]title" in said
    assert "\x1b" not in said
    delta.append(home / "lake", RECOMMENDATIONS, [recommendation("u[/b]", 1, "i")])
    assert "Recommendations for u[/b], as of" in recpipe("show", "u[/b]", "--ds", str(MONDAY))


def test_columns_of_one_name_are_not_lost_in_json(home):
    with pytest.raises(UserError, match="expected columns of different names, found two named a"):
        recpipe("query", "select 1 as a, 2 as a", "--json")


def test_landing_a_file_that_the_lake_has_is_said_at_once(home):
    file = write_lines(home / "again.json", review_2023())
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    delta.append(home / "lake", ARRIVALS, [arrival(arrived_on=MONDAY, sha256=sha256)])
    assert recpipe("land", str(file), "--format", "amazon-2023", "--arrived-on", "2024-01-02").splitlines() == [
        "again.json: 1 lines of reviews (amazon-2023) on 2024-01-02",
        "again.json of 2024-01-02: had arrived as 2024-01-01/a.json; it will not be read again",
    ]


def test_a_shop_lands_today_what_the_night_after_takes_in(home):
    today = datetime.now(UTC).date()
    delta.append(home / "lake", ARRIVALS, [arrival(arrived_on=today - timedelta(days=1))])
    file = write_lines(home / "r.json", review_2023())
    assert recpipe("land", str(file), "--format", "amazon-2023", "--arrived-on", str(today)) == (
        f"r.json: 1 lines of reviews (amazon-2023) on {today}; 1 of them wait for days that are not over, to {today}\n"
    )
    assert f"0 pictures fetched for {today}" in recpipe("fetch-images", "--arrived-on", str(today))


@pytest.mark.parametrize("format_", ["amazon-2023", "images"])
def test_nothing_lands_in_the_demo_s_made_up_shop(home, monkeypatch, format_):
    monkeypatch.setattr(demo, "write_sample", lambda *_: "none")
    monkeypatch.setattr(demo.airflow_backfill, "backfill", lambda *_, **__: 1)
    with pytest.raises(UserError, match="expected 3 good nights"):
        recpipe("demo")
    file = write_lines(home / "r.json", review_2023())
    with pytest.raises(UserError, match=r"found a made-up shop in .*; name another place: export RECPIPE_HOME"):
        recpipe("land", str(file), "--format", format_, "--arrived-on", "2024-01-02")
    assert not (home / "landing").exists()


@pytest.mark.parametrize("command", ["sample", "demo"])
def test_no_made_up_shop_is_mixed_into_one_s_own(home, no_airflow, command):
    own = str(write_lines(home / "r.json", review_2023()))
    recpipe("land", own, "--format", "amazon-2023", "--arrived-on", "2024-01-02")
    with pytest.raises(UserError, match=r"expected a new place for a made-up shop, found files in .*; name another"):
        recpipe(command)
    assert [file.name for file in (home / "landing").rglob("*.json")] == ["r.json"]


@pytest.mark.parametrize("command", ["sample", "demo"])
@pytest.mark.parametrize("what", ["days", "pictures"])
def test_no_made_up_shop_is_mixed_into_one_of_which_only_days_or_pictures_are_left(home, no_airflow, command, what):
    if what == "days":
        delta.append(home / "lake", ARRIVALS, [arrival()])
    else:
        landed(home / "landing", "images", "2024-01-02", "I1.png", png())
    with pytest.raises(UserError, match=r"expected a new place for a made-up shop, found .*; name another"):
        recpipe(command)


def test_a_made_up_shop_is_written_anew_where_one_is(home):
    sizes = "--users", "100", "--items", "100"
    assert recpipe("sample", *sizes) == recpipe("sample", *sizes)


def test_status_says_why_a_day_failed_and_what_mends_it(home):
    traceback = "Traceback (most recent call last):\n  File a.py\nValueError: no such thing"
    rows = [attempt(MONDAY, "embed", "failed", message=traceback), attempt(WEDNESDAY, "ingest_reviews", "running")]
    delta.append(home / "lake", RUNS, rows)
    with job_under_way(home / "lake"):
        lines = recpipe("status").splitlines()
        assert json.loads(recpipe("status", "--json"))["mend"] == ["make backfill FROM=2024-01-01 TO=2024-01-02"]
    assert "2024-01-01 embed: ValueError: no such thing" in lines
    assert "To mend: make backfill FROM=2024-01-01 TO=2024-01-02" in lines
    assert lines[-1] == ("If nothing works on 2024-01-03 any more, it was killed: recpipe run night --ds 2024-01-03")
    assert recpipe("status").splitlines()[-1] == "To mend: make backfill FROM=2024-01-01 TO=2024-01-03"


def test_files_that_showed_up_in_a_sealed_day_are_named_by_status_and_doctor(home):
    delta.append(home / "lake", ARRIVALS, [arrival(arrived_on=TUESDAY, file="r.json")])
    landed(home / "landing", "reviews", "2024-01-02", "r.json", review_2023())
    assert json.loads(recpipe("status", "--json"))["not_read"] == []
    assert "not read" not in recpipe("status") + recpipe("doctor")
    late = landed(home / "landing", "items", "2024-01-02", "late.json", b"{}")
    said = "not read, since their day was sealed before they showed up: items/arrived_on=2024-01-02/late.json"
    assert json.loads(recpipe("status", "--json"))["not_read"] == [str(late)]
    assert f"{said}; land them on a day to come, or take them away" in recpipe("status").splitlines()
    checks = {check["name"]: check for check in json.loads(recpipe("doctor", "--json"))}
    assert (checks["landing folder"]["good"], checks["landing folder"]["found"]) == (False, said)
    (home / "landing" / "items" / "odd").mkdir()
    checks = {check["name"]: check for check in json.loads(recpipe("doctor", "--json"))}
    assert "rename or move it" in checks["landing folder"]["mend"]


@pytest.mark.parametrize(("options", "told"), [(["--full-refresh"], "true"), ([], "None")])
def test_a_full_refresh_is_a_setting_of_the_jobs_process(home, monkeypatch, options, told):
    code = "import os, sys; open(sys.argv[1], 'w').write(str(os.environ.get('RECPIPE_FULL_REFRESH')))"
    command = [sys.executable, "-c", code, str(home / "told")]
    monkeypatch.setattr(environments, "job_command", lambda *_: command)
    recpipe("run", "build_features", "--ds", "2024-01-01", *options)
    assert (home / "told").read_text() == told


def test_json_is_json_whatever_a_query_gives(home):
    def constant(name):
        raise AssertionError(f"{name} is no JSON")

    asked = "select 'nan'::double as a, ['inf'::float, 1.5] as b, 'x'::blob as c, {'d': '-inf'::double} as e, "
    asked += f"map([date '2024-01-02'], [timestamp '2024-01-02 03:04:05']) as f, {10**30}::hugeint as g"
    [row] = json.loads(recpipe("query", asked, "--json"), parse_constant=constant)
    assert row["f"] == {"2024-01-02": "2024-01-02 03:04:05"}
    assert [row[name] for name in "abceg"] == [None, [None, 1.5], "78", {"d": None}, 10**30]


def refused(*arguments, **variables):
    """The line with which a command of its own ends."""
    command = [sys.executable, "-c", "from recpipe.cli import main; main()", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    return line


def test_what_is_not_utf8_is_refused_in_one_line(home):
    for arguments in (("show", b"\xff"), ("query", b"select '\xff'")):
        assert refused(*arguments).startswith("recpipe: expected arguments in UTF-8, found ")
    assert "expected a RECPIPE_HOME in UTF-8" in refused("status", RECPIPE_HOME=os.fsdecode(bytes(home) + b"/\xff"))


def test_a_data_file_that_is_found_broken_only_when_it_is_read_is_refused_in_one_line(home):
    for day in (MONDAY, TUESDAY):
        delta.append(home / "lake", RECOMMENDATIONS, [recommendation("ann", 1, "a", ds=day)])
    broken = Path(delta.snapshot_files(home / "lake", RECOMMENDATIONS)[-1])
    broken.write_bytes(broken.read_bytes()[:50])
    delta.connect(home / "lake", [RECOMMENDATIONS])
    assert "whole, found Invalid Input Error: " in refused("show", "ann", "--ds", str(TUESDAY))
