"""The vectors of a day, as the model that the day uses gives them."""

from datetime import date

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from recpipe import delta
from recpipe.errors import UserError
from recpipe.job import JobResult
from recpipe.model.anchors import Decision, item_numbering
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.content import read_catalogue
from recpipe.model.contest import with_vectors
from recpipe.model.examples import read_user_histories
from recpipe.model.ranks import Ranks
from recpipe.model.registry import Registry
from recpipe.model.training import vectors
from recpipe.settings import Settings
from recpipe.tables import ITEM_EMBEDDINGS, ITEM_INDEX, USER_EMBEDDINGS


def embed_day(settings: Settings, ds: date, decision: Decision) -> JobResult:
    """Write the vectors of every item that the model knows or that has content which it learned of, and of every user
    who had such an item.

    Raises:
        UserError: the model is missing, or belongs to other item numbers.
        ValueError: a vector is not finite.
    """
    torch.set_num_threads(settings.model.threads)  # as in training: another number may round sums differently
    checkpoint = Registry(settings.registry).load(decision.model_version)
    checkpoint.require_numbering(item_numbering(settings.lake, checkpoint.known_on))
    torch_model = checkpoint.model.to(Ranks.here().device)
    config = torch_model.config
    users_of_day = read_user_histories(settings.lake, ds, config.user.history_length)
    catalogue = read_catalogue(settings, ds, config.item.inputs, config.item.image_size)
    ranked = catalogue.rankable(checkpoint.known, config.item.inputs)
    user_vectors, item_vectors = vectors(torch_model, checkpoint.known, users_of_day.histories, ranked)
    whom, which = with_vectors(users_of_day.histories, ranked.numbers, item_vectors)
    numbers, item_vectors = ranked.numbers[which], item_vectors[which]
    users = _rows(ds, user_vectors[whom], checkpoint, user_id=users_of_day.user_ids.filter(pa.array(whom)))
    items = _rows(
        ds,
        item_vectors,
        checkpoint,
        item_id=_item_ids(settings, ds, checkpoint, numbers),
        item_index=pa.array(numbers, pa.int32()),
    )
    # Users first: the lists go by the items' model, which a stop between the two leaves as it was.
    versions = {
        USER_EMBEDDINGS.name: delta.overwrite_partition(settings.lake, USER_EMBEDDINGS, users, ds),
        ITEM_EMBEDDINGS.name: delta.overwrite_partition(settings.lake, ITEM_EMBEDDINGS, items, ds),
    }
    return JobResult(
        f"model {checkpoint.model_version}: vectors for {len(users)} of {len(whom)} users and {len(items)} items",
        rows_in={"user_features": len(whom)},
        rows_out={ITEM_EMBEDDINGS.name: len(items), USER_EMBEDDINGS.name: len(users)},
        versions=versions,
    )


def _item_ids(settings: Settings, ds: date, checkpoint: Checkpoint, numbers: NDArray[np.int32]) -> pa.ChunkedArray:
    """The ids of the items, in their order. Later rows may be left-overs of an ingest that was stopped, see there."""
    with delta.connect(settings.lake, [ITEM_INDEX]) as lake:
        rows = lake.sql(
            "select item_id from item_index where first_arrived_on <= $ds "
            "and item_index in (select unnest($numbers::integer[])) order by item_index",
            params={"ds": ds, "numbers": numbers.tolist()},
        ).to_arrow_table()
    if len(rows) != len(numbers):
        raise UserError(
            f"expected the {len(numbers)} items of model {checkpoint.model_version} in item_index, found "
            f"{len(rows)}; the model belongs to another lake"
        )
    return rows["item_id"]


def _rows(ds: date, embedding: NDArray[np.float32], checkpoint: Checkpoint, **ids: pa.Array) -> pa.Table:
    """One row a vector, checked: Spark's audit does not see what is written here.

    Raises:
        ValueError: a vector is not finite, or ids and vectors do not match.
    """
    count, size = embedding.shape
    key = next(iter(ids.values()))
    if not np.isfinite(embedding).all():
        raise ValueError(f"expected finite vectors from {checkpoint.model_version}, found NaN or infinity")
    if len(key) != count or len(key.unique()) != count:
        raise ValueError(f"expected {count} different {next(iter(ids))}, found {len(key.unique())} in {len(key)} rows")
    vectors_type = pa.list_(pa.field("element", pa.float32(), nullable=False))
    offsets = pa.array(np.arange(count + 1) * size, pa.int32())
    lists = pa.ListArray.from_arrays(offsets, pa.array(embedding.reshape(-1)), type=vectors_type)
    days = pa.array(np.full(count, ds, dtype="datetime64[D]"))
    versions = pa.array([checkpoint.model_version] * count, pa.string())
    return pa.table({"ds": days, **ids, "embedding": lists, "model_version": versions})
