from recpipe.tables import ARRIVALS, ITEMS, REVIEWS
from recpipe.transforms.arrivals import arrivals, outcomes
from tests.rows import MONDAY, TUESDAY, WEDNESDAY
from tests.transforms.marked_lines import item_lines, mark, review_lines

FILES = "arrived_on date, kind string, file string, format string, origin string, sha256 string, same_as string"


def counted(spark, review=(), item=(), erased=()):
    frames = ((review_lines(spark, *review), REVIEWS), (item_lines(spark, *item), ITEMS))
    return outcomes(spark, [mark(frame, table, *erased) for frame, table in frames])


def files(spark, *names):
    return spark.createDataFrame([(*name, "amazon-2023", name[2], "hash", None) for name in names], FILES)


def counts(frame):
    assert frame.columns == list(ARRIVALS.column_names)
    return sorted((str(row.arrived_on), row.kind, row.file, *tuple(row)[-6:-1]) for row in frame.collect())


def test_lines_are_counted_by_fate(spark):
    review = [
        {"line_number": 2},
        {"line_number": 3},
        {"line_number": 4, "reason": "bad_rating"},
        {"line_number": 9, "user_id": "U2", "notes": ["unreadable_vote"]},
        {"line_number": 5, "reason": "bad_rating"},
    ]
    found = {
        (*tuple(row)[1:5], str(row.notes)): (row.lines, row.first_lines)
        for row in counted(spark, review, [{}]).collect()
    }
    assert found == {
        ("items", "a.json", "accepted", None, "None"): (1, [1]),
        ("reviews", "a.json", "accepted", None, "None"): (1, [2]),
        ("reviews", "a.json", "accepted", None, "['unreadable_vote']"): (1, [9]),
        ("reviews", "a.json", "duplicates", None, "None"): (1, [3]),
        ("reviews", "a.json", "rejected", "bad_rating", "None"): (2, [4, 5]),
    }


def test_lines_read_are_accepted_and_rejected_and_duplicates_and_erased(spark):
    review = [{}, {"line_number": 2}, {"line_number": 3, "reason": "x"}, {"line_number": 4, "user_id": "U2"}]
    sealed = arrivals(files(spark, (MONDAY, "reviews", "a.json")), counted(spark, review), MONDAY, MONDAY)
    assert counts(sealed) == [("2024-01-01", "reviews", "a.json", 4, 2, 1, 1, 0)]
    sealed = arrivals(files(spark, (MONDAY, "reviews", "a.json")), counted(spark, review, (), ["U1"]), MONDAY, MONDAY)
    assert counts(sealed) == [("2024-01-01", "reviews", "a.json", 4, 1, 1, 0, 2)]


def test_every_day_of_the_range_is_sealed_and_one_without_files_by_a_row_of_kind_none(spark):
    named = files(spark, (TUESDAY, "reviews", "a.json"), (TUESDAY, "items", "a.json"))
    sealed = arrivals(named, counted(spark, [{"arrived_on": "2024-01-02"}]), MONDAY, WEDNESDAY)
    assert counts(sealed) == [
        ("2024-01-01", "none", "", 0, 0, 0, 0, 0),
        ("2024-01-02", "items", "a.json", 0, 0, 0, 0, 0),
        ("2024-01-02", "reviews", "a.json", 1, 1, 0, 0, 0),
        ("2024-01-03", "none", "", 0, 0, 0, 0, 0),
    ]


def test_a09_a_file_without_lines_is_sealed_with_zeros(spark):
    sealed = arrivals(files(spark, (MONDAY, "reviews", "empty.json")), counted(spark), MONDAY, MONDAY)
    assert counts(sealed) == [("2024-01-01", "reviews", "empty.json", 0, 0, 0, 0, 0)]


def test_no_files_at_all_seal_their_days_too(spark):
    assert [row[1] for row in counts(arrivals(files(spark), counted(spark), MONDAY, TUESDAY))] == ["none", "none"]
