"""What a picture file is: a whole picture of a known format and bearable size, or a reason why not. The only Pillow.

Everything that can be told without decoding comes first: the size of the file, its first bytes, the pixels that its
header names. Only what is within the limits is decoded, since only that finds the broken ones.
"""

import hashlib
import io
import warnings
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL import __version__ as PILLOW

from recpipe.images import MAGIC_BYTES, format_of, item_of

MOST_SCANS = 200
"""Passes over a progressive JPEG; encoders write about ten. Each costs a decoding, and an empty one some bytes."""

_SCAN = b"\xff\xda"  # in the data between markers, 0xFF is never followed by this


class Limits(NamedTuple):
    max_bytes: int
    max_pixels: int


class Picture(NamedTuple):
    """The columns of table images that a file tells."""

    item_id: str
    sha256: str
    format: str  # one of tables.PICTURE_FORMATS
    width: int  # of the first frame, as are all that follow
    height: int
    bytes: int


class RejectedPicture(NamedTuple):
    reason: (
        str  # bad_item, not_a_picture, broken_picture, empty_file, file_too_large, picture_too_large, too_many_scans
    )
    sha256: str


def examine(path: Path, limits: Limits) -> Picture | RejectedPicture:
    """Look at a file in memory bounded by the limits.

    Raises:
        OSError: the file cannot be read, which says nothing about the picture.
    """
    with path.open("rb") as file:
        content = file.read(limits.max_bytes + 1)
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    item_id, format_ = item_of(path.name), format_of(content[:MAGIC_BYTES])
    if reason := _reason_before_decoding(content, item_id, format_, limits):
        return RejectedPicture(reason, sha256)
    try:
        width, height = _decoded_size(content, format_, limits.max_pixels)
    except (_TooLargeError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return RejectedPicture("picture_too_large", sha256)
    except Exception:  # a decoder meets anything in a file; no file may end a night
        return RejectedPicture("broken_picture", sha256)
    return Picture(item_id, sha256, format_, width, height, len(content))


def _reason_before_decoding(content: bytes, item_id: str | None, format_: str | None, limits: Limits) -> str | None:
    if not content:
        return "empty_file"
    if format_ is None:
        return "not_a_picture"
    if item_id is None:
        return "bad_item"
    if len(content) > limits.max_bytes:
        return "file_too_large"
    return "too_many_scans" if format_ == "jpeg" and content.count(_SCAN) > MOST_SCANS else None


class _TooLargeError(Exception):
    pass


def _decoded_size(content: bytes, format_: str, max_pixels: int) -> tuple[int, int]:
    """Width and height of the first frame, once all of it was decoded."""
    with warnings.catch_warnings():
        # Pillow only warns up to twice its limit, and a frame of a GIF may be larger than the header says.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = max_pixels
        with Image.open(io.BytesIO(content), formats=[format_.upper()]) as picture:
            if picture.width * picture.height > max_pixels:
                raise _TooLargeError
            picture.load()
            if not picture.width or not picture.height:
                raise UnidentifiedImageError
            return picture.size


PIXELS_MADE_BY = f"1-pillow-{PILLOW}"
"""The way of `square_pixels`: other ones may give other pixels."""


def square_pixels(content: bytes, size: int) -> bytes:
    """The first frame of a picture that was accepted, however large, brought to ``size`` pixels a side on a white
    ground.

    Gives size x size x 3 bytes: row after row, red, green and blue.
    """
    format_ = format_of(content[:MAGIC_BYTES])
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(io.BytesIO(content), formats=[format_.upper()]) as picture:
        picture.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded no larger than it need be
        whole = picture.convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    return ImageOps.pad(on_white, (size, size), color="white").tobytes()
