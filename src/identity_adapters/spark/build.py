"""Identities from orders: contacts, evidence and events as Parquet, in the layout of the tables."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import asdict, frozen
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from identity_adapters.files.built import FORMAT, MANIFEST, VERSION
from identity_adapters.files.row import Columns
from identity_adapters.spark.components import find_components
from identity_adapters.spark.folder import Folder
from identity_adapters.spark.histories import HISTORIES, InconsistentComponents, decide_histories
from identity_adapters.spark.pairs import find_first, number_pairs
from identity_adapters.spark.reading import read_details
from identity_core import ContactDetails, EventKind

PAIRS_PER_PART = 250_000
"""How many distinct details a part holds on average."""

OPTIONS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.binaryAsString": "true",
    # Rows without the fields of the header are only found if all fields are parsed.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    # A value that very many share is a large partition; its rows may be divided at the price of a shuffle.
    "spark.sql.adaptive.forceOptimizeSkewedJoin": "true",
}


class OutputExists(Exception):
    """The folder of the output exists already."""


@frozen
class BuildReport:
    """How many rows were read, and what became of them, as an import reports them.

    Attributes:
        read: all rows.
        created: those that became a new identity.
        linked: those that became another contact of an identity.
        merged: those that made one identity of two.
        corroborated: those that confirmed an identity by a new pair.
        known: those that added nothing new.
        rejected: rows without valid details.
        contacts: how many contacts there are.
        evidence: how many pairs are evidence.
        events: how many events there are.
    """

    read: int
    created: int
    linked: int
    merged: int
    corroborated: int
    known: int
    rejected: int
    contacts: int
    evidence: int
    events: int


def build_identities(
    session: SparkSession,
    paths: Sequence[str],
    output: str,
    *,
    make_details: Callable[[Any, Any], ContactDetails],
    now: datetime,
    columns: Columns = Columns(),  # noqa: B008
    format: str | None = None,
    options: Mapping[str, str] | None = None,
) -> BuildReport:
    """Build the identities of orders, as importing all of them in the order of their times would.

    Args:
        session: it reads and computes; its own settings stay as they are.
        paths: files, folders and patterns, as Spark takes them.
        output: the folder that is written, as `identity_adapters.files.built` says, and with rejected
            rows in `rejected`. It is removed if the build fails.
        make_details: makes details of an email and a phone number; raises `InvalidDetails`. Workers
            import its module.
        now: the time, in UTC.
        columns: the names of the columns.
        format: of all files; None for the format that their names determine.
        options: of Spark's reader of that format.

    Raises:
        OutputExists: the output exists.
        FileUnusable: a path does not exist, has no file, or lacks columns.
        pyspark.errors.PySparkException: Spark fails.
    """
    session = session.newSession()
    for name, value in OPTIONS.items():
        session.conf.set(name, value)
    folder = Folder(session, output)
    if folder.exists():
        raise OutputExists
    try:
        details = read_details(session, paths, columns, make_details, now, format=format, options=options)
        return _build(session, details, folder, now)
    except BaseException:
        folder.delete()
        raise


def _build(session: SparkSession, rows: DataFrame, folder: Folder, now: datetime) -> BuildReport:
    work = folder / "_work"
    rows = work.save("rows", rows)
    rejected = rows.where("field IS NOT NULL").select("file", "row", "field", "reason")
    details = rows.where("field IS NULL").drop("file", "row", "field", "reason")
    read, refused = rows.count(), rejected.count()
    if refused:
        folder.write_csv("rejected", rejected)

    pairs = work.save("numbered", find_first(number_pairs(session, details, work)))
    histories = _decide(pairs, work, session).persist(StorageLevel.DISK_ONLY)
    try:
        counted = dict(map(tuple, histories.groupBy("kind").count().collect()))
        kinds = {kind.value: counted.get(kind.value, 0) for kind in _CONTACT_KINDS + _EVIDENCE_KINDS}
        identities = histories.where("number = identity").count()
        if kinds["created"] - kinds["merged"] != identities:
            raise InconsistentComponents
        for name, table in _make_tables(histories, now).items():
            folder.write(name, table)
    finally:
        histories.unpersist()
    work.delete()
    changed = sum(kinds.values())
    report = BuildReport(
        read=read,
        **kinds,
        known=read - refused - changed,
        rejected=refused,
        contacts=kinds["created"] + kinds["linked"],
        evidence=kinds["merged"] + kinds["corroborated"],
        events=changed,
    )
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "now": now.isoformat(),
        "last_id": sum(counted.values()),
        "counts": asdict(report),
    }
    folder.write_text(MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return report


_CONTACT_KINDS = (EventKind.CREATED, EventKind.LINKED)
_EVIDENCE_KINDS = (EventKind.MERGED, EventKind.CORROBORATED)


def _decide(pairs: DataFrame, work: Folder, session: SparkSession) -> DataFrame:
    """Decide on the details of each identity, all of which are in one partition, in the order of its ids."""
    email, phone_number = sf.col("first_email"), sf.col("first_phone_number")
    joins = (email != 0) & (phone_number != 0) & (email != phone_number)
    edges = pairs.where(joins).select(
        sf.greatest(email, phone_number).alias("node"), sf.least(email, phone_number).alias("smaller")
    )
    components = find_components(edges, work)
    contact = sf.greatest(email, phone_number)
    smallest = components.select(sf.col("node").alias("contact"), sf.col("smaller").alias("identity"))
    labelled = (
        pairs.withColumn("contact", contact)
        .join(smallest, "contact", "left")
        .withColumn("identity", sf.coalesce("identity", "contact"))
    )
    parts = max(session.sparkContext.defaultParallelism, -(-pairs.count() // PAIRS_PER_PART))
    return (
        labelled.repartition(parts, "identity")
        .sortWithinPartitions("identity", "number")
        .mapInArrow(decide_histories, HISTORIES)
    )


def _make_tables(histories: DataFrame, now: datetime) -> dict[str, DataFrame]:
    """The tables, each partition with the identities that the partition has."""
    is_contact, is_evidence = (sf.col("kind").isin([*kinds]) for kinds in (_CONTACT_KINDS, _EVIDENCE_KINDS))
    is_secondary = sf.col("number") != sf.col("identity")
    # The tables have times in UTC, without saying so.
    at, seen_at = (time.cast("timestamp_ntz") for time in (sf.lit(now), sf.col("seen_at")))
    id = sf.col("number").alias("id")
    contacts = histories.where(is_contact).select(
        *(id, "email", "phone_number"),
        sf.when(is_secondary, sf.col("identity")).alias("linked_id"),
        sf.when(is_secondary, "secondary").otherwise("primary").alias("link_precedence"),
        *(seen_at.alias("created_at"), at.alias("updated_at")),
    )
    evidence = histories.where(is_evidence).select(id, "email", "phone_number", seen_at.alias("seen_at"))
    none = sf.array().cast("array<long>")
    absorbed = sf.when(sf.col("absorbed_id") == 0, none).otherwise(sf.array("absorbed_id"))
    events = histories.where("kind IS NOT NULL").select(
        *(id, at.alias("happened_at"), "kind", "primary_id"),
        sf.when(is_contact, sf.col("number")).alias("contact_id"),
        sf.when(is_evidence, sf.col("number")).alias("evidence_id"),
        absorbed.alias("absorbed_ids"),
    )
    return {"contacts": contacts, "evidence": evidence, "events": events}
