import shutil

import numpy as np
import PIL
import pytest
from PIL import Image

from recpipe import delta
from recpipe.errors import UserError
from recpipe.model.content import Catalogue, ItemContent, read_catalogue
from recpipe.model.sentences import SentenceStore
from recpipe.sources.pictures import PIXELS_MADE_BY
from recpipe.tables import ITEM_FEATURES
from tests.model.conftest import day
from tests.model.small_models import content, nothing_known
from tests.rows import item_feature


def test_a_row_that_is_not_there_says_nothing():
    taken = content(4).take(np.array([1, -1]))
    assert (taken.brand.tolist(), taken.text.tolist()[1]) == ([2, 0], [0, 0])
    assert taken.says(("brand", "text")).tolist() == [True, False]
    assert len(ItemContent.none(0).take(np.array([-1, -1]))) == 2


def test_an_item_says_what_a_model_reads_and_nothing_else():
    assert content(3).says(("id", "price")).tolist() == [True, True, False]
    assert content(3).says(("id",)).tolist() == [False, False, False]


def test_ranked_are_items_that_were_trained_on_and_those_with_content():
    catalogue = Catalogue(np.array([1, 4, 6, 8], dtype=np.int32), content(4))  # nothing is known of item 8
    known = np.array([4, 9], dtype=np.int32)  # and of 9 not even that it is there
    assert catalogue.rankable(known, ("id", "brand")).numbers.tolist() == [1, 4, 6, 9]
    assert catalogue.rankable(known, ("id", "brand")).content.brand.tolist() == [1, 2, 3, 0]
    assert catalogue.rankable(known, ("id",)).numbers.tolist() == [4, 9]
    assert nothing_known([]).rankable(known, ("brand",)).numbers.tolist() == [4, 9]


def test_a_catalogue_is_what_item_features_told_on_the_day(shop, settings):
    rows = [
        item_feature("b", 5, ds=day(3), tokens=[7, 8, 9], categories=[2], brand=4, price_band=6),
        item_feature("a", 2, ds=day(3), tokens=[], categories=[1, 2], brand=0, price_band=0),
    ]
    delta.overwrite_partition(shop.root, ITEM_FEATURES, rows, day(3))
    found = read_catalogue(settings(), day(3), ("text",), 8)
    assert found.numbers.tolist() == [2, 5]
    assert found.content.text.tolist() == [[0, 0, 0], [7, 8, 9]]
    assert found.content.categories.tolist() == [[1, 2], [2, 0]]
    assert (found.content.brand.tolist(), found.content.price.tolist()) == ([0, 4], [0, 6])
    assert found.content.image.tolist() == [0, 0]
    assert len(read_catalogue(settings(), day(4), ("text", "image"), 8).numbers) == 0


def test_a_title_is_read_by_the_frozen_encoder_and_equal_ones_stand_once(shop, settings):
    titles = ["Linen thread", None, "Garden hose", " Linen thread ", "  "]
    rows = [item_feature(f"i{number}", number, ds=day(3), title=title) for number, title in enumerate(titles)]
    delta.overwrite_partition(shop.root, ITEM_FEATURES, rows, day(3))
    assert not read_catalogue(settings(), day(3), ("text",), 8).content.says(("sentence",)).any()  # nobody asked
    found = read_catalogue(settings(), day(3), ("sentence",), 8).content
    assert found.sentence.tolist() == [1, 0, 2, 1, 0]
    assert found.says(("sentence",)).tolist() == [True, False, True, True, False]
    np.testing.assert_array_equal(found.sentences[1:], SentenceStore(settings().home).read(titles[::2][:2]))
    assert not found.sentences[0].any()


def test_a_picture_is_the_newest_as_of_the_day_and_equal_ones_stand_once(shop, settings, monkeypatch):
    delta.overwrite_partition(
        shop.root, ITEM_FEATURES, [item_feature(f"i{n:05}", n, ds=day(3)) for n in range(4)], day(3)
    )
    for number, shades in {1: {0: 10, 1: 20}, 2: {0: 20, 3: 30}, 4: {1: 40}}.items():
        shop.pictures(shades, arrived_on=number)
    found = read_catalogue(settings(), day(3), ("image",), 8).content
    assert found.pixels[found.image, 0, 4, 4].tolist() == [20, 20, 0, 30]
    assert (len(found.pixels), found.image.tolist()[2]) == (3, 0)
    assert found.says(("image",)).tolist() == [True, True, False, True]
    shutil.rmtree(shop.root.parent / "cache")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)  # what was accepted is read, whatever the limits are now
    assert read_catalogue(settings(), day(3), ("image",), 8).content.pixels.tolist() == found.pixels.tolist()
    [kept] = (shop.root.parent / "cache" / "pictures").iterdir()
    assert kept.name == f"8-{PIXELS_MADE_BY}"
    assert PIL.__version__ in kept.name
    shutil.rmtree(shop.root.parent / "landing")
    assert read_catalogue(settings(), day(3), ("image",), 8).content.pixels.tolist() == found.pixels.tolist()
    shutil.rmtree(shop.root.parent / "cache")
    with pytest.raises(
        UserError, match=r"expected the picture with SHA-256 .* found no file; restore it, or leave image"
    ):
        read_catalogue(settings(), day(3), ("image",), 8)
