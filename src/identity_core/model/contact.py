"""A contact: a recorded email and phone number, and the identity they belong to."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from identity_core.model.identifiers import Identifier, to_identifiers


class LinkPrecedence(StrEnum):
    """What a contact is to its identity."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


@frozen
class Contact:
    """A live (not deleted) contact.

    Attributes:
        id: unique, and never reused; a later contact has a larger id.
        email: normalised; None if the contact has only a phone number.
        phone_number: normalised; None if the contact has only an email.
        linked_id: the id of the primary contact of the identity; None for the primary itself.
        link_precedence: None if another program wrote a value that is unknown here.
        created_at: when these details were first seen, in UTC.
    """

    id: int
    email: str | None
    phone_number: str | None
    linked_id: int | None
    link_precedence: LinkPrecedence | None
    created_at: datetime

    @property
    def seniority(self) -> tuple[datetime, int]:
        """The sort key of contacts; the oldest contact has the smallest."""
        return self.created_at, self.id

    @property
    def key(self) -> tuple[str | None, str | None]:
        """Email and phone number, as in `ContactDetails.key`."""
        return self.email, self.phone_number

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The email and the phone number, those that the contact has."""
        return to_identifiers(self.email, self.phone_number)

    def linked_to(self, primary: "Contact") -> "Contact":
        """The contact, linked to a primary; itself if it is linked like this already."""
        if self.id == primary.id:
            linked_id, link_precedence = None, LinkPrecedence.PRIMARY
        else:
            linked_id, link_precedence = primary.id, LinkPrecedence.SECONDARY
        if self.linked_id == linked_id and self.link_precedence is link_precedence:
            return self
        return Contact(self.id, self.email, self.phone_number, linked_id, link_precedence, self.created_at)
