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
        primary, *secondaries = contacts
        return cls(
            primary.id,
            tuple(dict.fromkeys(c.email for c in contacts if c.email is not None)),
            tuple(dict.fromkeys(c.phone_number for c in contacts if c.phone_number is not None)),
            tuple(c.id for c in secondaries),
        )


NOBODY = Identity(0, (), (), ())
"""The identity of details whose values are all blocked."""
