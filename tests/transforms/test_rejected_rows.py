from recpipe.tables import REJECTED_ROWS
from recpipe.transforms.rejected_rows import rejected_rows
from tests.transforms.marked_lines import item_lines, review_lines


def test_rejected_lines_of_both_kinds_keep_their_place_and_reason(spark):
    bad = {"reason": "bad_rating", "line_hash": "abc", "line_number": 7, "origin": "dump.json", "origin_line": 70}
    found = rejected_rows([review_lines(spark, {}, bad), item_lines(spark, {}, {**bad, "reason": "missing_item"})])
    assert found.columns == list(REJECTED_ROWS.column_names)
    assert sorted(tuple(row)[1:] for row in found.collect()) == [
        ("items", "a.json", 7, "dump.json", 70, "missing_item", "abc"),
        ("reviews", "a.json", 7, "dump.json", 70, "bad_rating", "abc"),
    ]
