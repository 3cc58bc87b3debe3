import pytest

from recpipe.lake import conform
from recpipe.tables import ITEMS, USERS, VOCABULARY
from recpipe.transforms.user_attributes import attribute_counts
from recpipe.transforms.vocabulary import token_counts, vocabulary
from tests.frames import frame
from tests.rows import MONDAY, TUESDAY, item, user


def numbers(spark, items, earlier=None, *, size=100, min_items=1, ds=MONDAY):
    numbered = frame(spark, VOCABULARY) if earlier is None else earlier
    return conform(VOCABULARY, vocabulary(token_counts(frame(spark, ITEMS, *items)), numbered, ds, size, min_items))


def told(made, field="text"):
    rows = sorted((row.token_id, row.token, row["items"]) for row in made.collect() if row.field == field)
    return [(token, items) for _, token, items in rows], [token_id for token_id, _, _ in rows]


def test_frequent_tokens_get_the_first_numbers_and_equal_ones_go_by_name(spark):
    made = numbers(spark, [item("a", "mug red mug"), item("b", "red zoo"), item("c", "art")])
    assert told(made) == ([("red", 2), ("art", 1), ("mug", 1), ("zoo", 1)], [1, 2, 3, 4])


def test_a_word_must_be_in_enough_items_and_other_tokens_need_not(spark):
    made = numbers(spark, [item("a", "mug red", brand="Acme", categories=["Toys"]), item("b", "red")], min_items=2)
    assert told(made)[0] == [("red", 2)]
    assert told(made, "brand") == ([("acme", 1)], [1])
    assert told(made, "category") == ([("Toys", 1)], [1])


@pytest.mark.parametrize(
    ("min_items", "numbered"), [(1, ["gender f", "gender m"]), (2, ["gender f", "gender m"]), (3, ["gender f"])]
)
def test_what_a_single_user_is_gets_no_number_whatever_the_setting(spark, min_items, numbered):
    users = [user(f"U{n}", gender="f") for n in range(3)] + [user(f"V{n}", gender="m") for n in range(2)]
    counted = attribute_counts(frame(spark, USERS, *users, user("W", gender="x", occupation="astronaut")))
    made = vocabulary(counted, frame(spark, VOCABULARY), MONDAY, 9, min_items)
    assert [token for token, _ in told(made, "attribute")[0]] == numbered


def test_a_later_anchor_goes_on_after_the_numbers_of_earlier_ones_up_to_the_size(spark):
    first = numbers(spark, [item("a", "red"), item("b", "mug red")]).persist()
    items = [item("a", "new red"), item("b", "new mug"), item("c", "other")]
    assert told(numbers(spark, items, first, ds=TUESDAY)) == ([("new", 2), ("other", 1)], [3, 4])
    assert told(numbers(spark, items, first, size=3, ds=TUESDAY)) == ([("new", 2)], [3])
    assert told(numbers(spark, items, first, size=1, ds=TUESDAY)) == ([], [])


def test_order_and_parts_of_the_input_do_not_matter(spark):
    items = [item(f"i{n}", f"w{n} w{n % 3} x") for n in range(9)]
    many = vocabulary(
        token_counts(frame(spark, ITEMS, *items[::-1]).repartition(5)), frame(spark, VOCABULARY), MONDAY, 9, 1
    )
    assert sorted(numbers(spark, items, size=9).collect()) == sorted(conform(VOCABULARY, many).collect())


def test_items_without_metadata_give_nothing(spark):
    assert numbers(spark, [item("a", None)]).count() == 0
    assert numbers(spark, []).count() == 0
