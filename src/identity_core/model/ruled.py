"""What a ruling does, and why one is refused."""

from attrs import frozen

from identity_core.errors import IdentityError
from identity_core.model.contact import Contact
from identity_core.model.decision import WriteSet
from identity_core.model.link import Link


@frozen
class Ruled:
    """What a ruling did, or would do.

    Attributes:
        writes: what has to be written.
        plan: a token of the record that it was made of.
        identities: the identities after it that it is about or that it changes, oldest first; each
            is its contacts, oldest first.
        primaries_before: the primaries that these contacts had.
        moved_ids: the contacts that get another primary.
        undone: what it undoes.
        chain: what still joins the values of an undone pair; empty if nothing does.
    """

    writes: WriteSet
    plan: str
    identities: tuple[tuple[Contact, ...], ...]
    primaries_before: tuple[int, ...]
    moved_ids: tuple[int, ...]
    undone: tuple[Link, ...] = ()
    chain: tuple[Link, ...] = ()


class Contradiction(IdentityError):
    """A ruling that contradicts what is recorded.

    Attributes:
        reason: which, as a sentence without personal values.
        chain: what joins the values that the ruling is about; empty if nothing does.
        cut: the smallest set of links whose undoing would part them; empty if there is none.
        ruling_id: the ruling that it contradicts, if it does.
    """

    def __init__(
        self,
        reason: str,
        chain: tuple[Link, ...] = (),
        cut: tuple[Link, ...] = (),
        ruling_id: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.chain = chain
        self.cut = cut
        self.ruling_id = ruling_id
