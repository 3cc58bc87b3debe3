from recpipe.tables import EVENTS, ITEM_INDEX, ITEMS, REVIEWS
from recpipe.transforms.as_of import as_of
from tests.frames import frame
from tests.rows import MONDAY, TUESDAY, WEDNESDAY, event, item, review


def test_c07_a_row_is_seen_from_the_day_it_arrived_not_from_its_own(spark):
    late = review("U1", "I1", arrived_on=WEDNESDAY)
    assert [as_of(frame(spark, REVIEWS, late), REVIEWS, day).count() for day in (MONDAY, TUESDAY, WEDNESDAY)] == [
        0,
        0,
        1,
    ]


def test_items_are_seen_from_the_day_that_first_named_them(spark):
    rows = [{"first_arrived_on": day, "item_id": str(day), "item_index": 0} for day in (MONDAY, TUESDAY)]
    assert as_of(frame(spark, ITEM_INDEX, *rows), ITEM_INDEX, MONDAY).count() == 1


def test_an_edited_review_counts_as_the_newest_arrival_tells_it(spark):
    first, edited, later = (
        review("U1", "I1", arrived_on=day, rating=rating)
        for day, rating in ((MONDAY, 1.0), (TUESDAY, 4.0), (WEDNESDAY, 2.0))
    )
    [row] = as_of(frame(spark, REVIEWS, later, first, edited), REVIEWS, TUESDAY).collect()
    assert (row.arrived_on, row.rating) == (TUESDAY, 4.0)


def test_an_item_is_as_its_newest_arrival_tells_it(spark):
    rows = (item("I1", "Old"), item("I1", "New", arrived_on=TUESDAY), item("I2", "Other"))
    found = as_of(frame(spark, ITEMS, *rows), ITEMS, TUESDAY).collect()
    assert {row.item_id: row.title for row in found} == {"I1": "New", "I2": "Other"}


def test_an_event_that_arrives_again_counts_once(spark):
    rows = (event("U1", "I1"), event("U1", "I1", arrived_on=TUESDAY), event("U1", "I1", event_type="view"))
    assert as_of(frame(spark, EVENTS, *rows), EVENTS, WEDNESDAY).count() == 2
