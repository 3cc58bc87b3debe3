"""Tokens of metadata, without Spark."""

from recpipe.transforms.item_content import PRICE_BOUNDS, content_of, price_band
from recpipe.transforms.item_tokens import LONGEST_NAME, LONGEST_WORD, MOST_LEVELS, category_paths, tokens, words
from tests.rows import item

NUMBERS = {"text": {"red": 1, "mug": 2, "toys": 3}, "category": {"Toys": 1, "Toys > Cars": 2}, "brand": {"acme": 1}}


def test_words_are_letters_and_digits_of_any_script_in_lower_case():
    assert list(words("Red MUG, 2-pack_x")) == ["red", "mug", "2", "pack", "x"]
    assert list(words("Ünïcode ЧАЙНИК ٣")) == ["ünïcode", "чайник", "٣"]
    assert list(words("cafe\u0301")) == list(words("caf\u00e9")) == ["café"]
    assert list(words("茶杯 red")) == ["茶", "杯", "red"]
    assert list(words(" \n—!")) == []


def test_a_word_that_is_too_long_is_left_out():
    assert list(words(f"a {'x' * LONGEST_WORD} {'y' * (LONGEST_WORD + 1)} b")) == ["a", "x" * LONGEST_WORD, "b"]


def test_each_beginning_of_a_path_is_a_token_so_that_cars_of_toys_are_not_cars_of_books():
    assert category_paths(["Toys", "Cars"]) == ["Toys", "Toys > Cars"]
    assert set(category_paths(["Books", "Cars"])).isdisjoint(category_paths(["Toys", "Cars"]))
    assert category_paths([]) == []


def test_an_endless_path_is_cut():
    paths = category_paths(["x" * 10_000] * 10_000)
    assert len(paths) == MOST_LEVELS
    assert max(map(len, paths)) < MOST_LEVELS * (LONGEST_NAME + 3)


def test_the_text_is_title_categories_and_description_and_a_brand_is_one_token():
    made = item("a", "Red mug", categories=["Home"], description="Big.", brand=" ACME  Corp ")
    found = {field: list(its) for field, its in tokens(made).items()}
    assert found == {"text": ["red", "mug", "home", "big"], "category": ["Home"], "brand": ["acme corp"]}
    assert {field: list(its) for field, its in tokens(item("a", None)).items()} == {
        "text": [],
        "category": [],
        "brand": [],
    }


def test_content_holds_the_numbers_of_known_tokens_alone():
    made = item("a", "Red old mug", categories=["Toys", "Cars", "New"], brand="Acme", price=3.0)
    found = content_of(made, NUMBERS, 32)
    assert (found["tokens"], found["categories"], found["brand"], found["price_band"]) == ([1, 2, 3], [1, 2], 1, 3)
    assert content_of(made, NUMBERS, 2)["tokens"] == [1, 2]
    nothing = content_of(made, {}, 32)
    assert (nothing["tokens"], nothing["categories"], nothing["brand"]) == ([], [], 0)


def test_a_price_band_depends_on_the_price_alone():
    assert [price_band(price) for price in (None, 0.0, 0.99, 1.0, 1.99, 2.0, 5.0, 1e9)] == [0, 1, 1, 2, 2, 3, 4, 28]
    assert list(PRICE_BOUNDS[:5]) == [1, 2, 5, 10, 20]
