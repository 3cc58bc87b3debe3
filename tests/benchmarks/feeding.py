"""What it costs to feed an epoch by Petastorm, beside one over the same tensors in memory.

The rows are those of Beauty (Amazon 2014), as a version of table `training_examples`, and the model is the default one.
Trainings of both kinds take turns in one run, since machines are noisy; the first epoch of each counts for neither.

`make bench-feeding` takes some minutes.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from recpipe import delta
from recpipe.model.anchors import Rows
from recpipe.model.batches import LISTS, TrainingFiles
from recpipe.model.examples import Sequences
from recpipe.model.training import train
from recpipe.model_settings import ModelSettings
from recpipe.tables import TRAINING_EXAMPLES
from tests.benchmarks import public_data
from tests.model.conftest import day
from tests.model.pyarrow_rows import read_with_pyarrow

MOST = 1.05
EPOCHS, TURNS, LENGTH = 4, 2, 50


def written(root: Path, sequences: Sequences) -> TrainingFiles:
    """The sequences as the rows of an anchor day, in a drawn order."""
    delta.create_tables(root)
    count, type_ = len(sequences), pa.list_(pa.field("element", pa.int32(), nullable=False))
    lists = {}
    for name in LISTS:
        values = getattr(sequences, name)
        offsets = np.arange(count + 1, dtype=np.int32) * values.shape[1]
        lists[name] = pa.ListArray.from_arrays(offsets, values.ravel(), type=type_)
    rows = {
        "ds": pa.array([day(0)] * count),
        "until": pa.array([day(0)] * count),
        **lists,
        "length": pa.array((sequences.items >= 0).sum(axis=1).astype(np.int32)),
        "shuffle_key": pa.array(np.random.default_rng(0).integers(2**62, size=count)),
    }
    delta.overwrite_partition(root, TRAINING_EXAMPLES, pa.table(rows), day(0))
    return TrainingFiles.of(root, Rows(day(0), day(0)))


def seconds(function) -> float:
    began = time.monotonic()
    function()
    return time.monotonic() - began


def main() -> int:
    if not public_data.REAL.exists():
        print(f"skipped: the data is not here, {public_data.REAL}")
        return 0
    shop = public_data.amazon("Beauty")
    with tempfile.TemporaryDirectory() as folder:
        files = written(Path(folder) / "lake", shop.histories(LENGTH + 1, 2))
        in_memory = read_with_pyarrow(files.files)
        found: dict[str, list[float]] = {"Petastorm": [], "memory": []}
        for _ in range(TURNS):
            for name, read in (("Petastorm", files.read), ("memory", lambda: in_memory)):
                print(f"fed by {name}", flush=True)
                log = train(read, shop.catalogue, ModelSettings(), 1, epochs=EPOCHS).log
                found[name] += [len(in_memory) / epoch.rows_per_second for epoch in log[1:]]
        reading = {"Petastorm": seconds(files.read), "pyarrow": seconds(lambda: read_with_pyarrow(files.files))}
    ratio = median(found["Petastorm"]) / median(found["memory"])
    print(
        f"\nan epoch of {len(in_memory):,} rows, seconds: "
        + ", ".join(f"{name} {median(each):.1f} ({min(each):.1f} to {max(each):.1f})" for name, each in found.items())
    )
    print("reading alone, seconds: " + ", ".join(f"{name} {each:.2f}" for name, each in reading.items()))
    print(json.dumps({"ratio": round(ratio, 3), "at_most": MOST, "met": ratio <= MOST}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
