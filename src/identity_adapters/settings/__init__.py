"""The settings of the service."""

from identity_adapters.settings.errors import InvalidSetting
from identity_adapters.settings.reference import EffectiveSetting, describe, render_reference
from identity_adapters.settings.settings import Settings
from identity_adapters.settings.values import LogFormat, LogLevel

__all__ = [
    "EffectiveSetting",
    "InvalidSetting",
    "LogFormat",
    "LogLevel",
    "Settings",
    "describe",
    "render_reference",
]
