"""A folder on whatever file system Spark reaches."""

from typing import Any

from pyspark.sql import DataFrame, SparkSession


class Folder:
    """A folder, by the file systems of Hadoop, because its path may be one of `s3a` or `hdfs`.

    Args:
        session: the session that reads and writes in it.
        path: its path or URI.
    """

    def __init__(self, session: SparkSession, path: str) -> None:
        self._session = session
        self._path = path.rstrip("/") or "/"
        # PySpark has no other way to a file system that works for every URI.
        context: Any = session.sparkContext
        self._make_path = context._jvm.org.apache.hadoop.fs.Path  # noqa: SLF001
        configuration = context._jsc.hadoopConfiguration()  # noqa: SLF001
        self._files = self._make_path(self._path).getFileSystem(configuration)

    def __truediv__(self, name: str) -> "Folder":
        return Folder(self._session, f"{self._path}/{name}")

    def exists(self) -> bool:
        return bool(self._files.exists(self._make_path(self._path)))

    def delete(self) -> None:
        self._files.delete(self._make_path(self._path), True)

    def write_text(self, name: str, text: str) -> None:
        """Write a file in the folder."""
        stream = self._files.create(self._make_path(f"{self._path}/{name}"))
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()

    def write(self, name: str, rows: DataFrame) -> None:
        """Write rows as Parquet into a folder in it, a file for each partition that has rows."""
        rows.write.parquet(f"{self._path}/{name}")

    def write_csv(self, name: str, rows: DataFrame) -> None:
        """Write rows as CSV with a header into a folder in it."""
        rows.write.csv(f"{self._path}/{name}", header=True, escape='"')

    def save(self, name: str, rows: DataFrame) -> DataFrame:
        """Write rows, and return them as they are read again.

        They are computed once, also if a machine is lost later, and what is computed from them has a short
        plan.
        """
        self.write(name, rows)
        return self._session.read.parquet(f"{self._path}/{name}")
