import itertools

from recpipe.tables import ITEMS, REVIEWS
from recpipe.transforms.lines import kept, named_items
from tests.transforms.marked_lines import item_lines, mark, review_lines


def marked_reviews(spark, *lines):
    return mark(review_lines(spark, *({"line_number": place, **line} for place, line in enumerate(lines, 1))), REVIEWS)


def test_b06_of_two_equal_lines_one_is_kept_and_the_other_counts_as_a_duplicate(spark):
    marked = marked_reviews(spark, {"line_number": 1}, {"line_number": 2})
    assert [(row.line_number, row.fate) for row in marked.sort("line_number").collect()] == [
        (1, "accepted"),
        (2, "duplicates"),
    ]
    assert kept(marked, REVIEWS).columns == list(REVIEWS.column_names)
    assert kept(marked, REVIEWS).count() == 1


def test_b06_the_highest_vote_is_kept_in_whatever_order_lines_come(spark):
    orders = list(itertools.permutations([3, None, 5]))
    assert len(orders) == 6
    lines = [{"user_id": f"U{number}", "vote": vote} for number, order in enumerate(orders) for vote in order]
    found = kept(marked_reviews(spark, *lines), REVIEWS)
    assert sorted((row.user_id, row.vote) for row in found.collect()) == [(f"U{number}", 5) for number in range(6)]


def test_b06_with_equal_votes_the_same_text_is_kept_in_whatever_order_lines_come(spark):
    texts = [{"text": text, "vote": 1} for text in ("one", "two", None)]
    found = [kept(marked_reviews(spark, *lines), REVIEWS).collect() for lines in itertools.permutations(texts)]
    assert len(found) == 6
    assert all(rows == found[0] and len(rows) == 1 for rows in found)


def test_b06_another_user_item_time_or_arrival_is_another_review(spark):
    others = [{"user_id": "U2"}, {"item_id": "I2"}, {"reviewed_at": 7}, {"arrived_on": "2024-01-02"}]
    assert kept(marked_reviews(spark, {}, *others), REVIEWS).count() == 5


def test_b06_copies_in_two_files_of_one_arrival_are_duplicates(spark):
    marked = marked_reviews(spark, {"file": "b.json"}, {"file": "a.json"})
    assert [row.file for row in marked.filter("fate = 'duplicates'").collect()] == ["b.json"]


def test_rejected_lines_are_neither_reviews_nor_duplicates(spark):
    bad = {name: None for name in REVIEWS.column_names if name != "arrived_on"} | {"reason": "bad_rating"}
    marked = marked_reviews(spark, {}, bad, {**bad, "line_number": 2})
    assert sorted(row.fate for row in marked.collect()) == ["accepted", "rejected", "rejected"]
    assert kept(marked, REVIEWS).count() == 1


def test_lines_of_an_erased_user_are_erased_be_they_repeated_or_not_and_no_rows(spark):
    lines = review_lines(spark, {}, {"line_number": 2}, {"line_number": 3, "user_id": "U2"})
    marked = mark(lines, REVIEWS, "U1", "nobody")
    assert [row.fate for row in marked.sort("line_number").collect()] == ["erased", "erased", "accepted"]
    assert [row.user_id for row in kept(marked, REVIEWS).collect()] == ["U2"]


def test_a_rejected_line_stays_rejected_and_an_item_has_no_user_to_erase(spark):
    bad = {name: None for name in REVIEWS.column_names if name != "arrived_on"} | {"reason": "bad_rating"}
    assert [row.fate for row in mark(review_lines(spark, bad), REVIEWS, "U1").collect()] == ["rejected"]
    assert [row.fate for row in mark(item_lines(spark, {}), ITEMS, "U1").collect()] == ["accepted"]


def test_items_that_only_erased_users_name_are_named_all_the_same(spark):
    bad = {"item_id": None, "line_number": 3, "reason": "missing_item"}
    marked = mark(review_lines(spark, {}, {"item_id": "I2", "user_id": "U2", "line_number": 2}, bad), REVIEWS, "U1")
    assert sorted(row.item_id for row in named_items(marked).collect()) == ["I1", "I2"]


def test_an_item_has_one_version_an_arrival_in_whatever_order_lines_come(spark):
    versions = [{"title": "Mug"}, {"title": "Mug", "price": 5.0}, {"title": "Cup"}]
    found = []
    for lines in itertools.permutations(versions):
        numbered = ({"line_number": place, **line} for place, line in enumerate(lines, 1))
        rows = mark(item_lines(spark, *numbered), ITEMS).collect()
        assert sorted(row.fate for row in rows) == ["accepted", "duplicates", "duplicates"]
        found += [tuple(row[name] for name in ITEMS.column_names) for row in rows if row.fate == "accepted"]
    assert len(found) == 6
    assert len({repr(row) for row in found}) == 1


def test_other_items_and_other_arrivals_are_kept(spark):
    lines = item_lines(spark, {}, {"item_id": "I2", "line_number": 2}, {"arrived_on": "2024-01-02"})
    found = kept(mark(lines, ITEMS), ITEMS)
    assert found.columns == list(ITEMS.column_names)
    assert sorted((row.item_id, str(row.arrived_on)) for row in found.collect()) == [
        ("I1", "2024-01-01"),
        ("I1", "2024-01-02"),
        ("I2", "2024-01-01"),
    ]
