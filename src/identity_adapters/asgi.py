"""The application for any ASGI server: ``uvicorn identity_adapters.asgi:app``."""

from identity_adapters.container import Container
from identity_adapters.logs import configure_logs

_container = Container()
configure_logs(_container.settings().log_format, _container.settings().log_level)
app = _container.app()
