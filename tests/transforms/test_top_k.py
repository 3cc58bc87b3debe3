"""Search over vectors, without Spark."""

from string import ascii_lowercase

import numpy as np
import pyarrow as pa
import pytest

from recpipe.errors import UserError
from recpipe.transforms import top_k
from recpipe.transforms.top_k import Catalogue, best_unseen, rank_block

MODEL = "2024-01-01-0123456789ab"


def catalogue(popularity_30d, vectors=None):
    """Items a, b, c, … numbered backwards, with their recent popularity and, for some, a vector."""
    ids = [chr(ord("a") + place) for place in range(len(popularity_30d))]
    features = {"item_id": ids, "item_index": list(range(len(ids)))[::-1], "popularity_30d": popularity_30d}
    vectors = vectors or {}
    embeddings = {
        "item_id": pa.array(list(vectors), pa.string()),
        "embedding": pa.array(list(vectors.values()), pa.list_(pa.float32())),
        "model_version": pa.array([MODEL] * len(vectors), pa.string()),
    }
    return Catalogue.of(pa.table({**features, "popularity": [0] * len(ids)}), pa.table(embeddings))


def lists(items, k, *users):
    """Of users (id, seen items as text, vector or None): user -> [(item, score, source)]."""
    number = {item: len(items.item_ids) - 1 - place for place, item in enumerate(items.item_ids.to_pylist())}
    block = pa.record_batch(
        {
            "user_id": [user for user, _, _ in users],
            "seen": pa.array([[number[item] for item in seen] or None for _, seen, _ in users], pa.list_(pa.int32())),
            "embedding": pa.array([vector for _, _, vector in users], pa.list_(pa.float32())),
            "model_version": pa.array([MODEL if vector else None for _, _, vector in users], pa.string()),
        }
    )
    found = {user: [] for user, _, _ in users}
    for row in rank_block(block, items, k).to_pylist():
        found[row["user_id"]].append((row["item_id"], row["score"], row["source"]))
        assert row["rank"] == len(found[row["user_id"]])
    return found


def names(found):
    return {user: "".join(item for item, _, _ in rows) for user, rows in found.items()}


def test_items_come_by_dot_product_and_their_source_is_told():
    items = catalogue([0, 0, 0], {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [2.0, 2.0]})
    found = lists(items, 2, ("U1", "", [1.0, 0.5]))
    assert found == {"U1": [("c", 3.0, "two_tower"), ("a", 1.0, "two_tower")]}


def test_popular_items_fill_a_list_up_by_recent_popularity_and_then_by_id():
    items = catalogue([1, 5, 0, 5, 9], {"a": [1.0], "c": [2.0]})
    found = lists(items, 5, ("U1", "e", [1.0]))
    assert names(found) == {"U1": "cabd"}
    assert found["U1"][2:] == [("b", 5.0, "popular"), ("d", 5.0, "popular")]


def test_d04_a_user_without_a_vector_gets_popular_unseen_items():
    items = catalogue([3, 2, 1], {"c": [1.0]})
    assert lists(items, 2, ("U99", "a", None)) == {"U99": [("b", 2.0, "popular"), ("c", 1.0, "popular")]}


def test_d08_a_vector_that_is_not_finite_stops_the_run():
    with pytest.raises(UserError, match="expected finite vectors, found 1 that are not, such as that of b"):
        catalogue([0, 0], {"a": [1.0], "b": [float("nan")]})
    with pytest.raises(UserError, match="such as that of U2"):
        lists(catalogue([0], {"a": [1.0]}), 1, ("U1", "", [1.0]), ("U2", "", [float("inf")]))
    with pytest.raises(UserError, match="expected finite scores"):
        lists(catalogue([0], {"a": [3e38]}), 1, ("U1", "", [3e38]))


def test_d10_fewer_items_than_k_give_as_many_ranks():
    items = catalogue([1, 2], {"a": [1.0], "b": [2.0]})
    assert names(lists(items, 10, ("U1", "", [1.0]), ("U2", "", None))) == {"U1": "ba", "U2": "ba"}


def test_d11_seen_items_are_left_out_before_the_list_is_cut():
    items = catalogue([0] * 10, {item: [float(n)] for n, item in enumerate("abcdefghij")})
    found = lists(items, 5, ("U1", "abcdefghj", [1.0]), ("U2", "abcdefghj", None), ("U3", "abcdefghij", [1.0]))
    assert names(found) == {"U1": "i", "U2": "i", "U3": ""}


def test_equal_scores_go_to_the_smaller_item_id_however_many_are_equal():
    items = catalogue([0] * 26, {item: [1.0] for item in ascii_lowercase})
    assert names(lists(items, 3, ("U1", "", [1.0]), ("U2", "ac", [1.0]))) == {"U1": "abc", "U2": "bde"}


def test_scores_that_differ_below_six_decimals_are_equal_though_a_search_finds_the_others_first():
    items = catalogue([0] * 26, {item: [0.1 + n * 1e-8] for n, item in enumerate(ascii_lowercase)})
    assert names(lists(items, 3, ("U1", "", [1.0]))) == {"U1": "abc"}


def random_case(users=70, count=400, size=8):
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(count, size)).round(1)  # rounded, so that scores tie
    items = Catalogue(
        item_ids=pa.array([f"{place:04}" for place in range(count)]),
        place_of=np.arange(count),
        popular=np.arange(count),
        popularity=np.zeros(count),
        places=np.arange(count),
        vectors=vectors.astype(np.float32),
        model_version=MODEL,
    )
    seen = [generator.choice(count, generator.integers(0, count), replace=False) for _ in range(users)]
    return generator.normal(size=(users, size)).round(1).astype(np.float32), seen, items


def test_lists_equal_those_of_a_slow_full_sort():
    users, seen, items = random_case()
    for user, of_user, (places, scores) in zip(users, seen, best_unseen(users, seen, items, 10), strict=True):
        full = np.round(items.vectors.astype(np.float64) @ user.astype(np.float64), 6)
        slow = [place for place in np.lexsort((np.arange(len(full)), -full)) if place not in set(of_user)][:10]
        assert places.tolist() == slow
        assert scores.tolist() == full[slow].tolist()


def test_lists_do_not_depend_on_the_users_beside_nor_on_the_size_of_a_search(monkeypatch):
    users, seen, items = random_case(users=30)
    together = best_unseen(users, seen, items, 10)
    alone = [best_unseen(users[row : row + 1], seen[row : row + 1], items, 10)[0] for row in range(30)]
    monkeypatch.setattr(top_k, "CELLS_A_SEARCH", 100)
    narrow = best_unseen(users, seen, items, 10)
    for one, two, three in zip(together, alone, narrow, strict=True):
        assert one[0].tolist() == two[0].tolist() == three[0].tolist()
        assert one[1].tolist() == two[1].tolist() == three[1].tolist()


def test_vectors_of_two_models_or_lengths_do_not_mix():
    items = catalogue([0], {"a": [1.0]})
    block = {"user_id": ["U1"], "seen": pa.array([None], pa.list_(pa.int32()))}
    vector = pa.array([[1.0]], pa.list_(pa.float32()))
    with pytest.raises(UserError, match=f"expected users' vectors of the items' model {MODEL}, found other"):
        rank_block(pa.record_batch({**block, "embedding": vector, "model_version": ["other"]}), items, 1)
    with pytest.raises(UserError, match="expected users' vectors of the items' length 1, found 2"):
        lists(items, 1, ("U1", "", [1.0, 2.0]))
    with pytest.raises(UserError, match=r"expected vectors of one length, found \[1, 2\]"):
        catalogue([0, 0], {"a": [1.0], "b": [1.0, 2.0]})


def test_a_vector_of_an_item_that_the_day_does_not_know_is_refused():
    with pytest.raises(UserError, match="expected vectors of the day's items, found 1 of others; run embed again"):
        catalogue([0], {"a": [1.0], "z": [1.0]})
