"""What became of the details of each identity, in the Python workers of Spark.

Each task takes some identities, one after the other, and decides by `identity_core.rules.forest.grow`. It
holds a number for each contact of one identity.

The components need not be trusted. A group of details in which every number is found that they refer to is
one component, or several. It is one if details of each component that were created, less those that merged
two, are one; the caller checks that for all groups at once, since it is never less than one in any.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from identity_core.rules.forest import grow

HISTORIES = (
    "number long, email string, phone_number string, seen_at timestamp,"
    " identity long, kind string, primary_id long, absorbed_id long"
)
"""What became of details, as Spark declares it. `kind` is null if nothing; `absorbed_id` is 0 for none."""

_KEPT = ("number", "email", "phone_number", "seen_at", "identity")


class InconsistentComponents(Exception):
    """Details of one identity were divided, or those of two put together: a mistake of this program."""


def decide_histories(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Decide on details.

    Args:
        batches: with `number`, `email`, `phone_number`, `seen_at`, `first_email`, `first_phone_number` and
            `identity`, the smallest number of the details that belong together; the details of an identity
            follow each other in the order of their numbers.

    Yields:
        Batches with the columns of `HISTORIES`.

    Raises:
        InconsistentComponents: details refer to others that do not have the same `identity`.
    """
    parents: dict[int, int] = {}
    current = 0

    def separate(batch: pa.RecordBatch) -> Iterator[tuple[int, int, int]]:
        nonlocal current
        names = ("identity", "number", "first_email", "first_phone_number")
        for identity, *numbers in zip(*(batch[name].to_pylist() for name in names), strict=True):
            if identity != current:
                if identity != numbers[0]:
                    raise InconsistentComponents
                parents.clear()
                current = identity
            yield tuple(numbers)

    for batch in batches:
        try:
            outcomes = [*grow(separate(batch), parents)]
        except KeyError:
            raise InconsistentComponents from None
        if outcomes:
            decided = zip(*outcomes, strict=True)
            columns = map(pa.array, decided, (pa.string(), pa.int64(), pa.int64()))
            yield pa.record_batch(
                [*(batch[name] for name in _KEPT), *columns], [*_KEPT, "kind", "primary_id", "absorbed_id"]
            )
