"""Distinct details, numbered in the order of their times, and where their values occur first.

What it costs does not depend on how often a value occurs. Details and values are counted in each task before
they are moved. A value that very many share leads to one large partition where its number is joined back:
its one row is copied, and the partition is divided between tasks (adaptive query execution), which no window
or list of all that share a value would allow. Every step streams; what does not fit into memory is sorted on
disk.
"""

from itertools import accumulate

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from identity_adapters.spark.folder import Folder

_ROW = 2**33 - 1
"""The bits of `monotonically_increasing_id` that count the rows of a partition."""


def number_pairs(session: SparkSession, details: DataFrame, work: Folder) -> DataFrame:
    """Number distinct details from 1, in the order of their earliest time and position.

    Args:
        session: it reads what is saved.
        details: with `email`, `phone_number`, `seen_at` and `position`.
        work: where they are saved.

    Returns:
        Rows with `number`, `email`, `phone_number` and `seen_at`.
    """
    first = sf.min(sf.struct("seen_at", "position")).alias("first")
    in_order = details.groupBy("email", "phone_number").agg(first).orderBy("first")
    saved = work.save(
        "pairs",
        in_order.select(
            *("email", "phone_number", "first.seen_at"),
            sf.spark_partition_id().alias("partition"),
            sf.monotonically_increasing_id().bitwiseAND(sf.lit(_ROW)).alias("row"),
        ),
    )
    # A number is that in its partition, after all rows of those before it. Numbering in a window would take
    # all rows through one task.
    counts = saved.groupBy("partition").count().orderBy("partition").collect()
    before = accumulate((rows for _, rows in counts), initial=1)
    offsets = [(partition, offset) for (partition, _), offset in zip(counts, before, strict=False)]
    of_partition = session.createDataFrame(offsets, "partition int, offset long")
    number = (sf.col("offset") + sf.col("row")).alias("number")
    return saved.join(sf.broadcast(of_partition), "partition").select(
        number, "email", "phone_number", "seen_at"
    )


def find_first(pairs: DataFrame) -> DataFrame:
    """Add `first_email` and `first_phone_number`: the number of the first pair with each value, or 0."""
    for value in ("email", "phone_number"):
        first = f"first_{value}"
        firsts = pairs.where(sf.col(value).isNotNull()).groupBy(value).agg(sf.min("number").alias(first))
        pairs = pairs.join(firsts, value, "left").withColumn(first, sf.coalesce(first, sf.lit(0)))
    return pairs
