import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError
from pyarrow import parquet

from recpipe import delta
from recpipe.model import batches
from recpipe.model.anchors import Rows
from recpipe.model.batches import LISTS, RowsLostError, TrainingFiles
from recpipe.tables import TRAINING_EXAMPLES, TYPE_CODES
from tests.model.conftest import (
    HISTORY_LENGTH,
    Interaction,
    Shop,
    arrow_table,
    day,
    planted_chains,
    training_rows,
)
from tests.model.pyarrow_rows import read_with_pyarrow


def test_every_row_of_one_cut_is_read_once_in_the_order_of_its_key(shop):
    interactions = planted_chains(users=300, items=60, days=30)
    shop.anchor(interactions, anchor=29, cut=20)
    known_at_cut = len({one.user for one in interactions if one.day <= 20})

    files = TrainingFiles.of(shop.root, Rows(day(29), day(20)))
    first, second = files.read(), files.read()

    assert 0 < known_at_cut < 300
    assert len(first) == files.rows == known_at_cut
    assert first.items.shape == first.days.shape == first.types.shape == (known_at_cut, HISTORY_LENGTH + 1)
    assert first.items.dtype == np.int32
    np.testing.assert_array_equal(first.items, second.items)


def test_a_single_row_keeps_its_shape_and_its_padding(shop):
    shop.anchor([Interaction("u", 5, 0), Interaction("u", 3, 2)], anchor=4, cut=1)
    sequences = TrainingFiles.of(shop.root, Rows(day(4), day(4))).read()
    assert sequences.items.tolist() == [[-1] * (HISTORY_LENGTH - 1) + [5, 3]]
    assert sequences.days.tolist() == [[0] * (HISTORY_LENGTH - 1) + [19723, 19725]]
    assert sequences.types.tolist() == [[0] * (HISTORY_LENGTH - 1) + [TYPE_CODES["review"]] * 2]


def test_attributes_of_a_user_come_with_the_row(shop):
    rows = training_rows([Interaction("u", 5, 0), Interaction("v", 3, 2)], anchor=4, until=4)
    told = sorted(rows, key=lambda row: row["shuffle_key"])
    told[1]["attributes"] = [7, 0, 2]
    delta.overwrite_partition(shop.root, TRAINING_EXAMPLES, arrow_table(rows), day(4))
    assert TrainingFiles.of(shop.root, Rows(day(4), day(4))).read().attributes.tolist() == [[0, 0, 0], [7, 0, 2]]


def test_f03_files_of_older_versions_are_not_read(shop):
    shop.anchor(planted_chains(users=100, items=60, days=30), anchor=29, cut=20)
    shop.anchor(planted_chains(users=50, items=60, days=30, seed=2), anchor=29, cut=20)
    files = TrainingFiles.of(shop.root, Rows(day(29), day(29)))
    assert len(list((shop.root / "training_examples").rglob("*.parquet"))) > len(files.files)
    assert len(files.read()) == 50


def test_f01_a_row_too_few_stops_the_run(shop):
    shop.anchor(planted_chains(users=50, items=60, days=30), anchor=29, cut=20)
    files = TrainingFiles.of(shop.root, Rows(day(29), day(29)))
    more = TrainingFiles(files.files, files.rows + 1, files.version)
    with pytest.raises(RowsLostError, match=r"expected 51 training examples .* gave 50"):
        more.read()


def test_f08_rows_of_many_row_groups_are_read_once_each(tmp_path):
    table = arrow_table(training_rows(planted_chains(users=50, items=60, days=30), anchor=29, until=29))
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=7)
    sequences = TrainingFiles((str(tmp_path / "rows.parquet"),), rows=50, version=0).read()
    in_order = table.sort_by("shuffle_key")["items"].to_pylist()
    assert sequences.items.tolist() == in_order


def test_f06_a_field_that_petastorm_leaves_out_stops_the_run(shop, monkeypatch):
    shop.anchor(planted_chains(users=50, items=60, days=30), anchor=29, cut=20)
    monkeypatch.setattr(batches, "make_batch_reader", without_types(batches.make_batch_reader))
    with pytest.raises(RowsLostError, match=r"expected the fields items, days, types.*found no types"):
        TrainingFiles.of(shop.root, Rows(day(29), day(29))).read()


def without_types(make_reader):
    def make(*arguments, schema_fields, **options):
        return make_reader(*arguments, schema_fields=[name for name in schema_fields if name != "types"], **options)

    return make


BIG = 2**53 + 1  # which a float cannot hold


@pytest.mark.parametrize("name", ["shuffle_key", "length", "items"])
def test_f04_a_null_is_refused_by_the_table_and_by_who_reads_a_file_that_has_one(shop, tmp_path, name):
    rows = training_rows([Interaction("u", 5, 0), Interaction("v", 3, 2)], anchor=4, until=4)
    rows[0]["shuffle_key"] = BIG
    rows[1][name] = [None, *rows[1][name][1:]] if isinstance(rows[1][name], list) else None
    with pytest.raises((ValueError, DeltaError), match=r"found 1 others|cannot contain nulls"):
        delta.overwrite_partition(shop.root, TRAINING_EXAMPLES, pa.Table.from_pylist(rows), day(4))
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    with pytest.raises(RowsLostError, match=f"expected whole numbers without a null in {name}, found float64"):
        TrainingFiles((str(tmp_path / "rows.parquet"),), rows=2, version=0).read()


@pytest.mark.parametrize("items", [[1, 2], None], ids=["shorter", "null"])
def test_f05_lists_of_several_lengths_stop_the_run(tmp_path, items):
    rows = training_rows([Interaction("u", 5, 0), Interaction("v", 3, 2)], anchor=4, until=4)
    rows[1]["items"] = items
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    with pytest.raises(RowsLostError, match="expected lists of one length"):
        TrainingFiles((str(tmp_path / "rows.parquet"),), rows=2, version=0).read()


def test_f09_a_reader_without_an_end_stops_the_run(shop, monkeypatch):
    shop.anchor(planted_chains(users=50, items=60, days=30), anchor=29, cut=20)
    make = batches.make_batch_reader
    monkeypatch.setattr(
        batches, "make_batch_reader", lambda *files, **options: make(*files, **options | {"num_epochs": None})
    )
    with pytest.raises(RowsLostError, match="expected 50 training examples"):
        TrainingFiles.of(shop.root, Rows(day(29), day(29))).read()


def test_f09_a_reader_that_is_stuck_says_where(shop):
    code = (
        "import sys, time, datetime, pathlib\n"
        "from recpipe.model import batches\n"
        "batches.STUCK_SECONDS, whole = 0.2, batches.TrainingFiles._chunks\n"
        "def slow(files):\n"
        "    time.sleep(0.5)\n"
        "    yield from whole(files)\n"
        "batches.TrainingFiles._chunks = slow\n"
        "day = datetime.date.fromisoformat(sys.argv[2])\n"
        "print(len(batches.TrainingFiles.of(pathlib.Path(sys.argv[1]), (day, day)).read()))\n"
    )
    shop.anchor(planted_chains(users=50, items=60, days=30), anchor=29, cut=20)
    command = [sys.executable, "-c", code, str(shop.root), day(29).isoformat()]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "50\n"
    assert re.search(r"Timeout .*in slow", ended.stderr, re.DOTALL)


def test_padding_that_the_lists_do_not_share_stops_the_run(shop, monkeypatch):
    shop.anchor([Interaction("u", 5, 0)], anchor=4, cut=1)
    whole = TrainingFiles._chunks
    monkeypatch.setattr(
        TrainingFiles, "_chunks", lambda self: (chunk._replace(types=chunk.types + 1) for chunk in whole(self))
    )
    with pytest.raises(RowsLostError, match="one shape and padding"):
        TrainingFiles.of(shop.root, Rows(day(4), day(4))).read()


def test_a_folder_with_a_space_is_read(tmp_path):
    shop = Shop(tmp_path / "my lake")
    shop.anchor([Interaction("u", 5, 0)], anchor=4, cut=1)
    assert len(TrainingFiles.of(shop.root, Rows(day(4), day(4))).read()) == 1


def test_f11_processes_that_read_end_well(shop):
    shop.anchor(planted_chains(users=50, items=60, days=30), anchor=29, cut=20)
    code = (
        "import sys, datetime, pathlib\n"
        "from recpipe.model.batches import TrainingFiles\n"
        "day = datetime.date.fromisoformat(sys.argv[2])\n"
        "print(len(TrainingFiles.of(pathlib.Path(sys.argv[1]), (day, day)).read()))\n"
    )
    command = [sys.executable, "-c", code, str(shop.root), day(29).isoformat()]
    several = [  # at once: on a busy machine one in three was seen to abort
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)
    ]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in several]
    assert ended == [("50\n", "", 0)] * 6


def test_petastorm_gives_what_pyarrow_alone_reads(shop):
    shop.anchor(planted_chains(users=300, items=60, days=30), anchor=29, cut=20)
    files = TrainingFiles.of(shop.root, Rows(day(29), day(29)))
    ours, theirs = files.read(), read_with_pyarrow(files.files)
    assert len(ours) == 300
    for name in LISTS:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        assert getattr(ours, name).dtype == getattr(theirs, name).dtype == np.int32
