"""The error of an invalid setting."""


class InvalidSetting(Exception):
    """A setting has an invalid value. The text names the setting, and does not quote the value."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable} {reason}")
        self.variable = variable
        self.reason = reason
