"""Table recommendations: each user's best unseen items, by the two towers' vectors, else by popularity."""

from collections.abc import Iterator
from datetime import date

import faiss
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from recpipe.tables import STRANGER
from recpipe.transforms.top_k import LISTS, Catalogue, rank_block

USERS_A_BLOCK = 1024


def visitors(users: DataFrame, user_embeddings: DataFrame) -> DataFrame:
    """Who gets a list: each of ``users``, and strangers, who have no history.

    Columns: user_id, seen (numbers of the items that are not recommended again, or null), embedding and model_version
    (or null).
    """
    strangers = users.sparkSession.createDataFrame([(STRANGER, None)], "user_id string, seen array<int>")
    vectors = user_embeddings.select("user_id", "embedding", "model_version")
    return users.select("user_id", "seen").union(strangers).join(vectors, "user_id", "left")


def recommendations(visitors: DataFrame, items: Catalogue, ds: date, k: int) -> DataFrame:
    """At most ``k`` unseen items for each visitor; rank 1 is the best. Visitors without a vector get popular items."""
    shared = visitors.sparkSession.sparkContext.broadcast(items)

    def rank_blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        faiss.omp_set_num_threads(1)  # Spark runs a worker on each core already
        for batch in batches:
            for start in range(0, batch.num_rows, USERS_A_BLOCK):
                yield rank_block(batch.slice(start, USERS_A_BLOCK), shared.value, k)

    by_towers = F.col("source") == "two_tower"
    return visitors.mapInArrow(rank_blocks, from_arrow_schema(LISTS)).withColumns(
        {"ds": F.lit(ds), "model_version": F.when(by_towers, F.lit(items.model_version).cast("string"))}
    )
