"""Hypothesis strategies of details and of single values."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from identity_core import ContactDetails, Identifier, IdentifierKind, Limits, RuleSet

EPOCH = datetime(2001, 1, 1, tzinfo=UTC)


def emails(pool: int = 6) -> st.SearchStrategy[str]:
    """Emails out of a pool of so many, so that they occur again."""
    return st.integers(0, pool - 1).map(lambda n: f"{chr(ord('a') + n % 26)}{n // 26 or ''}@example.org")


def phone_numbers(pool: int = 6) -> st.SearchStrategy[str]:
    """Phone numbers out of a pool of so many."""
    return st.integers(0, pool - 1).map(lambda n: str(5550100 + n))


def identifiers(pool: int = 6) -> st.SearchStrategy[Identifier]:
    """Emails and phone numbers out of pools of so many, as `contact_details` has them."""
    return st.one_of(
        emails(pool).map(lambda value: Identifier(IdentifierKind.EMAIL, value)),
        phone_numbers(pool).map(lambda value: Identifier(IdentifierKind.PHONE_NUMBER, value)),
    )


def moments(pool: int = 20) -> st.SearchStrategy[datetime]:
    """Times in the past, out of a pool of so many, a day apart."""
    return st.integers(0, pool - 1).map(lambda n: EPOCH + timedelta(days=n))


def contact_details(
    pool: int = 6, seen_at: st.SearchStrategy[datetime | None] | None = None
) -> st.SearchStrategy[ContactDetails]:
    """Details with an email, a phone number or both out of pools of so many.

    Args:
        pool: how many emails and how many phone numbers there are.
        seen_at: their times; without it all are of now.
    """
    return st.builds(
        lambda email, phone_number, which, at: ContactDetails(
            email if which != "phone number" else None,
            phone_number if which != "email" else None,
            at,
        ),
        emails(pool),
        phone_numbers(pool),
        st.sampled_from(["both", "both", "both", "email", "phone number"]),
        seen_at if seen_at is not None else st.none(),
    )


def batches(
    pool: int = 6, seen_at: st.SearchStrategy[datetime | None] | None = None, max_size: int = 12
) -> st.SearchStrategy[list[ContactDetails]]:
    """Lists of details, as `contact_details` makes them."""
    return st.lists(contact_details(pool, seen_at), max_size=max_size)


def rule_sets(pool: int = 6) -> st.SearchStrategy[RuleSet]:
    """Rules that block some of the values of `contact_details`, and limit what belongs together."""
    return st.builds(
        RuleSet,
        emails=st.sets(emails(pool), max_size=2),
        phone_numbers=st.sets(phone_numbers(pool), max_size=2),
        email_patterns=st.sampled_from([(), (), ("a@*",), ("?@example.org",)]),
        phone_number_patterns=st.sampled_from([(), (), ("*0",)]),
        limits=low_limits(),
    )


def low_limits() -> st.SearchStrategy[Limits]:
    """Limits that few values exceed."""
    limit = st.none() | st.integers(1, 4)
    return st.builds(Limits, limit, limit, limit, limit)
