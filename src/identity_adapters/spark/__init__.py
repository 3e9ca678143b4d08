"""Identities of whole histories on Spark, however large: built from files into files."""

from identity_adapters.spark.build import BuildReport, OutputExists, build_identities
from identity_adapters.spark.session import SparkFailed, open_session

__all__ = ["BuildReport", "OutputExists", "SparkFailed", "build_identities", "open_session"]
