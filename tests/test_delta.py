import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

import pytest
from deltalake import DeltaTable

from recpipe import delta
from recpipe.errors import UserError
from recpipe.tables import ERASED_USERS, MODEL_VERDICTS, OF_USERS, RECOMMENDATIONS_CURRENT, REVIEWS, TABLES, USERS
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, erased, recommendation, review, verdict


@pytest.fixture
def lake(tmp_path):
    delta.create_tables(tmp_path)
    return tmp_path


def verdicts(lake):
    return delta.connect(lake).sql("select ds, verdict, sequence from model_verdicts order by all").fetchall()


def test_init_creates_every_table_once(tmp_path):
    assert delta.create_tables(tmp_path) == [table.name for table in TABLES]
    assert delta.create_tables(tmp_path) == []


def test_tables_need_no_reader_feature_and_say_what_they_hold(lake):
    for table in TABLES:
        made = DeltaTable(delta.table_uri(lake, table))
        assert made.protocol().min_reader_version == 1
        assert made.metadata().description == table.comment


def test_a_day_is_replaced_and_other_days_keep_their_files(lake):
    delta.overwrite_partition(lake, MODEL_VERDICTS, [verdict()], MONDAY)
    before = delta.snapshot_files(lake, MODEL_VERDICTS, {"ds": MONDAY})
    for verdict_ in ("rejected", "skipped"):
        delta.overwrite_partition(lake, MODEL_VERDICTS, [verdict(ds=TUESDAY, verdict=verdict_)], TUESDAY)
    assert verdicts(lake) == [(MONDAY, "promoted", 0), (TUESDAY, "skipped", 0)]
    assert delta.snapshot_files(lake, MODEL_VERDICTS, {"ds": MONDAY}) == before


def test_no_rows_clear_the_day(lake):
    delta.overwrite_partition(lake, MODEL_VERDICTS, [verdict()], MONDAY)
    delta.overwrite_partition(lake, MODEL_VERDICTS, [], MONDAY)
    assert verdicts(lake) == []


@pytest.mark.parametrize("broken", [{"verdict": "maybe"}, {"reason": None}, {"ds": TUESDAY}])
def test_a_row_that_breaks_the_contract_is_not_written(lake, broken):
    version = delta.overwrite_partition(lake, MODEL_VERDICTS, [verdict()], MONDAY)
    expected = rf"expected rows of table model_verdicts .* where ds = '{MONDAY}', found 1 others; nothing was written"
    with pytest.raises(ValueError, match=f"^{expected}$") as told:  # and none of its values
        delta.overwrite_partition(lake, MODEL_VERDICTS, [verdict(**broken)], MONDAY)
    assert told.value.__suppress_context__
    assert delta.open_table(lake, MODEL_VERDICTS).version() == version
    assert verdicts(lake) == [(MONDAY, "promoted", 0)]


@pytest.mark.parametrize(
    ("file", "left"),
    [("_delta_log/*.json", 50), ("_delta_log/*1.json", None), ("*/*.parquet", 50), ("*/*.parquet", None)],
)
def test_a_file_that_is_cut_off_or_gone_is_one_line_with_what_mends_it(lake, file, left):
    delta.append(lake, REVIEWS, [review("ann", "a")])
    path = max((lake / "reviews").glob(file))
    if left:
        path.write_bytes(path.read_bytes()[:left])
    else:
        path.unlink()
    with pytest.raises(UserError, match=r"^expected table reviews at .* whole, found .*; bring back what is") as told:
        delta.connect(lake, [REVIEWS])
    assert "\n" not in str(told.value)


def test_nan_breaks_a_range(lake):
    delta.replace(lake, RECOMMENDATIONS_CURRENT, [recommendation("u", 1, "i")])
    with pytest.raises(ValueError, match="found 1 others"):
        delta.replace(lake, RECOMMENDATIONS_CURRENT, [recommendation("u", 1, "i", score=float("nan"))])


def test_an_empty_table_reads_as_its_contract_says(lake):
    relation = delta.connect(lake).sql("select * from reviews")
    assert relation.fetchall() == []
    assert relation.columns == list(REVIEWS.column_names)


def test_a_query_reads_nothing_outside_the_lake(lake, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    secret.write_text("a\n1\n")
    with pytest.raises(Exception, match="disabled by configuration"):
        delta.connect(lake).sql(f"select * from read_csv('{secret}')").fetchall()


def test_what_a_query_sets_aside_lies_in_the_lake_where_an_erasure_removes_it(lake):
    with delta.connect(lake) as views:
        [(folder,)] = views.sql("select current_setting('temp_directory')").fetchall()
    assert Path(folder) == lake / delta.SPILLED


def test_a_lake_in_a_folder_with_a_quote_is_read(tmp_path):
    lake = tmp_path / "it's here"
    delta.create_tables(lake)
    delta.overwrite_partition(lake, MODEL_VERDICTS, [verdict()], MONDAY)
    assert verdicts(lake) == [(MONDAY, "promoted", 0)]


def test_a_missing_lake_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match="recpipe init"):
        delta.require_lake(tmp_path)
    with pytest.raises(UserError, match="recpipe init"):
        delta.connect(tmp_path)


WRITER = """
import sys
from datetime import date
from pathlib import Path
from recpipe import delta
from recpipe.tables import MODEL_VERDICTS
from tests.rows import verdict

root, day, times = Path(sys.argv[1]), date.fromisoformat(sys.argv[2]), int(sys.argv[3])
for turn in range(times):
    rows = [verdict(ds=day, sequence=n, reason=f"turn {turn}") for n in range(turn % 2 * 50 + 50)]
    delta.overwrite_partition(root, MODEL_VERDICTS, rows, day)
    print(turn, flush=True)
"""


def writer(lake, day, times):
    command = [sys.executable, "-c", WRITER, str(lake), str(day), str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_e04_two_processes_overwrite_two_days_of_one_table_at_once(lake):
    delta.overwrite_partition(lake, MODEL_VERDICTS, [verdict(ds=WEDNESDAY)], WEDNESDAY)
    kept, before = (
        delta.snapshot_files(lake, MODEL_VERDICTS, {"ds": WEDNESDAY}),
        delta.open_table(lake, MODEL_VERDICTS).version(),
    )
    both = [writer(lake, day, 8) for day in (MONDAY, TUESDAY)]
    assert [process.communicate() and process.returncode for process in both] == [0, 0]
    assert delta.open_table(lake, MODEL_VERDICTS).version() == before + 16
    counts = delta.connect(lake).sql("select ds, reason, count(*) from model_verdicts group by all order by all")
    assert counts.fetchall() == [(MONDAY, "turn 7", 100), (TUESDAY, "turn 7", 100), (WEDNESDAY, "better", 1)]
    assert delta.snapshot_files(lake, MODEL_VERDICTS, {"ds": WEDNESDAY}) == kept


def test_e07_a_write_that_is_killed_leaves_the_old_rows_or_the_new_ones(lake):
    seen = random.Random(7)
    for _ in range(5):
        with writer(lake, MONDAY, 1000) as process:
            process.stdout.readline()
            time.sleep(seen.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        reasons = delta.connect(lake).sql("select reason, count(*) from model_verdicts group by all").fetchall()
        [(reason, count)] = reasons
        assert count == int(reason.split()[1]) % 2 * 50 + 50
    rerun = writer(lake, MONDAY, 2)
    rerun.communicate()
    assert len(verdicts(lake)) == 100
    assert len(delta.snapshot_files(lake, MODEL_VERDICTS)) == 1


def test_readers_see_whole_states_while_a_day_is_overwritten(lake):
    delta.overwrite_partition(lake, MODEL_VERDICTS, [verdict(sequence=n) for n in range(50)], MONDAY)
    done, seen = Event(), [len(verdicts(lake))]

    def read():
        while not done.is_set():
            seen.append(len(verdicts(lake)))

    reader = Thread(target=read)
    reader.start()
    with writer(lake, MONDAY, 20) as process:
        process.wait()
    seen.append(len(verdicts(lake)))
    done.set()
    reader.join()
    assert set(seen) == {50, 100}


def test_views_leave_erased_users_out_from_the_moment_they_are_put_there(lake):
    delta.append(lake, REVIEWS, [review(user, "a") for user in ("ann", "bob", "it's")])
    delta.append(lake, RECOMMENDATIONS_CURRENT, [recommendation("bob", 1, "i")])
    delta.append(lake, ERASED_USERS, [erased("bob"), erased("it's")])
    with delta.connect(lake) as views:
        assert views.sql("select user_id from reviews").fetchall() == [("ann",)]
        assert views.sql("from recommendations_current").fetchall() == []
        assert len(views.sql("from erased_users")) == 2
    with delta.connect_with_erased(lake, [REVIEWS]) as views:
        assert len(views.sql("from reviews")) == 3


def test_the_tables_of_users_are_those_that_name_them():
    assert {REVIEWS, USERS, RECOMMENDATIONS_CURRENT} < set(OF_USERS)
    assert {table.name for table in TABLES if "user_id" in table.column_names} == {
        table.name for table in (*OF_USERS, ERASED_USERS)
    }
