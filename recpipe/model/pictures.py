"""Pictures of items as small arrays of pixels, kept by content hash."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recpipe.errors import UserError
from recpipe.model.kept_arrays import kept_array
from recpipe.sources.pictures import PIXELS_MADE_BY, square_pixels

CHANNELS = 3
"""Red, green and blue."""

THREADS = 2
"""That decode pictures."""


class Landed(NamedTuple):
    """Where a picture lies below `landing/images/`, and the hash and number of its bytes."""

    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class PictureStore:
    """Reads pictures from ``landing``; what was read once lies in ``cache`` and is read from there, also by others."""

    landing: Path
    cache: Path
    size: int  # of a side, in pixels

    def read(self, pictures: Sequence[Landed]) -> NDArray[np.uint8]:
        """(pictures, `CHANNELS`, size, size), from 0 to 255.

        Raises:
            UserError: a picture is not there any more, or is not the one that was taken in.
        """
        pixels = np.zeros((len(pictures), CHANNELS, self.size, self.size), dtype=np.uint8)
        with ThreadPoolExecutor(max_workers=THREADS) as threads:
            for row, found in enumerate(threads.map(self._one, pictures)):
                pixels[row] = found
        return pixels

    def _one(self, picture: Landed) -> NDArray[np.uint8]:
        shape = (CHANNELS, self.size, self.size)
        folder = self.cache / f"{self.size}-{PIXELS_MADE_BY}"
        return kept_array(folder, picture.sha256, shape, np.uint8, lambda: self._decoded(picture))

    def _decoded(self, picture: Landed) -> NDArray[np.uint8]:
        path = self.landing / picture.file
        try:
            with path.open("rb") as file:
                content = file.read(picture.size + 1)  # of another file, no more than tells it from the picture
        except FileNotFoundError:
            raise _other(path, picture.sha256, "no file") from None
        if (sha256 := hashlib.sha256(content).hexdigest()) != picture.sha256:
            raise _other(path, picture.sha256, sha256)
        pixels = np.frombuffer(square_pixels(content, self.size), dtype=np.uint8)
        return np.ascontiguousarray(pixels.reshape(self.size, self.size, CHANNELS).transpose(2, 0, 1))


def _other(path: Path, expected: str, found: str) -> UserError:
    return UserError(
        f"expected the picture with SHA-256 {expected[:12]} at {path}, found {found[:12]}; restore it, or leave image "
        "out of RECPIPE_MODEL__ITEM_INPUTS"
    )
