"""The deployment's broker, run from deploy/kafka/serve.sh on the jars that the local stack fetched."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.kafka.access import read_table
from deploy.local import broker
from deploy.local.layout import KAFKA_LIBS
from deploy.local.ports import free_port
from libs.common.kafka import security
from libs.common.settings import ServiceSettings
from tests.contract.deployment import DEPLOY

TOOLS = {"kafka-storage.sh": "kafka.tools.StorageTool", "kafka-server-start.sh": "kafka.Kafka"}
"""What the official image has in /opt/kafka/bin, and the class behind it."""


@dataclass(frozen=True)
class Guarded:
    """A broker that wants to know who asks. `secrets` holds a file `kafka_<principal>` for each."""

    bootstrap: str
    secrets: Path

    def settings(self, principal: str, kept: Path | None = None) -> ServiceSettings:
        return ServiceSettings(
            kafka_bootstrap=self.bootstrap,
            kafka_username=principal,
            kafka_password_file=kept or self.secrets / f"kafka_{principal}",
            secrets_dir=self.secrets,
        )

    def reach(self, principal: str) -> dict[str, Any]:
        """aiokafka's arguments."""
        return {"bootstrap_servers": self.bootstrap, **security(self.settings(principal))}

    def passwords(self, *parts: str) -> dict[str, str]:
        names = [name for part in parts for name in read_table()[part]]
        return {name: (self.secrets / f"kafka_{name}").read_text() for name in names}


@contextlib.contextmanager
def guarded_broker(folder: Path) -> Iterator[Guarded]:
    """Started on free ports, with nobody but its super user; stopped at the end."""
    java = broker.java()
    broker.fetch_jars()
    kept, tools, data, work = (folder / name for name in ("secrets", "bin", "data", "work"))
    for made in (kept, tools, data, work):
        made.mkdir()
    for name in ["broker", *(name for part in read_table().values() for name in part)]:
        (kept / f"kafka_{name}").write_text(secrets.token_hex(16))
    for name, class_ in TOOLS.items():
        options = "-Xmx384m -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        (tools / name).write_text(f'#!/bin/sh\nexec {java} {options} -cp "{KAFKA_LIBS}/*" {class_} "$@"\n')
        (tools / name).chmod(0o755)
    port = free_port()
    told = {
        "DATA": data, "WORK": work, "KAFKA_BIN": tools, "PASSWORD_FILE": kept / "kafka_broker",
        "PORT": port, "CONTROLLER_PORT": free_port(), "ADVERTISED": f"127.0.0.1:{port}",
    }  # fmt: skip
    with (folder / "broker.log").open("w") as log:
        process = subprocess.Popen(
            ["bash", DEPLOY / "kafka" / "serve.sh"],
            env={**os.environ, **{name: str(value) for name, value in told.items()}},
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(process, port, folder / "broker.log")
        yield Guarded(f"127.0.0.1:{port}", kept)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"the broker did not start:\n{log.read_text()[-3000:]}")
