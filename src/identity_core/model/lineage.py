"""The lineage of an identity: whatever was one identity with it at any time."""

from datetime import datetime

from attrs import frozen

from identity_core.model.contact import Contact
from identity_core.model.events import RecordedEvent


@frozen
class DeletedContact:
    """A contact that was deleted.

    Attributes:
        contact: with the values that it had.
        deleted_at: when, in UTC.
    """

    contact: Contact
    deleted_at: datetime


@frozen
class Lineage:
    """The identities that splits parted from one another, in any number of steps.

    Attributes:
        contacts: their live contacts.
        deleted: their deleted contacts, whoever deleted them.
        events: all events of them, in the order of their ids.
    """

    contacts: tuple[Contact, ...]
    deleted: tuple[DeletedContact, ...]
    events: tuple[RecordedEvent, ...]
