"""What was seen is noted at once, and written later, once a month."""

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from identity_adapters import sightings
from identity_adapters.cli.seen_rows import SeenRows
from identity_adapters.sightings import SightingRecorder, end_recording
from identity_core import ContactDetails, IdentifierKind, RepositoryUnavailable, RuleSet
from identity_core.model.identifiers import to_identifiers

DETAILS = ContactDetails("a@x", "1")
A, ONE = DETAILS.identifiers
MAY, JUNE = date(2024, 5, 1), date(2024, 6, 1)


class Clock:
    def __init__(self):
        self.now = datetime(2024, 5, 31, 23, 0, tzinfo=UTC)

    def __call__(self):
        return self.now.timestamp()


class Written:
    """Sightings that list what they are given, and of which some fail."""

    def __init__(self, *errors):
        self.batches = []
        self.began = []
        self.ended = 0
        self.errors = [*errors]

    async def begin_recording(self, month):
        self.began.append(month)

    async def end_recording(self):
        if self.errors:
            raise self.errors.pop(0)
        self.ended += 1

    async def record_seen(self, seen):
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        self.batches.append(seen)
        return len(seen)


@pytest.fixture
def clock():
    return Clock()


def make(written, clock, **options):
    return SightingRecorder(written, clock=clock, **options)


def test_each_value_is_written_once_a_month(clock):
    async def body():
        written, counts = Written(), []
        recorder = make(written, clock, on_written=counts.append)
        recorder.note(DETAILS)
        recorder.note(DETAILS)
        assert written.batches == []
        await recorder.flush()
        recorder.note(DETAILS)
        assert recorder.waiting == 0
        await recorder.flush()
        assert written.batches == [{A: MAY, ONE: MAY}]
        clock.now += timedelta(hours=1)
        recorder.note(ContactDetails("a@x"))
        await recorder.flush()
        assert written.batches[1:] == [{A: JUNE}]
        assert counts == [2, 1]

    asyncio.run(body())


def test_details_with_a_time_are_of_their_month_and_the_latest_counts(clock):
    async def body():
        written = Written()
        recorder = make(written, clock)
        for month in (3, 4, 2):
            recorder.note(ContactDetails("a@x", None, datetime(2024, month, 7, tzinfo=UTC)))
        await recorder.flush()
        assert written.batches == [{A: date(2024, 4, 1)}]

    asyncio.run(body())


def test_a_value_that_is_blocked_was_not_seen(clock):
    async def body():
        written = Written()
        recorder = make(written, clock)
        recorder.note(DETAILS, IdentifierKind.PHONE_NUMBER)
        await recorder.flush()
        assert written.batches == [{A: MAY}]

    asyncio.run(body())


def test_it_is_written_in_batches_in_the_order_of_values(clock, monkeypatch):
    monkeypatch.setattr(sightings, "BATCH", 2)

    async def body():
        written = Written()
        recorder = make(written, clock)
        for letter in "edcba":
            recorder.note(ContactDetails(f"{letter}@x"))
        await recorder.flush()
        assert [[value for _, value in batch] for batch in written.batches] == [
            ["a@x", "b@x"],
            ["c@x", "d@x"],
            ["e@x"],
        ]

    asyncio.run(body())


def test_what_cannot_be_written_goes_on_waiting(clock, monkeypatch):
    monkeypatch.setattr(sightings, "BATCH", 1)

    async def body():
        written = Written(None, RepositoryUnavailable("it is slow"))
        recorder = make(written, clock)
        recorder.note(DETAILS)
        with pytest.raises(RepositoryUnavailable):
            await recorder.flush()
        assert recorder.waiting == 1
        await recorder.flush()
        assert written.batches == [{A: MAY}, {ONE: MAY}]

    asyncio.run(body())


def test_what_waits_is_bounded_and_what_is_left_out_is_told(clock, monkeypatch):
    monkeypatch.setattr(sightings, "MAX_WAITING", 1)

    async def body():
        written = Written()
        recorder = make(written, clock)
        recorder.note(DETAILS)
        assert recorder.waiting == 1
        await recorder.close()
        assert written.batches == [{A: MAY}]

    with capture_logs() as logs:
        asyncio.run(body())
    assert [(log["event"], log["values"]) for log in logs] == [
        ("it was not recorded when some values were last seen", 1)
    ]


def test_what_is_remembered_is_bounded_and_forgotten_after_a_while(clock, monkeypatch):
    monkeypatch.setattr(sightings, "MAX_REMEMBERED", 2)

    async def body():
        written = Written()
        recorder = make(written, clock)

        async def see(details):
            recorder.note(details)
            await recorder.flush()
            return len(written.batches)

        assert await see(DETAILS) == 1
        assert await see(DETAILS) == 1
        clock.now += timedelta(minutes=59)
        assert await see(DETAILS) == 1
        clock.now += timedelta(seconds=30)
        assert await see(DETAILS) == 1, "these are remembered for an hour"
        clock.now = datetime(2024, 6, 1, 0, 30, tzinfo=UTC)
        assert await see(DETAILS) == 2
        assert written.began == [MAY, JUNE]
        assert await see(ContactDetails("b@x")) == 3
        assert await see(ContactDetails("b@x")) == 3
        assert written.began == [MAY, JUNE, JUNE], "there were too many"
        assert await see(DETAILS) == 4

    asyncio.run(body())


@pytest.mark.parametrize("error", [RepositoryUnavailable("it is slow"), ValueError("a@x")])
def test_it_writes_in_the_background_and_tries_again_after_an_error(clock, error):
    async def body():
        written = Written(error, error)
        recorder = make(written, clock, period=0.001)
        recorder.note(DETAILS)
        task = asyncio.create_task(recorder.run())
        async with asyncio.timeout(10):
            while not written.batches:  # noqa: ASYNC110
                await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert written.batches == [{A: MAY, ONE: MAY}]

    asyncio.run(body())


def test_it_writes_early_if_much_waits(clock, monkeypatch):
    monkeypatch.setattr(sightings, "EARLY", 2)

    async def body():
        written = Written()
        recorder = make(written, clock, period=3600)
        task = asyncio.create_task(recorder.run())
        await asyncio.sleep(0)
        recorder.note(DETAILS)
        async with asyncio.timeout(10):
            while not written.batches:  # noqa: ASYNC110
                await asyncio.sleep(0)
        task.cancel()

    asyncio.run(body())


def test_what_waits_is_written_at_the_end_unless_that_takes_too_long(clock, monkeypatch):
    async def body():
        written = Written()
        recorder = make(written, clock)
        recorder.note(DETAILS)
        await recorder.close()
        assert written.batches == [{A: MAY, ONE: MAY}]

        async def hang(_):
            await asyncio.Event().wait()

        monkeypatch.setattr(sightings, "END_TIMEOUT", 0.01)
        written.record_seen = hang
        recorder.note(ContactDetails("b@x"))
        await recorder.close()
        assert recorder.waiting == 1

    asyncio.run(body())


def test_recording_is_ended_however_often_that_fails():
    written = Written(RepositoryUnavailable("it is slow"), RepositoryUnavailable("it is slow"))
    asyncio.run(end_recording(written, period=0.001))
    assert written.ended == 1


def test_no_value_is_logged(clock):
    async def body():
        recorder = make(Written(RepositoryUnavailable("it is slow")), clock)
        recorder.note(DETAILS)
        await recorder.close()

    with capture_logs() as logs:
        asyncio.run(body())
    assert [(log["event"], log.get("reason"), log.get("values")) for log in logs] == [
        ("it could not be recorded when values were last seen", "it is slow", None),
        ("it was not recorded when some values were last seen", None, 2),
    ]


def test_an_import_notes_what_it_has_written_by_the_rules(clock):
    async def body():
        written = Written()
        seen = SeenRows(make(written, clock), MAY, RuleSet(phone_numbers=["1"]))
        at = datetime(2024, 5, 7, tzinfo=UTC)

        async def rows():
            yield ContactDetails("a@x", "1", at)
            yield ContactDetails(None, "1", at)
            yield ContactDetails("old@x", "2", datetime(2024, 4, 30, tzinfo=UTC))
            seen.are_written = True
            yield ContactDetails("b@x", "2", None)
            yield ContactDetails("c@x", None, at)

        read = [one async for one in seen.note_each(rows())]
        assert len(read) == 5
        assert written.batches == [{A: MAY}]
        await seen.flush()
        b, two, c = (*to_identifiers("b@x", "2"), *to_identifiers("c@x", None))
        assert written.batches[1:] == [{b: MAY, c: MAY, two: MAY}]

    asyncio.run(body())
