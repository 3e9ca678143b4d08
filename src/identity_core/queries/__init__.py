"""The queries: pure functions from what is known to what is asked."""
