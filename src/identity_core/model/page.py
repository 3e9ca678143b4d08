"""A page: some contacts of an identity, and how many it has."""

from datetime import datetime

from attrs import frozen

from identity_core.model.contact import Contact


@frozen
class Page:
    """Some contacts of an identity, and the size of the whole identity.

    Attributes:
        primary_contact_id: the id of its oldest contact.
        total_contacts: how many contacts it has.
        total_emails: how many different emails.
        total_phone_numbers: how many different phone numbers.
        contacts: those of this page, oldest first.
        last: `Contact.seniority` of the last of them, where the next page starts; None on the last page.
    """

    primary_contact_id: int
    total_contacts: int
    total_emails: int
    total_phone_numbers: int
    contacts: tuple[Contact, ...]
    last: tuple[datetime, int] | None
