"""What the Python workers of Spark do, without Spark."""

from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.files.row import Columns
from identity_core import ContactDetails
from identity_core.rules.forest import find_primary, grow

pytest.importorskip(
    "pyspark", reason="pyspark is not installed: pip install 'identity-reconciliation[spark]'"
)

from identity_adapters.spark.histories import InconsistentComponents, decide_histories
from identity_adapters.spark.rows import parse_batches, read_csv, read_json, read_values

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FIRST = datetime(2015, 1, 1, tzinfo=UTC)


# Rows


def parse(*batches, read_rows=read_values):
    parse = partial(parse_batches, make_details=ContactDetails, positions={"a": 0, "b": 100}, now=NOW)
    return [row for batch in parse(batches, read_rows=read_rows) for row in batch.to_pylist()]


def batch_of(*rows, **columns):
    names = ("email", "phone_number", "created_at", "file", "start")
    return pa.record_batch(dict(zip(names, zip(*rows, strict=True), strict=True)) | columns)


def test_the_position_of_a_row_is_that_of_its_file_its_part_and_its_number_in_the_part():
    rows = [
        *[("x@y", None, None, "b", 50), ("x@y", None, None, "b", 50), ("x@y", None, None, "b", 70)],
        *[("x@y", None, None, "a", 70), ("x@y", None, None, "a", 70), ("x@y", None, None, "a", 0)],
    ]
    positions = [150, 151, 170, 70, 71, 0]
    assert [row["position"] for row in parse(batch_of(*rows))] == positions
    assert [row["position"] for row in parse(batch_of(*rows[:1]), batch_of(*rows[1:]))] == positions


def test_details_are_normalized_and_have_a_time():
    rows = [("Doc@X.org ", 5550123, FIRST, "a", 0), (None, 1, None, "a", 0)]
    first, second = parse(batch_of(*rows))
    assert (first["email"], first["phone_number"], first["seen_at"]) == ("doc@x.org", "5550123", FIRST)
    assert (second["email"], second["phone_number"], second["seen_at"]) == (None, "1", NOW)
    assert {first["field"], second["field"]} == {None}


def test_dates_and_times_beyond_those_of_python_are_times_or_rejected():
    rows = [("x@y", None, FIRST.date(), "a", 0)]
    assert parse(batch_of(*rows))[0]["seen_at"] == FIRST
    for beyond in (2**63 - 1, -(2**63) + 1):
        times = pa.array([beyond], pa.int64()).cast(pa.timestamp("us", "UTC"))
        assert [row["field"] for row in parse(batch_of(*rows, created_at=times))] == ["created_at"]


def test_a_rejected_row_has_its_file_its_number_from_one_and_the_reason_but_no_value():
    rows = [("x@y", None, None, "b", 7), ("nobody", None, None, "b", 7)]
    assert parse(batch_of(*rows))[1] == {
        **dict.fromkeys(("email", "phone_number", "seen_at", "position")),
        "file": "b",
        "row": 9,
        "field": "email",
        "reason": "must have exactly one @ between two non-empty parts",
    }


def test_text_that_is_not_utf_8_is_rejected():
    emails = pa.array([b"\xff@y", b"x@y", None], pa.binary()).view(pa.string())
    rows = [(None, None, None, "a", 0)] * 3
    assert [row["field"] for row in parse(batch_of(*rows, email=emails))] == ["email", None, "details"]


def test_a_row_with_a_fault_is_rejected_as_a_whole():
    rows = [("x@y", None, None, "a", 0)] * 2
    batch = batch_of(*rows, fault=["has a fault", None])
    assert [row["reason"] for row in parse(batch, read_rows=read_csv)] == ["has a fault", None]


def test_each_line_of_json_has_names_of_its_own():
    lines = {
        '{"email": "x@y", "tel": 1}': ("x@y", "1"),
        '{"Phone Number": "2", "mail": ""}': (None, "2"),
        '{"mail": "x@y", "more": {"email": 1}}': ("x@y", None),
        '{"tel": 1.5}': "phone_number",
        '{"name": "Doc"}': "row",
        "[1]": "row",
        "{": "row",
    }
    batch = pa.record_batch({"line": [*lines], "file": ["a"] * len(lines), "start": [0] * len(lines)})
    parsed = parse(batch, read_rows=partial(read_json, columns=Columns()))
    assert [row["field"] or (row["email"], row["phone_number"]) for row in parsed] == [*lines.values()]


def test_lines_of_json_with_ever_new_names_are_read():
    lines = [f'{{"email": "x@y", "{name}": 1}}' for name in range(250)]
    batch = pa.record_batch({"line": lines, "file": ["a"] * 250, "start": [0] * 250})
    assert {row["email"] for row in parse(batch, read_rows=partial(read_json, columns=Columns()))} == {"x@y"}


# Histories

NAMES = ("number", "first_email", "first_phone_number", "identity")


def decide(rows, size=1000):
    """Decide on rows of `NAMES`, in batches of a size: kind, primary and absorbed primary of each."""
    others = dict.fromkeys(("email", "phone_number", "seen_at"))
    batches = [
        pa.RecordBatch.from_pylist(
            [dict(zip(NAMES, row, strict=True)) | others for row in rows[at : at + size]]
        )
        for at in range(0, len(rows), size)
    ]
    decided = [row for batch in decide_histories(batches) for row in batch.to_pylist()]
    assert [(row["number"], row["identity"]) for row in decided] == [(row[0], row[3]) for row in rows]
    return [(row["kind"], row["primary_id"], row["absorbed_id"]) for row in decided]


pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(any), unique=True, max_size=30)


@given(pairs, st.integers(1, 5))
def test_identities_one_by_one_come_to_what_all_at_once_come_to(pairs, size):
    firsts = [{}, {}]
    rows = [
        (
            number,
            *(
                first.setdefault(value, number) if value else 0
                for value, first in zip(pair, firsts, strict=True)
            ),
        )
        for number, pair in enumerate(pairs, start=1)
    ]
    forest = [0] * (len(rows) + 1)
    expected = dict(zip((row[0] for row in rows), grow(rows, forest), strict=True))
    grouped = sorted(
        ((*row, find_primary(max(row[1:]), forest)) for row in rows), key=lambda row: (row[3], row[0])
    )
    assert decide(grouped, size) == [expected[row[0]] for row in grouped]


@pytest.mark.parametrize(
    "divided",
    [
        [(1, 1, 1, 1), (2, 1, 2, 2)],  # the second belongs to the first
        [(2, 2, 2, 1)],  # it is not called after its smallest number
        [(1, 1, 1, 1), (2, 2, 2, 2), (3, 1, 2, 1)],  # the third joins the others
    ],
)
def test_a_divided_identity_is_noticed(divided):
    with pytest.raises(InconsistentComponents):
        decide(divided)
