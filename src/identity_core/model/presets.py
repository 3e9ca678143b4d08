"""Presets: placeholder values that are published as such, and that real customers do not have.

Each preset is off until the rules name it. Phone numbers are blocked in the spellings with and without the
country code. The sources:

``reserved-domains``
    Domains of examples and tests: `RFC 2606 <https://www.rfc-editor.org/rfc/rfc2606>`_ and
    `RFC 6761 <https://www.rfc-editor.org/rfc/rfc6761>`_.
``fictional-numbers-australia``
    `Phone numbers for use in TV shows, films and creative works
    <https://www.acma.gov.au/phone-numbers-use-tv-shows-films-and-creative-works>`_, ACMA.
``fictional-numbers-france``
    Numbers for audiovisual works: `decision 2018-0881
    <https://www.legifrance.gouv.fr/jorf/article_jo/JORFARTI000037263033>`_ of ARCEP, 2.5.12.
``fictional-numbers-north-america``
    555-0100 to 555-0199: `ATIS-0300115 <https://www.nationalnanpa.com/pdf/NRUF/ATIS-0300115.pdf>`_; but not
    in the area codes 900, 800, 833, 844 and so on, where they may be real.
``fictional-numbers-united-kingdom``
    `Telephone numbers for use in TV and radio drama programmes
    <https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama>`_, Ofcom; but not those
    of Northern Ireland, whose range has changed.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from types import MappingProxyType

from attrs import frozen


@frozen
class Preset:
    """Patterns of placeholder values.

    Attributes:
        email_patterns: of emails.
        phone_number_patterns: of phone numbers.
    """

    email_patterns: tuple[str, ...] = ()
    phone_number_patterns: tuple[str, ...] = ()


def _within(domains: Iterable[str]) -> tuple[str, ...]:
    """Patterns of the emails in some domains and their subdomains."""
    return tuple(f"*{mark}{domain}" for domain in domains for mark in "@.")


def _spell(country: str, numbers: Iterable[str], trunk: str = "0") -> tuple[str, ...]:
    """Spellings of numbers that are given without country code and trunk prefix."""
    codes = (trunk, country, f"+{country}", f"00{country}", f"+{country}{trunk}")
    return tuple(code + number for number in numbers for code in dict.fromkeys(codes))


_DIGITS = "0123456789"

_RESERVED_DOMAINS = ("example.com", "example.net", "example.org", "example", "invalid", "localhost", "test")

_AUSTRALIAN_MOBILE_NUMBERS = (
    "491570006", "491570110", "491570156", "491570157", "491570158", "491570159", "491570313", "491570737",
    "491571266", "491571491", "491571804", "491572549", "491572665", "491572983", "491573087", "491573770",
    "491574118", "491574632", "491575254", "491575789", "491576398", "491576801", "491577426", "491577644",
    "491578148", "491578888", "491578957", "491579212", "491579455", "491579760",
)  # fmt: skip
_AUSTRALIAN_NUMBERS = (
    *(f"{area}{exchange}????" for area, exchange in product("2378", ("5550", "7010"))),
    *_AUSTRALIAN_MOBILE_NUMBERS,
)
_AUSTRALIAN_SERVICE_NUMBERS = (
    "1800160401",
    *(f"{service}9757{last}" for service, last in product(("1300", "1800"), ("07", "08", "09", "10", "11"))),
)

_FRENCH_NUMBERS = ("19900????", "26191????", "35301????", "46571????", "53649????", "63998????")

_NORTH_AMERICAN_AREA_CODES = (
    *(f"{first}??" for first in "234567"),
    *(f"8{second}{third}" for second, third in product(_DIGITS, _DIGITS) if second != third),
    *(f"9{second}?" for second in "123456789"),
    *(f"90{third}" for third in "123456789"),
)
"""All but 900 and those of toll-free numbers, which are 8 and twice the same digit."""

_BRITISH_NUMBERS = (
    *(
        f"{area}4960???"
        for area in ("113", "114", "115", "116", "117", "118", "121", "131", "141", "151", "161")
    ),
    "1632960???",
    "1914980???",
    "2079460???",
    "2920180???",
    "3069990???",
    "7700900???",
    "8081570???",
    "9098790???",
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "fictional-numbers-australia": Preset(
            phone_number_patterns=(
                *_spell("61", _AUSTRALIAN_NUMBERS),
                *_spell("61", _AUSTRALIAN_SERVICE_NUMBERS, trunk=""),
            )
        ),
        "fictional-numbers-france": Preset(phone_number_patterns=_spell("33", _FRENCH_NUMBERS)),
        "fictional-numbers-north-america": Preset(
            phone_number_patterns=(
                "55501??",
                *(
                    f"{code}{area}55501??"
                    for code, area in product(("", "1", "+1"), _NORTH_AMERICAN_AREA_CODES)
                ),
            )
        ),
        "fictional-numbers-united-kingdom": Preset(phone_number_patterns=_spell("44", _BRITISH_NUMBERS)),
        "reserved-domains": Preset(email_patterns=_within(_RESERVED_DOMAINS)),
    }
)
"""The presets by their names."""
