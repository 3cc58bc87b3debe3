import itertools

from recpipe.tables import ITEMS
from recpipe.transforms.items import items, mark_duplicate_items
from tests.transforms.marked_lines import item_lines


def test_an_item_has_one_version_an_arrival_in_whatever_order_lines_come(spark):
    versions = [{"title": "Mug"}, {"title": "Mug", "price": 5.0}, {"title": "Cup"}]
    found = []
    for lines in itertools.permutations(versions):
        marked = mark_duplicate_items(item_lines(spark, *lines))
        assert marked.filter("is_duplicate").count() == 2
        found.append(items(marked).collect())
    assert len(found) == 6
    assert all(rows == found[0] and len(rows) == 1 for rows in found)


def test_other_items_and_other_arrivals_are_kept(spark):
    kept = items(mark_duplicate_items(item_lines(spark, {}, {"item_id": "I2"}, {"arrived_on": "2024-01-02"})))
    assert kept.columns == list(ITEMS.column_names)
    assert sorted((row.item_id, str(row.arrived_on)) for row in kept.collect()) == [
        ("I1", "2024-01-01"),
        ("I1", "2024-01-02"),
        ("I2", "2024-01-01"),
    ]
