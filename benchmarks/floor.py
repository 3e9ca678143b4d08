"""The floor: a bare Litestar endpoint with the same body and answer, and no database."""

import msgspec
from litestar import Litestar, post


class Body(msgspec.Struct, rename="camel"):
    email: str | None = None
    phone_number: str | int | None = None


class Contact(msgspec.Struct, rename="camel"):
    primary_contact_id: int
    emails: list[str]
    phone_numbers: list[str]
    secondary_contact_ids: list[int]


class Answer(msgspec.Struct):
    contact: Contact


@post("/identify", status_code=200)
async def identify(data: Body) -> Answer:
    return Answer(Contact(1, [data.email or ""], [str(data.phone_number)], []))


app = Litestar([identify], openapi_config=None, logging_config=None)
