"""When the values of imported rows were last seen: an import records it if the service does."""

from collections.abc import AsyncIterable, AsyncIterator
from datetime import date

from identity_adapters.sightings import SightingRecorder
from identity_core import ContactDetails, RuleSet
from identity_core.model.unseen import to_month


class SeenRows:
    """Notes the details of an import, and writes what was noted once they are imported.

    Attributes:
        are_written: whether all details that were read so far are imported.

    Args:
        recorder: notes and writes.
        since: the month since which it is recorded; older rows are not noted.
        rules: those in force; a value that they block identifies nobody.
    """

    def __init__(self, recorder: SightingRecorder, since: date, rules: RuleSet) -> None:
        self.are_written = False
        self._recorder = recorder
        self._since = since
        self._rules = rules

    async def note_each(self, details: AsyncIterable[ContactDetails]) -> AsyncIterator[ContactDetails]:
        """The same details, each of which is noted."""
        async for one in details:
            if self.are_written:
                await self.flush()
                self.are_written = False
            if one.seen_at is None or to_month(one.seen_at) >= self._since:
                self._note(one)
            yield one

    def _note(self, details: ContactDetails) -> None:
        blocked = [identifier.kind for identifier in details.identifiers if self._rules.blocks(identifier)]
        if len(blocked) < len(details.identifiers):
            self._recorder.note(details, *blocked)

    async def flush(self) -> None:
        """Write what was noted.

        Raises:
            RepositoryUnavailable: it cannot be done for now.
        """
        await self._recorder.flush()
