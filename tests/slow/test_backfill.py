"""`make check-backfill` as a test: it finds a difference where there is one, and none between the two orders."""

from recpipe.tables import TABLES
from tests.end_to_end.shop import PRIVATE
from tests.slow.check_backfill import check, report

EQUAL = {table.name: {"2024-03-01": (7, "abc")} for table in TABLES if table.name not in PRIVATE}


def test_a_difference_is_told_and_fails(capsys):
    assert report({"forward": EQUAL, "backwards": EQUAL}) == 0
    assert report({"forward": EQUAL, "backwards": EQUAL | {"reviews": {"2024-03-01": (7, "abd")}}}) == 1
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2 * (2 * len(EQUAL) + 1)
    assert [line.split()[0] for line in told if line.endswith("DIFFERENT")] == ["reviews"]


def test_a_table_without_rows_proves_nothing_and_fails(capsys):
    assert report({"forward": EQUAL | {"items": {}}, "backwards": EQUAL | {"items": {}}}) == 1
    assert "nothing to compare in items" in capsys.readouterr().out


def test_four_days_backwards_through_airflow_give_the_rows_of_the_forward_run(tmp_path, capsys):
    with capsys.disabled():
        print()
        assert check(tmp_path) == 0
