"""The Spark session."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # What is written holds personal data.
    "spark.hadoop.fs.permissions.umask-mode": "077",
    # What Spark logs quotes values of rows that it cannot read.
    "spark.log.level": "FATAL",
}

LOCAL = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
"""On one machine, nothing listens on the network."""


class SparkFailed(Exception):
    """Spark cannot start, or fails. The text says why, and unlike Spark's own it quotes no values of rows."""


@contextmanager
def open_session(master: str, options: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """Open a session, and stop it at the end.

    Args:
        master: such as ``local[*]`` or ``spark://host:7077``.
        options: Spark's own configuration.

    Raises:
        SparkFailed: Spark cannot start, or fails while the session is used.
    """
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        raise SparkFailed("Java is not installed; Spark needs Java 17 or later")
    # Workers need the version of Python of this process, and on one machine they have its packages, too.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("identity build")
    local = LOCAL if master.startswith("local") else {}
    if local:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for name, value in (DEFAULTS | local | dict(options or {})).items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
        try:
            yield session
        finally:
            session.stop()
    except PySparkException as error:
        raise SparkFailed(f"Spark failed: {error.getCondition() or type(error).__name__}") from error
    except (Py4JError, ConnectionError) as error:
        raise SparkFailed(f"Spark's Java process failed or ended: {type(error).__name__}") from error
