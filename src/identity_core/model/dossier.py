"""The dossier: everything on record about some values, whether it counts or not."""

from collections.abc import Mapping
from datetime import date

from attrs import field, frozen

from identity_core.model.identifiers import Identifier
from identity_core.model.lineage import DeletedContact
from identity_core.model.record import Record
from identity_core.model.rule_set import RulesInForce
from identity_core.model.ruling import Ruling, Withdrawal


@frozen
class Dossier:
    """Everything on record about some values and whatever may join them.

    Attributes:
        record: of the values, with all evidence that names one of its values.
        deleted: the deleted contacts that lead to identities of the record or have one of its values, in the
            order of ids.
        withdrawn: the rulings that name one of its values and are no longer in force, each with its end.
        rules: the rules that ever were in force, oldest first; those that are come last.
        last_seen: the first day of the month in which each value was last seen, as far as that is recorded.
    """

    record: Record
    deleted: tuple[DeletedContact, ...] = ()
    withdrawn: tuple[tuple[Ruling, Withdrawal], ...] = ()
    rules: tuple[RulesInForce, ...] = ()
    last_seen: Mapping[Identifier, date] = field(factory=dict)
