"""A whole history of details as the rows of the tables, all at once.

`identity_core.rules.forest` decides; it needs nothing but where each value occurs first, which DuckDB
finds. So a distinct pair of values takes a few bytes of memory, and everything else is on disk.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from identity_adapters.files.aside import set_aside
from identity_adapters.files.tables import CONTACTS, EVENTS, EVIDENCE, ID, TIME
from identity_adapters.times import from_microseconds, to_microseconds
from identity_core import ContactDetails, EventKind, LinkPrecedence, RuleSet
from identity_core.rules.forest import find_primary, grow

_BLOCK = 50_000

# The distinct details, each with its earliest time, numbered in the order of their times.
_ORDER = """
CREATE TABLE ordered AS
SELECT
    row_number() OVER (ORDER BY first.moment NULLS LAST, first.position) AS number,
    email, phone_number, first.moment AS moment
FROM (
    SELECT email, phone_number, min({'moment': moment, 'position': position}) AS first
    FROM unsorted GROUP BY email, phone_number
)
ORDER BY number
"""

# For each of them the numbers of those in which its values occur first; 0 for a missing value.
_FIND_FIRST = """
CREATE TABLE first_occurrences AS
SELECT number, coalesce(by_email.first, 0) AS email, coalesce(by_phone_number.first, 0) AS phone_number
FROM ordered
LEFT JOIN (SELECT email, min(number) AS first FROM ordered GROUP BY email) AS by_email USING (email)
LEFT JOIN (
    SELECT phone_number, min(number) AS first FROM ordered GROUP BY phone_number
) AS by_phone_number USING (phone_number)
ORDER BY number
"""

# How many details there are, the latest time, and whether some have none.
_MEASURE = "SELECT count(*), max(moment), coalesce(bool_or(moment IS NULL), false) FROM ordered"

Rows: TypeAlias = tuple[str, pa.Schema, Iterable[pa.RecordBatch]]
"""A table, its columns, and its rows."""

_KINDS = (None, EventKind.CREATED, EventKind.LINKED, EventKind.CORROBORATED, EventKind.MERGED)
_CODES = {kind: code for code, kind in enumerate(_KINDS)}
_LAST_OF_CONTACTS = _CODES[EventKind.LINKED]
"""Details with a code up to this one, and some code, are a contact; with a larger one, evidence."""


class History:
    """The distinct details of a history, numbered in the order of their times.

    Args:
        database: has the details in a table ``unsorted``, with email, phone_number, moment (microseconds
            since 1970, or null) and position.

    Attributes:
        size: how many there are.
        kinds: how many of them came to what, after `make_rows`; None is for those that add nothing.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        database.execute("SET preserve_insertion_order = true")
        database.execute(_ORDER)
        database.execute(_FIND_FIRST)
        [(self.size, self._latest, self._has_undated)] = database.execute(_MEASURE).fetchall()
        self.kinds: Counter[EventKind | None] = Counter()

    def is_known_order(self, now: datetime) -> bool:
        """Whether nothing is later than the details without a time, which come last."""
        return not self._has_undated or self._latest is None or self._latest <= to_microseconds(now)

    def set_aside(self, rules: RuleSet) -> int:
        """Leave out the details whose identities rules touch.

        Returns:
            How many there are; `read_aside` reads them.
        """
        return set_aside(self._database, self.size, rules)

    def read_aside(self) -> Iterator[ContactDetails]:
        """Read the details that were left out, in the order of their times."""
        rows = self._database.cursor().execute(
            "SELECT email, phone_number, moment FROM aside ORDER BY number"
        )
        while block := rows.fetchmany(_BLOCK):
            for email, phone_number, moment in block:
                seen_at = None if moment is None else from_microseconds(moment)
                yield ContactDetails.from_trusted(email, phone_number, seen_at)

    def make_rows(self, now: datetime, first_id: int, first_event_id: int) -> Iterator[Rows]:
        """Make the rows of the tables; those of each are to be read before those of the next.

        Args:
            now: the time of details without one, and of all events, in UTC.
            first_id: the first of as many new ids as there are details.
            first_event_id: likewise, of events.
        """
        parents = array("q", bytes(8 * (self.size + 1)))
        codes = bytearray(self.size + 1)
        before = first_id - 1
        events = self._make_events(now, before, first_event_id - 1, parents, codes)
        yield "contact_events", EVENTS, events
        self.kinds.update({kind: codes.count(code) for code, kind in enumerate(_KINDS)})
        # Nothing is known of 0, nor of what was left out.
        [(details,)] = self._database.execute("SELECT count(*) FROM first_occurrences").fetchall()
        self.kinds[None] -= self.size + 1 - details
        yield "contacts", CONTACTS, self._make_contacts(now, before, parents, codes)
        if self.kinds[EventKind.CORROBORATED] or self.kinds[EventKind.MERGED]:
            yield "contact_evidence", EVIDENCE, self._make_evidence(now, before, codes)

    def _make_events(
        self, now: datetime, before: int, before_event: int, parents: "array[int]", codes: bytearray
    ) -> Iterator[pa.RecordBatch]:
        kinds = pa.array([kind and kind.value for kind in _KINDS], pa.string())
        for batch in self._read("first_occurrences"):
            numbers, emails, phone_numbers = (column.to_pylist() for column in batch.columns)
            primaries: list[int] = []
            absorbed: list[int] = []
            decided = grow(zip(numbers, emails, phone_numbers, strict=True), parents)
            for number, (kind, primary, other) in zip(numbers, decided, strict=True):
                codes[number] = _CODES[kind]
                primaries.append(primary)
                absorbed.append(other)
            of_each = _pick(codes, numbers)
            everything = pa.record_batch(
                [batch["number"], of_each, pa.array(primaries, ID), pa.array(absorbed, ID)],
                ["number", "code", "primary", "absorbed"],
            )
            happened = everything.filter(pc.greater(of_each, 0))
            ids = pc.add(happened["number"], before)
            is_contact = pc.less_equal(happened["code"], _LAST_OF_CONTACTS)
            columns = [
                pc.add(happened["number"], before_event),
                _repeat(now, len(happened)),
                kinds.take(happened["code"]),
                pc.add(happened["primary"], before),
                pc.if_else(is_contact, ids, None),
                pc.if_else(is_contact, None, ids),
                _to_lists(happened["absorbed"], before),
            ]
            yield pa.record_batch(columns, schema=EVENTS)

    def _make_contacts(
        self, now: datetime, before: int, parents: "array[int]", codes: bytearray
    ) -> Iterator[pa.RecordBatch]:
        for numbers, emails, phone_numbers, times in self._read_dated(now, codes, 1, _LAST_OF_CONTACTS):
            primaries = pa.array([find_primary(number, parents) for number in numbers.to_pylist()], ID)
            is_primary = pc.equal(primaries, numbers)
            columns = [
                pc.add(numbers, before),
                emails,
                phone_numbers,
                pc.if_else(is_primary, None, pc.add(primaries, before)),
                pc.if_else(is_primary, LinkPrecedence.PRIMARY.value, LinkPrecedence.SECONDARY.value),
                times,
                _repeat(now, len(numbers)),
            ]
            yield pa.record_batch(columns, schema=CONTACTS)

    def _make_evidence(self, now: datetime, before: int, codes: bytearray) -> Iterator[pa.RecordBatch]:
        for numbers, *columns in self._read_dated(now, codes, _LAST_OF_CONTACTS + 1, len(_KINDS)):
            yield pa.record_batch([pc.add(numbers, before), *columns], schema=EVIDENCE)

    def _read_dated(
        self, now: datetime, codes: bytearray, first: int, last: int
    ) -> Iterator[Sequence[pa.Array]]:
        """Read the details whose codes are in a range: numbers, emails, phone numbers and times."""
        for batch in self._read("ordered"):
            of_each = _pick(codes, batch["number"].to_pylist())
            kept = batch.filter(pc.and_(pc.greater_equal(of_each, first), pc.less_equal(of_each, last)))
            times = pc.coalesce(kept["moment"], to_microseconds(now)).cast(TIME)
            yield kept["number"], kept["email"], kept["phone_number"], times

    def _read(self, table: str) -> Iterator[pa.RecordBatch]:
        """Read a table in the order of the numbers, which is that of its rows."""
        relation = self._database.cursor().sql(f"SELECT * FROM {table} ORDER BY number")
        yield from relation.to_arrow_reader(_BLOCK)


def _repeat(time: datetime, times: int) -> pa.Array:
    return pa.repeat(pa.scalar(time.replace(tzinfo=None), TIME), times)


def _pick(codes: bytearray, numbers: Iterable[int]) -> pa.Array:
    return pa.array(bytes(map(codes.__getitem__, numbers)), pa.uint8())


def _to_lists(absorbed: pa.Array, before: int) -> pa.Array:
    """A list of one id for each number, and an empty one for 0."""
    is_one = pc.not_equal(absorbed, 0)
    ends = pc.cumulative_sum(is_one.cast(pa.int32()))
    values = pc.add(absorbed.filter(is_one), before)
    return pa.ListArray.from_arrays(pa.concat_arrays([pa.array([0], pa.int32()), ends]), values)
