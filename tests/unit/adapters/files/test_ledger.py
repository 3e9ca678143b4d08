"""The ledger as a file: nothing that was written is lost, and nothing is taken for it that is not."""

import asyncio
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

import pytest
from attrs import evolve

from identity_adapters.files.ledger import (
    CHUNK,
    PAGE,
    InvalidLedger,
    append_to_ledger,
    complete_ledger,
    encode_entry,
    read_ledger,
    read_trail,
)
from identity_adapters.memory import InMemoryContactRepository
from identity_core import IdentifierKind, LedgerEntry
from identity_core.model.erasure import BlockMark

THEN = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
ENTRY = LedgerEntry(9, THEN, "marty", (1, 2), (3,), (4,))
MARKS = (BlockMark(1, IdentifierKind.EMAIL, 0), BlockMark(2, IdentifierKind.PHONE_NUMBER, 7))
FULL = evolve(ENTRY, id=10, erased_by=None, blocks=MARKS, suppressed_until=THEN + timedelta(30))
NOT_A_LEDGER = "of the ledger is not an erasure"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


def number(count, start=1):
    return [evolve(ENTRY, id=id) for id in range(start, start + count)]


def trail_of(entries):
    repository = InMemoryContactRepository()
    for entry in entries:
        asyncio.run(repository.adopt_erasure(evolve(entry, contact_ids=(entry.id,))))
    return repository


def test_what_is_appended_is_read_as_it_was(path):
    append_to_ledger(path, [ENTRY])
    append_to_ledger(path, [FULL])
    assert [*read_ledger(path)] == [ENTRY, FULL]


def test_an_erasure_is_a_line_of_ids():
    assert encode_entry(ENTRY) == (
        b'{"id":9,"erasedAt":"2024-05-01T12:30:15.123456Z","erasedBy":"marty","contactIds":[1,2],'
        b'"evidenceIds":[3],"rulingIds":[4],"blocks":[],"suppressedUntil":null}\n'
    )


def test_only_its_owner_can_read_it(path):
    append_to_ledger(path, [ENTRY])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    append_to_ledger(path, [FULL])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_appending_nothing_makes_an_empty_ledger(path):
    append_to_ledger(path, ())
    assert path.read_bytes() == b""
    assert [*read_ledger(path)] == []


@pytest.mark.parametrize("cut", [1, 20, len(encode_entry(FULL)) - 1])
def test_a_last_line_that_was_cut_off_is_left_out_and_written_over(path, cut):
    append_to_ledger(path, [ENTRY, FULL])
    os.truncate(path, path.stat().st_size - cut)
    assert [*read_ledger(path)] == [ENTRY]
    append_to_ledger(path, [FULL])
    assert [*read_ledger(path)] == [ENTRY, FULL]


@pytest.mark.parametrize("before", [[], [ENTRY]])
@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, 3 * CHUNK + 1])
def test_a_long_line_that_was_cut_off_is_written_over(path, before, size):
    append_to_ledger(path, before)
    with path.open("ab") as file:
        file.write(b"x" * size)
    append_to_ledger(path, [FULL])
    assert [*read_ledger(path)] == [*before, FULL]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"email,phone_number",
        b"\xff\xfe",
        b'"\xff"',
        b"\x00",
        encode_entry(ENTRY)[:-2],
        encode_entry(ENTRY).strip().replace(b'"marty"', b'"\xff"'),
        encode_entry(ENTRY).strip().replace(b'"id":9', b'"id":"9"'),
        encode_entry(ENTRY).strip().replace(b"2024-05-01", b"2024-05-32"),
        encode_entry(ENTRY).strip().replace(b"15.123456Z", b"15.123456"),
        encode_entry(FULL).strip().replace(b"phone_number", b"name"),
    ],
)
def test_a_line_that_is_no_erasure_is_named_by_its_number(path, line):
    append_to_ledger(path, [ENTRY])
    with path.open("ab") as file:
        file.write(line + b"\n")
    append_to_ledger(path, [FULL])
    with pytest.raises(InvalidLedger) as caught:
        list(read_ledger(path))
    assert str(caught.value) == f"line 2 {NOT_A_LEDGER}"


def test_a_file_that_is_missing_is_no_ledger(path):
    with pytest.raises(FileNotFoundError):
        list(read_ledger(path))


def test_several_processes_append_at_once(path):
    parts = [number(200, start) for start in range(1, 1601, 200)]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(append_to_ledger, path, part) for part in parts]:
            done.result()
    read = [*read_ledger(path)]
    assert sorted(entry.id for entry in read) == [*range(1, 1601)]
    assert {tuple(read[at : at + 200]) for at in range(0, 1600, 200)} == {*map(tuple, parts)}


def test_all_pages_of_erasures_are_read():
    async def read(trail):
        return [entry.id async for entry in read_trail(trail)]

    for count in (0, 1, PAGE, PAGE + 1):
        assert asyncio.run(read(trail_of(number(count)))) == [*range(1, count + 1)]


def test_what_the_ledger_lacks_is_added_and_nothing_else(path):
    trail = trail_of(number(5))
    [one, two, *others] = asyncio.run(trail.ledger())
    elsewhere = evolve(ENTRY, id=77)  # of another database, or of a backup that is gone
    append_to_ledger(path, [two, elsewhere])
    for _ in range(2):
        asyncio.run(complete_ledger(path, trail))
        assert [*read_ledger(path)] == [two, elsewhere, one, *others]


def test_an_erasure_with_the_id_of_another_one_is_added(path):
    [entry] = asyncio.run((trail := trail_of([ENTRY])).ledger())
    append_to_ledger(path, [evolve(entry, erased_at=THEN - timedelta(1))])
    asyncio.run(complete_ledger(path, trail))
    assert [one.erased_at for one in read_ledger(path)] == [THEN - timedelta(1), THEN]


def test_a_ledger_is_made_where_there_is_none(path):
    asyncio.run(complete_ledger(path, trail_of([])))
    assert path.read_bytes() == b""


def test_a_file_that_is_no_ledger_is_not_completed(path):
    path.write_text("email,phone_number\n")
    with pytest.raises(InvalidLedger, match=f"line 1 {NOT_A_LEDGER}"):
        asyncio.run(complete_ledger(path, trail_of([ENTRY])))
    assert path.read_text() == "email,phone_number\n"
