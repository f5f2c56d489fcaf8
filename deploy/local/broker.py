"""One real Kafka broker, its jars from Maven Central, KRaft, on this machine only."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import socket
import subprocess
import uuid
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.layout import KAFKA_LIBS, REPOSITORY, Layout, Trouble, write_text

POM = REPOSITORY / "deploy" / "local" / "kafka" / "pom.xml"
JAVA_MAJOR = 17
INSTALL_JAVA = "apt install openjdk-17-jre-headless"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.coordinator.append.linger.ms=0
group.initial.rebalance.delay.ms=0
"""
"""A static quorum: its port is then only configuration and may change from run to run."""


def java() -> str:
    """The `java` to run. Raises Trouble saying what to install."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        raise Trouble(f"Java is missing: {INSTALL_JAVA} (or set KAFKA_BOOTSTRAP to a broker of yours)")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = told.partition('"')[2].partition('"')[0]
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < JAVA_MAJOR:
        raise Trouble(f"Java {version or '?'} is too old for Kafka: {INSTALL_JAVA}")
    return found


def fetch_jars() -> None:
    """Once per pom. Raises Trouble if Maven is missing or Maven Central cannot be reached."""
    stamp = KAFKA_LIBS / "pom.sha256"
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise Trouble("Maven is missing: apt install maven (or set KAFKA_BOOTSTRAP to a broker of yours)")
    shutil.rmtree(KAFKA_LIBS, ignore_errors=True)
    fetched = subprocess.run(
        [maven, "-q", "-B", "-f", POM, "dependency:copy-dependencies", "-DincludeScope=runtime",
         f"-DoutputDirectory={KAFKA_LIBS}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if fetched.returncode:
        said = (fetched.stdout + fetched.stderr).strip().splitlines()[-8:]
        raise Trouble("Maven could not fetch Kafka:\n" + "\n".join(said))
    write_text(stamp, wanted)


def prepare(layout: Layout, port: int, controller: int) -> list[str | Path]:
    """Writes the configuration, formats an empty folder, returns the command that starts the broker."""
    runtime = java()
    data, configuration = layout.state / "kafka" / "data", layout.state / "kafka" / "server.properties"
    write_text(configuration, PROPERTIES.format(port=port, controller=controller, data=data))
    classpath = f"{KAFKA_LIBS}/*"
    if not (data / "meta.properties").exists():
        subprocess.run(
            [runtime, "-cp", classpath, "kafka.tools.StorageTool", "format", "--ignore-formatted",
             "--cluster-id", _cluster_id(), "-c", configuration],
            check=True, capture_output=True,
        )  # fmt: skip
    return [runtime, "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", classpath, "kafka.Kafka", configuration]  # fmt: skip


def _cluster_id() -> str:
    """A random one that the format tool does not take for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def unready(bootstrap: str) -> str | None:
    """Why the broker does not answer yet, or None."""

    host, _, port = bootstrap.split(",")[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError as error:
        return type(error).__name__

    async def ask() -> str | None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3000)
        try:
            await admin.start()
            await admin.list_topics()
        except (KafkaError, OSError, TimeoutError) as error:
            return type(error).__name__
        finally:
            await admin.close()
        return None

    return asyncio.run(ask())
