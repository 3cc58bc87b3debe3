"""Arrays that are long to make, kept in a file each, named by the hash of what they are made of."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from recpipe.files import whole


def kept_array(
    folder: Path, sha256: str, shape: tuple[int, ...], dtype: DTypeLike, make: Callable[[], NDArray]
) -> NDArray:
    """The array of ``sha256`` as it lies in ``folder``, else what ``make`` gives, which lies there from then on.

    Others may read and write there at the same time. A file of another length was cut short, and is made anew.
    """
    file = folder / sha256[:2] / sha256
    if file.exists() and file.stat().st_size == np.prod(shape) * np.dtype(dtype).itemsize:
        return np.fromfile(file, dtype=dtype).reshape(shape)
    found = make()
    with whole(file) as staged:
        found.tofile(staged)
    return found
