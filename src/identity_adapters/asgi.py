"""The application for an ASGI server of one's own: ``uvicorn identity_adapters.asgi:app``."""

from identity_adapters.container import Container

app = Container().app()
