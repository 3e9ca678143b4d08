"""The connected components of a graph of numbers.

Kiveris, Lattanzi, Mirrokni, Rastogi and Vassilvitskii, Connected Components in MapReduce and Beyond, SoCC
2014, the two-phase algorithm: large-star until it changes nothing, then small-star once, and again, until
each component is a star around its smallest number. With n nodes that takes O(log² n) rounds, also of a long
chain. No round has more edges than the one before.

An edge is written as (node, smaller), its larger end first. Let m be the smallest neighbour of a node that
is smaller than it, or the node itself if none is.

- large-star connects each larger neighbour of a node with m of the node: (node, smaller) becomes
  (node, m(smaller)).
- small-star connects each smaller neighbour of a node, and the node, with m of the node: (node, smaller)
  becomes (smaller, m(node)) and (node, m(node)).

Both need m alone, a minimum of each group, so that no task holds the neighbours of a node.
"""

from itertools import count

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from identity_adapters.spark.folder import Folder


def find_components(edges: DataFrame, work: Folder) -> DataFrame:
    """Find the connected components.

    Args:
        edges: with `node` and `smaller`, which is less than it.
        work: where each round is saved.

    Returns:
        Rows with `node` and `smaller`, the smallest number of its component. A node that is the smallest of
        its component, or has no edge, has no row.
    """
    for round in count():
        edges = work.save(f"edges-{round}", edges.distinct())
        if _has_chains(edges):
            edges = _do_large_star(edges)
        elif _has_ties(edges):
            edges = _do_small_star(edges)
        else:
            break
    return edges


def _has_chains(edges: DataFrame) -> bool:
    """Whether an edge leads to a node that has a smaller neighbour itself."""
    nodes = edges.select(sf.col("node").alias("smaller"))
    return not edges.join(nodes, "smaller", "left_semi").isEmpty()


def _has_ties(edges: DataFrame) -> bool:
    """Whether a node has two smaller neighbours."""
    return not edges.groupBy("node").count().where("count > 1").isEmpty()


def _find_smallest(edges: DataFrame) -> DataFrame:
    """Find m of every node that has a smaller neighbour, as `of` and `smallest`."""
    return edges.groupBy(sf.col("node").alias("of")).agg(sf.min("smaller").alias("smallest"))


def _do_large_star(edges: DataFrame) -> DataFrame:
    joined = edges.join(_find_smallest(edges), sf.col("smaller") == sf.col("of"), "left")
    return joined.select("node", sf.coalesce("smallest", "smaller").alias("smaller"))


def _do_small_star(edges: DataFrame) -> DataFrame:
    joined = edges.join(_find_smallest(edges), sf.col("node") == sf.col("of"))
    moved = joined.where("smaller <> smallest").select(sf.col("smaller").alias("node"), "smallest")
    return moved.union(joined.select("node", "smallest")).toDF("node", "smaller")
