"""The values: frozen, normalised, without effects."""
