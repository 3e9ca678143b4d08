"""Benchmarks of the service and its limits: ``python -m benchmarks``."""
