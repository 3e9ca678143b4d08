"""How fast the service is, beside what bounds it. ``python -m benchmarks`` measures."""
