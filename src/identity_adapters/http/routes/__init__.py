"""The operations, grouped by module."""
