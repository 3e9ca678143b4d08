"""An identity: everything known about one customer, as the service answers it."""

from collections.abc import Sequence

from attrs import frozen

from identity_core.model.contact import Contact


@frozen
class Identity:
    """The contacts of one customer, consolidated.

    Attributes:
        primary_contact_id: the id of the oldest contact.
        emails: each once; the primary's first, then by the seniority of their oldest contact.
        phone_numbers: likewise.
        secondary_contact_ids: the ids of all other contacts, oldest first.
    """

    primary_contact_id: int
    emails: tuple[str, ...]
    phone_numbers: tuple[str, ...]
    secondary_contact_ids: tuple[int, ...]

    @classmethod
    def of(cls, contacts: Sequence[Contact]) -> "Identity":
        """Consolidate the contacts of one identity, which come oldest first."""
        if len(contacts) == 1:  # most have one
            [contact] = contacts
            emails = () if contact.email is None else (contact.email,)
            phone_numbers = () if contact.phone_number is None else (contact.phone_number,)
            return cls(contact.id, emails, phone_numbers, ())
        return cls.of_columns(
            [contact.id for contact in contacts],
            [contact.email for contact in contacts],
            [contact.phone_number for contact in contacts],
        )

    @classmethod
    def of_columns(
        cls, ids: Sequence[int], emails: Sequence[str | None], phone_numbers: Sequence[str | None]
    ) -> "Identity":
        """Consolidate the contacts of one identity, given by the values of each, oldest first."""
        return cls(ids[0], _find_distinct(emails), _find_distinct(phone_numbers), tuple(ids[1:]))


def _find_distinct(values: Sequence[str | None]) -> tuple[str, ...]:
    """Each value once, where it occurs first."""
    return tuple(value for value in dict.fromkeys(values) if value is not None)


NOBODY = Identity(0, (), (), ())
"""The identity of details whose values are all blocked."""
