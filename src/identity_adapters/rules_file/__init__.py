"""Rules as a TOML file."""

from identity_adapters.rules_file.reading import Fault, InvalidRules, parse_rules
from identity_adapters.rules_file.writing import format_rules

__all__ = ["Fault", "InvalidRules", "format_rules", "parse_rules"]
