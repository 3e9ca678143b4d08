"""Values that may be worth blocking."""

from collections.abc import Iterable

import msgspec

from identity_adapters.api import IdentifierValue
from identity_core import Suggestion


class SuggestionRecord(msgspec.Struct, rename="camel"):
    """A value, how much it joins, and what blocking it would do.

    - `partners` is with how many others it is in pairs that count, and `merges` how many of these pairs made
      one identity of several when they came.
    - `primaryContactId` and `totalContacts` are of its identity.
    - `parts` is how many identities that would become, and `leavingContacts` how many of its contacts would
      not be in the largest of them; both are null if the identity is too large to find out.
    """

    value: IdentifierValue
    partners: int
    merges: int
    primary_contact_id: int
    total_contacts: int
    parts: int | None
    leaving_contacts: int | None


class SuggestionsAnswer(msgspec.Struct):
    """Values that may be worth blocking, those that most contacts would leave by first."""

    suggestions: list[SuggestionRecord]


def to_suggestions_answer(suggestions: Iterable[Suggestion]) -> SuggestionsAnswer:
    """Convert suggestions to an answer."""
    return SuggestionsAnswer([*map(_to_record, suggestions)])


def _to_record(suggestion: Suggestion) -> SuggestionRecord:
    value = suggestion.value
    return SuggestionRecord(
        IdentifierValue.of(value.identifier),
        value.partners,
        value.merges,
        value.primary_id,
        value.contacts,
        None if suggestion.parts is None else len(suggestion.parts),
        suggestion.leaving,
    )
