"""`sources.pictures`, which needs Pillow and thus the spark environment; no session."""

import hashlib
import io

import pytest
from PIL import Image

from recpipe.sources.pictures import Limits, Picture, examine
from tests.pictures import gif, png

LIMITS = Limits(max_bytes=100_000, max_pixels=10_000)


def saved(format_, size=(20, 10), **options):
    file = io.BytesIO()
    Image.effect_noise(size, 50).save(file, format_, **options)
    return file.getvalue()


@pytest.fixture
def examined(tmp_path):
    def examined(content, name="I1.jpg", limits=LIMITS):
        (tmp_path / name).write_bytes(content)
        return examine(tmp_path / name, limits)

    return examined


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp", "gif"])
def test_a_whole_picture_is_told_by_its_bytes_and_not_by_its_name(examined, format_):
    content = saved(format_)
    found = examined(content, "B0%2F1.jpg")
    assert found == Picture("B0/1", hashlib.sha256(content).hexdigest(), format_, 20, 10, len(content))


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp", "gif"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_picture_that_was_cut_is_broken(examined, format_, share):
    content = saved(format_, (90, 90))
    assert examined(content[: int(len(content) * share)]).reason == "broken_picture"


def test_pictures_made_of_bytes_are_good_ones(examined):
    assert examined(png(3, 2), "I1.png")[2:5] == ("png", 3, 2)


def test_of_an_animated_picture_the_first_frame_counts(examined):
    assert examined(gif(frames=1000), "I1.gif")[2:5] == ("gif", 1, 1)
    second_cut = gif(frames=1)[:-1] + b"\x2c\0"
    assert examined(second_cut, "I1.gif")[2:5] == ("gif", 1, 1)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(png(100_000, 100_000, rows=1), id="by far"),
        pytest.param(png(101, 100, rows=1), id="by a little"),
        pytest.param(gif(frame_width=20_000), id="a frame larger than the header says"),
        pytest.param(gif(65_535, 65_535), id="gif"),
    ],
)
def test_a_picture_that_is_huge_by_its_header_is_never_decoded(examined, content, monkeypatch):
    def decoded(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile._get_oserror", decoded)
    monkeypatch.setattr("PIL.Image._getdecoder", decoded)
    assert examined(content).reason == "picture_too_large"


def test_the_limits_are_those_of_the_largest_picture_that_is_taken(examined):
    content = png(100, 100)
    assert examined(content, limits=Limits(len(content), 10_000))[3:] == (100, 100, len(content))
    assert examined(content, limits=Limits(len(content) - 1, 10_000)).reason == "file_too_large"
    assert examined(content, limits=Limits(len(content), 9_999)).reason == "picture_too_large"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("I1.jpg", b"", "empty_file"),
        ("I1.jpg", b"<html>404</html>", "not_a_picture"),
        ("I1.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n" * 20, "not_a_picture"),
        ("I1.bmp", saved("bmp"), "not_a_picture"),
        ("I1.png", b"\x89PNG\r\n\x1a\n", "broken_picture"),
        ("I1.jpg", b"\xff\xd8\xff" + b"\xff\xda" * 300, "too_many_scans"),
        ("%20.png", png(), "bad_item"),
        ("cover", png(), "bad_item"),
    ],
)
def test_what_is_no_picture_is_rejected_with_a_reason(examined, name, content, reason):
    found = examined(content, name)
    assert (found.reason, found.sha256) == (reason, hashlib.sha256(content).hexdigest())


def test_a_file_that_cannot_be_read_is_no_broken_picture(tmp_path):
    with pytest.raises(OSError, match="directory"):
        examine(tmp_path, LIMITS)
