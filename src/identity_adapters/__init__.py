"""Everything around `identity_core` that touches the world."""
