"""Erasing a user: no file of the lake names the user any more, other rows and files stay, a stop can be mended."""

from datetime import date
from pathlib import Path

import duckdb
import pytest
from jinja2 import Environment
from typer.testing import CliRunner

from recpipe import delta, doctor, forget
from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.job_lock import job_under_way, no_job_under_way
from recpipe.settings import Settings
from recpipe.sources.known import FORMATS
from recpipe.tables import (
    ARRIVALS,
    ERASED_USERS,
    EVALUATION_EXAMPLES,
    EVENTS,
    OF_USERS,
    RECOMMENDATIONS,
    RECOMMENDATIONS_CURRENT,
    REVIEWS,
    TRAINING_EXAMPLES,
    USER_EMBEDDINGS,
    USER_FEATURES,
    USERS,
)
from tests.lakes import empty_lake
from tests.naming import naming
from tests.raw_lines import item_2023, landed, review_2023
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, arrival, event, recommendation, review, user_feature
from tests.rows import user as user_row

GONE = "GONE'); drop table \\ü%"
"""What an id can be, in a file with others and alone in one."""


def of(user):
    example = {"ds": MONDAY, "cut": MONDAY, "until": MONDAY, "cut_by": "happened_at", "user_id": user}
    example |= {"items": [1], "days": [1], "types": [4], "length": 1, "attributes": [0], "seen": [1], "targets": [2]}
    return {
        REVIEWS: [review(user, "a"), review(user, "a", arrived_on=TUESDAY)],
        EVENTS: [event(user, "a")],
        USERS: [user_row(user)],
        USER_FEATURES: [user_feature(user)],
        EVALUATION_EXAMPLES: [example],
        USER_EMBEDDINGS: [{"ds": MONDAY, "user_id": user, "embedding": [1.0], "model_version": "m"}],
        RECOMMENDATIONS: [recommendation(user, 1, "a"), recommendation(user, 2, "b")],
        RECOMMENDATIONS_CURRENT: [recommendation(user, 1, "a")],
    }


@pytest.fixture
def lake(tmp_path):
    root = tmp_path / "lake"
    empty_lake(root)
    for user in ("ann", GONE):
        for table, rows in of(user).items():
            delta.append(root, table, rows)
    delta.append(root, REVIEWS, [review("ann", "a", arrived_on=WEDNESDAY)])
    sequence = {"ds": MONDAY, "until": MONDAY, "items": [1], "days": [1], "types": [4], "length": 1}
    sequence |= {"attributes": [0], "shuffle_key": 7}
    delta.append(root, TRAINING_EXAMPLES, [sequence])
    return root


def rows(root):
    tables = (*OF_USERS, TRAINING_EXAMPLES, ERASED_USERS)
    with delta.connect_with_erased(root, tables) as views:
        return {table.name: sorted(views.sql(f"from {table.name}").fetchall(), key=str) for table in tables}


def erase(root, user=GONE, **options):
    return forget.erase(Settings(home=root.parent), user, WEDNESDAY, **options)


def test_every_table_of_users_holds_the_user_in_these_tests(lake):
    assert set(of(GONE)) == set(OF_USERS)
    assert naming(lake, GONE) == {table.name for table in OF_USERS}


def test_afterwards_no_file_of_the_lake_names_the_user_but_those_of_erased_users(lake):
    removed = erase(lake)
    assert removed == {f"rows of {table.name}": len(rows) for table, rows in of(GONE).items()}
    assert naming(lake, GONE) == {"erased_users"}
    found = rows(lake)
    assert found.pop("erased_users") == [(GONE, WEDNESDAY)]
    assert found.pop("training_examples") == []
    assert found == {
        table.name: sorted([tuple(row[c] for c in table.column_names) for row in expected], key=str)
        for table, expected in {
            **of("ann"),
            REVIEWS: [*of("ann")[REVIEWS], review("ann", "a", arrived_on=WEDNESDAY)],
        }.items()
    }


def test_e01_files_without_the_user_and_other_tables_stay_as_they_are(lake):
    def others():
        kept = delta.snapshot_files(lake, REVIEWS, {"arrived_on": WEDNESDAY})
        return {path: Path(path).read_bytes() for path in kept}, delta.open_table(lake, ARRIVALS).version()

    before = others()
    assert len(before[0]) == 1
    erase(lake)
    assert others() == before
    for table in OF_USERS:
        assert delta.open_table(lake, table).protocol().min_reader_version == 1  # no deletion vectors


def test_erasing_twice_changes_nothing_more(lake):
    erase(lake)
    once = rows(lake)
    assert forget.erase(Settings(home=lake.parent), GONE, date(2030, 1, 1)) == {}
    assert rows(lake) == once
    assert naming(lake, GONE) == {"erased_users"}


@pytest.mark.parametrize("step", [0, 1, 2, 9, 10, 11, 18])  # before each kind of step, and the last
def test_a_command_that_was_killed_is_finished_by_the_same_command(lake, monkeypatch, step):
    steps = []

    def until_killed(work):
        def does(*arguments):
            steps.append(work)
            if len(steps) == step + 1:
                raise KeyboardInterrupt
            return work(*arguments)

        return does

    for name in ("_delete", "_keep_newest_version"):
        monkeypatch.setattr(forget, name, until_killed(getattr(forget, name)))
    monkeypatch.setattr(delta, "append", until_killed(delta.append))
    with pytest.raises(KeyboardInterrupt):
        erase(lake)
    monkeypatch.undo()
    erase(lake)
    assert len(steps) == step + 1
    assert naming(lake, GONE) == {"erased_users"}
    assert rows(lake)["training_examples"] == []


def test_a_command_that_finds_a_file_gone_says_that_it_is_to_be_given_again(lake):
    kept = Path(delta.snapshot_files(lake, REVIEWS)[0])
    content = kept.read_bytes()
    kept.unlink()
    with pytest.raises(UserError, match=r"^expected table reviews .*; nobody reads .*: then give this command again$"):
        erase(lake)
    assert delta.erased_users(lake) == [GONE]
    kept.write_bytes(content)
    erase(lake)
    assert naming(lake, GONE) == {"erased_users"}


def test_a_kill_between_the_files_of_a_log_leaves_a_table_that_is_read(lake, monkeypatch):
    unlink, done = Path.unlink, []

    def killed(path, *arguments, **named):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(path)
        unlink(path, *arguments, **named)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        erase(lake)
    monkeypatch.undo()
    assert len(done) == 1
    assert rows(lake)["reviews"]
    erase(lake)
    assert naming(lake, GONE) == {"erased_users"}


def test_with_its_files_kept_the_user_is_read_nowhere_and_the_versions_stay(lake):
    erase(lake, keep_files=True)
    assert all(GONE not in str(found) for name, found in rows(lake).items() if name != "erased_users")
    assert "reviews" in naming(lake, GONE)
    assert len(delta.open_table(lake, REVIEWS).history()) > 2
    erase(lake)
    assert naming(lake, GONE) == {"erased_users"}


def test_a_user_whom_nobody_knows_is_erased_for_the_future_and_nothing_else_is_touched(lake):
    before = rows(lake)
    assert erase(lake, "typo") == {}
    after = rows(lake)
    assert after.pop("erased_users") == [("typo", WEDNESDAY)]
    assert after == {name: found for name, found in before.items() if name != "erased_users"}


def test_a_user_of_whom_only_older_versions_and_left_overs_of_killed_jobs_tell_is_erased_by_one_command(lake):
    unseen = "UNSEEN"
    delta.overwrite_partition(lake, EVENTS, [event(unseen, "a", arrived_on=TUESDAY)], TUESDAY)
    delta.overwrite_partition(lake, EVENTS, [], TUESDAY)
    for folder in (".staging", ".spark/x", ".duckdb"):
        (lake / folder).mkdir(parents=True)
    stray = next(lake.glob("reviews/*/*.parquet")).with_name("part-of-a-killed-write.parquet")
    left = (".staging/lines.parquet", ".spark/x/block.parquet", ".duckdb/spilled.parquet")
    for path in (*(lake / name for name in left), stray):
        duckdb.sql("select $user as user_id", params={"user": unseen}).write_parquet(str(path))
    landing = lake.parent / "landing"
    landed(landing / ".landing", "reviews", "2024-01-01", "cut.json", review_2023(user_id=unseen))
    assert naming(lake, unseen) == {".duckdb", ".spark", ".staging", "events", "reviews"}
    assert naming(landing, unseen) == {".landing"}
    before = rows(lake)[TRAINING_EXAMPLES.name]
    assert erase(lake, unseen) == {}
    assert naming(lake, unseen) == {"erased_users"}
    assert naming(landing, unseen) == set()
    assert rows(lake)[TRAINING_EXAMPLES.name] == before != []  # no sequence can be of a user without rows


def test_pages_of_nights_that_name_the_user_go_and_others_stay(lake):
    nights = lake.parent / "reports" / "nights"
    nights.mkdir(parents=True)
    (nights / ".2024-01-01.html.77-1.part").write_text("<h3>of anybody")
    for name, user in (("2024-01-02.html", GONE), ("2024-01-03.html", "ann"), ("2024-01-04.html", "7")):
        text = '<svg width="7"/>2017 <h3>{{ user }}</h3> 7'
        (nights / name).write_text(Environment(autoescape=True).from_string(text).render(user=user))
    assert erase(lake)["pages of nights"] == 1
    assert sorted(path.name for path in nights.iterdir()) == ["2024-01-03.html", "2024-01-04.html"]
    assert erase(lake, "7") == {"pages of nights": 1}
    assert [path.name for path in nights.iterdir()] == ["2024-01-03.html"]


def test_it_is_refused_while_a_job_is_under_way_and_jobs_run_beside_each_other(lake):
    before = rows(lake)
    with (
        job_under_way(lake),
        job_under_way(lake),
        pytest.raises(UserError, match="expected no job under way, found one"),
    ):
        erase(lake)
    assert rows(lake) == before
    with no_job_under_way(lake), pytest.raises(UserError, match="run again when it is over"):
        erase(lake)
    erase(lake)


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 300])
def test_what_can_be_no_id_is_refused_above_all_the_list_of_strangers(text):
    with pytest.raises(UserError, match="expected the id of a user"):
        forget.user_id_of(text)
    assert forget.user_id_of(" ann ") == "ann"


def test_landing_files_with_lines_of_the_user_are_named(lake, tmp_path):
    theirs, other = review_2023(user_id=GONE), review_2023(user_id="ann")
    landing = tmp_path / "landing"
    monday = landed(landing, "reviews", "2024-01-01", "m.json", theirs, other, review_2023(user_id=GONE, rating=9))
    landed(landing, "reviews", "2024-01-01", "others.json", other, review_2023(user_id=f"{GONE}2"))
    again = landed(landing, "reviews", "2024-01-03", "again.json.gz", theirs, zipped=True)
    landed(landing, "reviews", "2024-01-02", "cut.json.gz", theirs, zipped=True).write_bytes(b"\x1f\x8b cut")
    elsewhere = landed(landing, "reviews", "2024-01-05", "e.json", theirs)
    landed(landing, "items", "2024-01-01", "i.json", theirs)
    landed(landing, "reviews", "2024-01-01", "i.json", item_2023())
    same = arrival(arrived_on=WEDNESDAY, file="again.json.gz", same_as="2024-01-01/m.json")
    delta.append(lake, ARRIVALS, [arrival(file="m.json"), same])
    found = forget.find(lake, landing, GONE, FORMATS)
    assert found.landed == {monday: 2, again: 1}
    assert len(found.unreadable) == 1
    assert "cut.json.gz could not be searched" in found.unreadable[0]
    assert forget.find(lake, landing, GONE, FORMATS, everywhere=True).landed == {monday: 2, again: 1, elsewhere: 1}
    assert found.rows["reviews"] == 2
    assert f"{monday}: 2 lines, to be purged by you" in str(found)
    erase(lake)
    delta.append(lake, ARRIVALS, [arrival(arrived_on=date(2024, 1, 5), erased=1)])  # what came after the erasure
    assert forget.find(lake, landing, GONE, FORMATS).landed == {elsewhere: 1}


def recpipe(*arguments, answer=None):
    return CliRunner().invoke(app, ["forget", *arguments], input=answer, catch_exceptions=False)


def test_the_command_says_what_it_will_do_and_asks(lake, monkeypatch):
    monkeypatch.setenv("RECPIPE_HOME", str(lake.parent))
    before = rows(lake)
    refused = recpipe("ann", answer="n\n")
    assert refused.exit_code == 1
    assert "ann has rows: 3 in reviews, 1 in events" in refused.output
    assert "no time travel" in refused.output
    assert rows(lake) == before
    said = recpipe("ann", "--yes").output
    assert "ann is erased. Removed: 3 rows of reviews, 1 rows of events" in said
    assert "models trained before" in said
    assert "erased before, to be finished now" in recpipe("ann", "--yes").output
    unknown = recpipe("zoe", "--yes", "--keep-files").output
    assert "Lines of this user that arrive from now on are left out" in unknown
    assert "The rows are removed" not in unknown
    assert delta.erased_users(lake) == ["ann", "zoe"]


def test_doctor_tells_when_rows_of_an_erased_user_are_left(lake):
    def erased_users():
        return [check for check in doctor.examine(Settings(home=lake.parent)) if check.name.endswith("erased users")]

    assert erased_users() == []
    erase(lake)
    assert [(check.name, check.good, check.found) for check in erased_users()] == [
        ("1 erased users", True, "no rows in any table")
    ]
    delta.append(lake, EVENTS, [event(GONE, "a")])  # by a job that outlived its process
    assert [(check.good, check.found) for check in erased_users()] == [(False, "1 rows in events")]
