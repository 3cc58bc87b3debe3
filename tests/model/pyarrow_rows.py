"""Training rows by pyarrow alone: what Petastorm's are compared with."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from recpipe.model.batches import LISTS
from recpipe.model.examples import Sequences


def read_with_pyarrow(files: Sequence[str]) -> Sequences:
    """All rows of the files, in the order of shuffle_key."""
    rows = pa.concat_tables(parquet.ParquetFile(file).read([*LISTS, "shuffle_key"]) for file in files)
    rows = rows.sort_by("shuffle_key").combine_chunks()
    return Sequences(*(np.array(rows[name].to_pylist(), dtype=np.int32) for name in LISTS))
