"""The middleware around every operation."""
