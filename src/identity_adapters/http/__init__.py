"""The service over HTTP."""

from identity_adapters.http.app import create_app

__all__ = ["create_app"]
