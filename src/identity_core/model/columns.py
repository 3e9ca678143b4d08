"""The contacts of one identity as columns, which take less time than an object for each contact."""

from collections.abc import Sequence
from datetime import datetime

from attrs import frozen

from identity_core.model.contact import Contact, LinkPrecedence
from identity_core.model.identity import Identity


@frozen
class ContactColumns:
    """The contacts of one identity, oldest first.

    Attributes:
        ids: the id of each contact.
        emails: the email of each contact, or None.
        phone_numbers: the phone number of each contact, or None.
        created_at: when the details of the oldest were first seen, in UTC.
    """

    ids: tuple[int, ...]
    emails: tuple[str | None, ...]
    phone_numbers: tuple[str | None, ...]
    created_at: datetime

    @classmethod
    def of(cls, contacts: Sequence[Contact]) -> "ContactColumns":
        """The columns of the contacts of one identity, which come oldest first."""
        return cls(
            tuple(contact.id for contact in contacts),
            tuple(contact.email for contact in contacts),
            tuple(contact.phone_number for contact in contacts),
            contacts[0].created_at,
        )

    def consolidate(self) -> Identity:
        """The identity of the contacts."""
        return Identity.of_columns(self.ids, self.emails, self.phone_numbers)

    @property
    def primary(self) -> Contact:
        """The oldest contact, linked as it should be."""
        return Contact(
            self.ids[0], self.emails[0], self.phone_numbers[0], None, LinkPrecedence.PRIMARY, self.created_at
        )
