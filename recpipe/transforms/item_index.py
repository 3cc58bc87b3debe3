"""Table item_index."""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from recpipe.tables import ITEM_INDEX
from recpipe.transforms.lines import union


def item_index(known: DataFrame, naming: list[DataFrame], first: date) -> DataFrame:
    """Number the items that the ``naming`` frames, of arrivals from ``first`` on, name first.

    Days in order, by item_id within a day, going on after the greatest number of earlier arrivals. Rows of ``known``
    from ``first`` on are left-overs of a run that was stopped before it sealed, and do not count.
    """
    sealed = known.filter(F.col("first_arrived_on") < F.lit(first))
    nothing = known.select("item_id", F.col("first_arrived_on").alias("arrived_on")).limit(0)
    named = union([nothing, *(frame.select("item_id", "arrived_on") for frame in naming)])
    unknown = named.join(sealed, "item_id", "left_anti")
    new = unknown.groupBy("item_id").agg(F.min("arrived_on").alias("first_arrived_on"))
    after = sealed.agg(F.coalesce(F.max("item_index") + 1, F.lit(0)).alias("next"))
    in_order = Window.orderBy("first_arrived_on", "item_id")
    numbered = new.crossJoin(after).withColumn(
        "item_index", (F.col("next") + F.row_number().over(in_order) - 1).cast("int")
    )
    return numbered.select(*ITEM_INDEX.column_names)
