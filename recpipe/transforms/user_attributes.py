"""What is known of users, as the numbers that a model reads."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from recpipe.transforms.item_tokens import LONGEST_NAME

ATTRIBUTES = ("age", "gender", "occupation")
FIELD = "attribute"
"""Of the vocabulary; it numbers all attributes together."""
YEARS_A_BAND = 5
"""Ages that count as one, since few users share an exact one. The bands that shops export begin at such ages."""


def tokens() -> dict[str, Column]:
    """The token of each attribute of table users, such as `age 25`; null for one that is unknown."""
    band = F.col("age") - F.col("age") % YEARS_A_BAND
    values = {"age": band.cast("string"), "gender": F.lower("gender"), "occupation": F.lower("occupation")}
    return {name: F.concat(F.lit(f"{name} "), F.left(values[name], F.lit(LONGEST_NAME))) for name in ATTRIBUTES}


def attribute_counts(users: DataFrame) -> DataFrame:
    """How many of ``users`` have each token: field, token, items."""
    each = users.select(F.explode(F.array(*tokens().values())).alias("token")).filter("token is not null")
    return each.groupBy("token").agg(F.count("*").alias("items")).withColumn("field", F.lit(FIELD))


def user_attributes(users: DataFrame, vocabulary: DataFrame) -> DataFrame:
    """user_id, age, gender, occupation, and attributes: the number of each, 0 for one that is unknown or has none.

    A list for the three and not one of those that are known, since Petastorm reads lists of one length quickest.
    """
    numbers = vocabulary.filter(F.col("field") == FIELD)
    told = users.select("user_id", *ATTRIBUTES, *(token.alias(f"{name}_token") for name, token in tokens().items()))
    for name in ATTRIBUTES:
        its = numbers.select(F.col("token").alias(f"{name}_token"), F.col("token_id").alias(f"{name}_number"))
        told = told.join(F.broadcast(its), f"{name}_token", "left")
    each = (F.coalesce(f"{name}_number", F.lit(0)) for name in ATTRIBUTES)
    return told.select("user_id", *ATTRIBUTES, F.array(*each).alias("attributes"))


def with_attributes(rows: DataFrame, attributes: DataFrame) -> DataFrame:
    """``rows`` with what `user_attributes` gave of their users; nothing is known of a user whom it did not name."""
    unknown = F.array(*[F.lit(0)] * len(ATTRIBUTES))
    joined = rows.join(attributes, "user_id", "left")
    return joined.withColumn("attributes", F.coalesce("attributes", unknown))
