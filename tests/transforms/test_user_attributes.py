from recpipe.tables import USERS, VOCABULARY
from recpipe.transforms.user_attributes import attribute_counts, user_attributes, with_attributes
from tests.frames import frame
from tests.rows import MONDAY, user


def word(field, token, token_id):
    return {"ds": MONDAY, "field": field, "token": token, "token_id": token_id, "items": 2}


def test_each_attribute_has_its_place_and_its_number_and_none_is_zero(spark):
    numbered = [word("attribute", "age 25", 4), word("attribute", "occupation f", 5), word("brand", "gender f", 6)]
    told = [user("U1", age=29, gender="F", occupation="F"), user("U2", age=30), user("U3", age=25)]
    found = user_attributes(frame(spark, USERS, *told), frame(spark, VOCABULARY, *numbered)).collect()
    assert {row.user_id: row.attributes for row in found} == {"U1": [4, 0, 5], "U2": [0, 0, 0], "U3": [4, 0, 0]}


def test_a_user_whom_nobody_told_of_has_no_attribute(spark):
    users = spark.createDataFrame([("U1",), ("U2",)], "user_id string")
    told = user_attributes(
        frame(spark, USERS, user("U1", age=3)), frame(spark, VOCABULARY, word("attribute", "age 0", 1))
    )
    found = with_attributes(users, told).collect()
    assert {row.user_id: (row.age, row.attributes) for row in found} == {"U1": (3, [1, 0, 0]), "U2": (None, [0, 0, 0])}


def test_users_are_counted_by_attribute(spark):
    told = [user("U1", age=18, gender="M"), user("U2", age=19, gender="m", occupation="Baker"), user("U3")]
    found = {(row.field, row.token): row["items"] for row in attribute_counts(frame(spark, USERS, *told)).collect()}
    tokens = {"age 15": 2, "gender m": 2, "occupation baker": 1}
    assert found == {("attribute", token): count for token, count in tokens.items()}
