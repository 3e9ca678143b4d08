"""The ports: what the use cases need of whoever keeps the contacts.

- `ContactRepository` is what changes: load, decide, write.
- `IdentityReader` is what only looks.
- `RuleBook` keeps the rules.
- `AuditTrail` keeps who was handed out or erased.
- `Sightings` keeps when values were last seen.
- `ChangeFeed` tells other systems what changed.

`identity_core.testing` has a conformance suite for each of them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from datetime import date, datetime
from typing import ParamSpec, Protocol, TypeVar

from identity_core.model.contact import Contact
from identity_core.model.decision import Decision, WriteSet
from identity_core.model.details import ContactDetails
from identity_core.model.dossier import Dossier
from identity_core.model.erasure import LedgerEntry, Leftover
from identity_core.model.events import Event, RecordedEvent
from identity_core.model.evidence import Evidence
from identity_core.model.identifiers import Identifier
from identity_core.model.lineage import Lineage
from identity_core.model.page import Page
from identity_core.model.parts import Parts
from identity_core.model.record import Record
from identity_core.model.rule_set import RuleSet, RulesInForce, UnsettledLink
from identity_core.model.ruling import Note, Ruling
from identity_core.model.snapshot import Snapshot
from identity_core.model.suggestion import SharedValue
from identity_core.model.unseen import Unseen

P = ParamSpec("P")
T = TypeVar("T")


class HasWrites(Protocol):
    """What a decision about a record has at least."""

    @property
    def writes(self) -> WriteSet:
        """What has to be written."""
        ...


R = TypeVar("R", bound=HasWrites)

Decide = Callable[[Snapshot, datetime, Iterator[int]], Decision]
"""A pure function of a snapshot, the time and a supply of new ids, as `reconcile` is."""

DecideInTurn = Callable[[Iterator[Snapshot], datetime, Iterator[int]], Iterator[Decision]]
"""A function that decides on one batch after the other, as `reconcile_in_turn` does."""

Revise = Callable[[Record, datetime, Iterator[int]], R]
"""A pure function of a record, the time and a supply of new ids, as the rulings and `repair` are."""

ReviseParts = Callable[[Parts, datetime, Iterator[int]], R]
"""A pure function of parts of an identity, the time and a supply of new ids, as `detach` is."""


class SnapshotLoader(Protocol):
    """Reads what is known of details."""

    async def load(self, batch: Sequence[ContactDetails]) -> Snapshot:
        """Read everything known of some details: one consistent snapshot, without locks.

        Returns:
            every identity that has a live contact with one of the emails or phone numbers,
            whole; and which of the pairs are recorded as evidence, and count or not.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
            RepositoryBusy: these details cannot; fewer of them may.
        """
        ...


class ContactRepository(SnapshotLoader, Protocol):
    """Keeps contacts, evidence and events."""

    async def load_columns(self, batch: Sequence[ContactDetails]) -> Snapshot:
        """Read what `load` reads, for `find_known`: any of the identities may be columns.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
            RepositoryBusy: these details cannot; fewer of them may.
        """
        ...

    async def transact(self, batch: Sequence[ContactDetails], decide: Decide) -> Decision:
        """Decide on some details while nobody else can change what they match, and persist it.

        `decide` gets what `load` would return, with the values that pins keep apart and those that are
        kept out, the time, and new
        ids, ascending, at least one for each of the details and another for each that has a time of its
        own. All three are read after nobody else can change, extend or join the
        matched identities. It may be called several times; the result of its last call is
        persisted durably, all of it or nothing, and returned. An error that it raises is passed
        on, and nothing is persisted.

        Raises:
            RepositoryUnavailable: it cannot be done for now; nothing is known to be persisted.
            RepositoryBusy: these details cannot; fewer of them may.
        """
        ...

    async def transact_in_turn(
        self,
        batches: Sequence[Sequence[ContactDetails]],
        decide: DecideInTurn,
    ) -> list[Decision]:
        """Decide on one batch after the other, as `transact` does, and persist all decisions or none.

        `decide` gets a snapshot of each batch when its turn comes, as it would be without the batches before:
        so the next batch is read and decided on while the one before is written. Where there are pins or
        limits, the first snapshot tells of all batches, and the others of nothing more.

        Returns:
            the decisions, in turn. If an `IdentityError` is raised instead of one that is not the first,
            those before it; they are persisted.

        Raises:
            IdentityError: whatever `decide` raises instead of the first decision; nothing is persisted.
            RepositoryUnavailable: it cannot be done for now; nothing is known to be persisted.
            RepositoryBusy: these batches cannot; fewer or smaller ones may.
        """
        ...

    async def revise(
        self, identifiers: Collection[Identifier], decide: Revise[R], *, alone: bool = False
    ) -> R:
        """Decide on the record of some values while nobody else can change it, and persist the decision.

        It does what `transact` does, with the whole record that `IdentityReader.record` would return in
        place of a snapshot, and as many ids as `decide` draws.

        Args:
            identifiers: the values.
            decide: decides on their record.
            alone: whether nobody else can change anything at all meanwhile, which a decision needs that
                changes the rules.

        A decision that erases may keep the values out until some time.

        Raises:
            StillReferenced: another table refers to contacts that the decision erases.
            CannotSuppress: values are to be kept out, and the repository has no key to do so.
            RepositoryUnavailable: it cannot be done for now; nothing is known to be persisted.
        """
        ...

    async def revise_parts(
        self,
        primary_id: int,
        identifiers: Collection[Identifier],
        decide: ReviseParts[R],
        hubs: Collection[Identifier] = (),
    ) -> R:
        """Decide as `revise` does, on parts of one very large identity, or on what may join it.

        Nobody else can change that identity meanwhile, nor those that the parts belong to otherwise.

        Args:
            primary_id: the primary of the identity.
            identifiers: values of the parts.
            decide: gets what belongs to these values and to the primary, as far as that is not too much.
            hubs: values that may belong to the identity; the parts end there.

        Raises:
            RepositoryUnavailable: it cannot be done for now; nothing is known to be persisted.
        """
        ...


class IdentityReader(SnapshotLoader, Protocol):
    """Reads identities, their evidence and their events."""

    async def find(self, contact_id: int) -> tuple[Contact, ...] | None:
        """The live contacts of the identity that a contact belongs to, oldest first.

        The contact may be any that ever existed, a deleted one included. None if no contact
        ever had this id.

        Raises:
            Erased: the contact was erased.
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def pages(
        self, of: ContactDetails | int, after: tuple[datetime, int] | None = None, limit: int = 100
    ) -> list[Page]:
        """A page of each identity that details match, or of the one that a contact belongs to.

        However large the identities are, only the pages are held in memory.

        Args:
            of: details, or the id of any contact that ever existed.
            after: `Contact.seniority` of the last contact of the page before; None for the first page.
            limit: how many contacts a page has at most.

        Returns:
            the pages, that of the identity with the oldest primary first; none for a contact
            that never existed, that was erased, or whose identity was deleted whole.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def record(self, identifiers: Collection[Identifier]) -> Record:
        """Everything that may join some values: one consistent record, without locks.

        Returns:
            the identities of the values, and those that pairs which are held would join to them, in any
            number of steps; all evidence with a value of these identities; and the rulings in force
            about any of these values.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def dossier(self, identifiers: Collection[Identifier]) -> Dossier:
        """Everything on record about some values: one consistent dossier, without locks.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def suppressed(self, identifiers: Collection[Identifier]) -> frozenset[Identifier]:
        """Those of some values that were erased on request, and are kept out for now.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def pair(self, id: int) -> tuple[str, str] | None:
        """The pair of a piece of evidence or a contact; None if there is none with this id.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def event(self, event_id: int) -> Event | None:
        """An event; None if there is none with this id.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def rulings(self, after: int = 0, limit: int = 100) -> list[Ruling]:
        """The rulings in force, in the order of ids.

        Args:
            after: only rulings with larger ids.
            limit: how many at most.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def held(self, after: int = 0, limit: int = 100) -> list[Evidence]:
        """The pairs that limits hold and that wait for somebody, in the order of ids.

        Args:
            after: only evidence with larger ids.
            limit: how many at most.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def lineage(self, contact_id: int) -> Lineage | None:
        """The lineage of the identity of a contact; None if no contact ever had this id.

        Raises:
            Erased: the contact was erased.
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def evidence(self, contacts: Sequence[Contact]) -> list[Evidence]:
        """The evidence whose email one of some contacts holds, or held until it was blocked.

        It is in the order of ids.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def events(
        self, contacts: Sequence[Contact], after: int = 0, limit: int | None = None
    ) -> list[RecordedEvent]:
        """The events of an identity, and those of contacts that left it, in the order of ids.

        Args:
            contacts: all contacts of the identity.
            after: only events with larger ids.
            limit: how many at most; None for all.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def merges(
        self, before: int | None = None, limit: int = 100
    ) -> list[tuple[RecordedEvent, ContactDetails | None]]:
        """The latest merges of all identities, in the descending order of ids.

        Each comes with the details that caused it, whether or not they still count; None if they are no
        longer recorded.

        Args:
            before: only events with smaller ids; None for the latest.
            limit: how many at most.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...


class RuleBook(Protocol):
    """Keeps the rules, and what is not in line with them yet."""

    async def rules(self) -> RulesInForce:
        """The rules in force.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def propose(self, rules: RuleSet, *, retroactive: bool = False) -> RulesInForce:
        """Other rules as `put` would put them in force.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        ...

    async def record_by(self, rules: RuleSet, identifiers: Collection[Identifier]) -> Record:
        """What `IdentityReader.record` would return if some rules were in force.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def parts_by(self, rules: RuleSet, primary_id: int, identifiers: Collection[Identifier]) -> Parts:
        """What a decision on parts would get if some rules were in force, without locks.

        It takes the arguments of `ContactRepository.revise_parts`.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def record_without(self, rules: RuleSet, primary_id: int, ids: Set[int]) -> Record:
        """The record of one identity without some of its contacts, as if rules were in force.

        It does not hold these contacts in memory, however many they are.

        Args:
            rules: the rules.
            primary_id: the primary of the identity.
            ids: those of the contacts that are left out.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def count_identities(self) -> int:
        """How many identities there are.

        Raises:
            RepositoryUnavailable: they cannot be counted for now.
        """
        ...

    async def most_shared(self, limit: int) -> list[Identifier]:
        """The values that join most, without those that the rules in force block.

        Args:
            limit: how many values of each kind of ranking, at most.

        Returns:
            first the values that are in the most pairs that count, those with the most first, if they are
            in several; then, without repetition, those of which the most such pairs made one identity of
            several when they came. Of as many, emails come before phone numbers, and each are sorted.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def largest(self, limit: int) -> list[Identifier]:
        """A value of the primary of each of the largest identities, that of the most contacts first.

        Of as many contacts, the primary with the smallest id comes first. Identities of one contact, and
        those whose primary has no value but blocked ones, are left out.

        Args:
            limit: how many identities at most.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def weigh(self, identifiers: Collection[Identifier]) -> list[SharedValue]:
        """How much each of some values joins, sorted by value; without those that no contact has.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def unsettled(
        self, in_force: RulesInForce, limit: int, large: int
    ) -> tuple[list[UnsettledLink], int]:
        """The links that may not be in line with some rules, those in force or others.

        These are pairs that count though one of their values is blocked, pairs that were blocked and no
        longer are, or of which one value no longer is, pairs that limits hold which were raised, and the
        values of rulings; and twice the value of a contact that has only a blocked one and is not alone.

        If limits are retroactive, also all pairs without a blocked value that limits hold, or that count and
        may exceed a limit: at least those with a value that is in more pairs than its limit, and those in
        an identity with more values than `Limits.unlimited_size`.

        Args:
            in_force: the rules, and the id up to which everything is in line with them.
            limit: how many ids are looked at, at most.
            large: how many contacts an identity has, at least, that is too large to be read whole.

        Returns:
            the links in the order of ids, and the largest id that was looked at.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def put(
        self, rules: RuleSet, note: Note, version: int | None = None, *, retroactive: bool = False
    ) -> RulesInForce:
        """Put rules in force. Every decision that is persisted from then on is made by them.

        Args:
            rules: the rules.
            note: who, and why.
            version: that of the rules that they replace; None for any.
            retroactive: as of `RulesInForce`.

        Raises:
            StalePlan: other rules are in force than those of the version.
            RepositoryUnavailable: it cannot be done for now.
        """
        ...

    async def settle(self, version: int, settled_id: int) -> None:
        """Record how far everything is in line with the rules of a version, if they are still in force.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        ...


class AuditTrail(Protocol):
    """Keeps who was handed out or erased, and by whom, in ids alone."""

    async def record_access(self, contact_ids: Sequence[int], by: str | None) -> None:
        """Record that somebody got everything on record of some contacts.

        Raises:
            RepositoryUnavailable: it cannot be recorded for now.
        """
        ...

    async def ledger(self, after: int = 0, limit: int = 100) -> list[LedgerEntry]:
        """The erasures, in the order of ids.

        Args:
            after: only erasures with larger ids.
            limit: how many at most.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def adopt_erasure(self, entry: LedgerEntry) -> None:
        """Put an erasure on record that a backup does not know.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        ...

    async def skip_ids(self, last_id: int) -> None:
        """Let no new id be one up to this one.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        ...

    async def find_left(self, entry: LedgerEntry) -> list[Leftover]:
        """What is left of an erasure, in any table. It is empty, unless a backup brought something back.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...


class Sightings(Protocol):
    """Keeps the month in which each value was last seen, while that is recorded.

    A month is its first day.
    """

    async def begin_recording(self, month: date) -> None:
        """Record from a month on, unless it is recorded already.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        ...

    async def end_recording(self) -> None:
        """Record no longer. What was recorded stays, but nobody is known to be unseen any more.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        ...

    async def recorded_since(self) -> date | None:
        """The month since which it is recorded; None if it is not.

        Raises:
            RepositoryUnavailable: it cannot be read for now.
        """
        ...

    async def record_seen(self, seen: Mapping[Identifier, date]) -> int:
        """Record in which month values were seen.

        Nothing is written of a month before recording began, of a value for which that month or a later one
        is recorded, and of a value that no live contact has, so that an erased value does not come back.

        Returns:
            how many values were written.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        ...

    async def find_unseen(self, before: date, after: int = 0, limit: int = 1000) -> list[Unseen]:
        """Identities with a live contact none of whose values was seen in a month or later.

        A value was seen last in the latest month of these: the one that is recorded of it, the one in which
        recording began, and the one in which its contact was created.

        Args:
            before: the month.
            after: only identities whose primaries have larger ids.
            limit: how many at most.

        Returns:
            the identities in the order of the ids of their primaries; none if it is not recorded.

        Raises:
            RepositoryUnavailable: they cannot be read for now.
        """
        ...


class ChangeFeed(Protocol):
    """The events of all identities, for other systems."""

    async def changes(self, after: str | None = None, limit: int = 1000) -> tuple[list[RecordedEvent], str]:
        """The events after a cursor, and the cursor after them.

        Polling with the returned cursor delivers every event exactly once, and none before those
        that it builds upon.

        Args:
            after: a cursor that was returned before; None for the beginning.
            limit: how many events at most.

        Raises:
            InvalidCursor: no such cursor was ever returned.
            RepositoryUnavailable: they cannot be read for now.
        """
        ...

    async def bound(self, after: str | None = None) -> str:
        """A cursor at the same place that has an end: that of the feed for now.

        `changes` returns the same for it whenever it is asked, with the same limit, but for what was erased.
        So it does for the cursors that it returns, until the end is reached: the cursor there has no end.

        Args:
            after: a cursor; None for the beginning. One that has an end is returned as it is.

        Raises:
            InvalidCursor: no such cursor was ever returned.
            RepositoryUnavailable: the end cannot be found for now.
        """
        ...

    async def seek(self, at: datetime | None) -> str:
        """A cursor before everything that happened at or after a time.

        `changes` delivers at least every such event after it, those included that are recorded later, and
        none before the first of them.

        Args:
            at: the time; None for the end of the feed, after everything that is recorded.

        Raises:
            RepositoryUnavailable: the place cannot be found for now.
        """
        ...


class Offload(Protocol):
    """Runs a pure function where it does not keep the event loop from other work."""

    async def __call__(self, size: int, function: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
        """The result of the function.

        Args:
            size: about how many contacts the function reads, which tells how long it takes.
            function: free of effects; it may run in another thread.
            values: its arguments.
            named: likewise.
        """
        ...


async def run_inline(size: int, function: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """The `Offload` that runs the function at once, whatever its size."""
    del size
    return function(*values, **named)
