"""The stack in the order in which it starts: store and broker, topics, stand-ins, then the services."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from deploy.local import broker, keys, ports, store
from deploy.local.issuer import Abdm, Issuer
from deploy.local.layout import REPOSITORY, Layout, Trouble, read_json, write_json
from deploy.local.processes import Processes
from deploy.local.store import SERVICES

STANDINS = ("gateways", "smtp_inbox")
Say = Callable[[str], None]


@dataclass
class Stack:
    """One state folder's broker, store, stand-ins and services. Nothing runs until `up`."""

    layout: Layout
    usual_ports: bool = True
    say: Say = print
    port: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.processes = Processes(self.layout)

    # Where things are

    @property
    def mongodb_uri(self) -> str:
        return os.environ.get("MONGODB_URI") or store.uri(self.port["store"])

    @property
    def kafka_bootstrap(self) -> str:
        return os.environ.get("KAFKA_BOOTSTRAP") or f"127.0.0.1:{self.port['kafka']}"

    @property
    def prefix(self) -> str:
        return os.environ.get("DATABASE_PREFIX", "hillhealth_")

    @property
    def gateways(self) -> str:
        return f"http://127.0.0.1:{self.port['gateways']}"

    @property
    def issuer(self) -> Issuer:
        return Issuer(self.layout, self.gateways)

    @property
    def abdm(self) -> Abdm:
        return Abdm(self.layout)

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.port[service]}"

    def environment(self, service: str) -> dict[str, str]:
        """What a service process is told; see libs/common/settings.py."""
        return {
            "MONGODB_URI": self.mongodb_uri,
            "KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "DATABASE_PREFIX": self.prefix,
            "DEVELOPMENT": "true",
            "CLOCK": "day",
            "HOST": "127.0.0.1",
            "PORT": str(self.port.get(service, 0)),
            "OIDC_ISSUER": self.gateways,
            "OIDC_JWKS": f"{self.gateways}/jwks.json",
            "OIDC_AUDIENCE": "hillhealth",
            "SECRETS_DIR": str(self.layout.secrets),
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
            "CE_EPOCH": os.environ.get("CE_EPOCH", "1"),
            # One machine plays everybody: the usual limits are per caller and per address.
            "REQUESTS_PER_SECOND": "1000",
            "PUBLIC_REQUESTS_PER_SECOND": "500",
            "ABDM_JWKS": f"{self.gateways}/api/hiecm/gateway/v3/certs",
            "ABDM_ON_SHARE_URL": f"{self.gateways}/api/hiecm/patient-share/v3/on-share",
            "ABDM_SESSION_URL": f"{self.gateways}/api/hiecm/gateway/v3/sessions",
            "FACILITIES": str(REPOSITORY / "data" / "facilities.csv"),
            "SMS_GATEWAY_URL": self.gateways,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.port["smtp_inbox"]),
        }

    def addresses(self) -> dict[str, Any]:
        return {
            "mongodb_uri": self.mongodb_uri,
            "kafka_bootstrap": self.kafka_bootstrap,
            "database_prefix": self.prefix,
            "inbox": str(self.layout.inbox),
            "services": {service: self.url(service) for service in SERVICES},
            "gateways": self.gateways,
            "smtp": f"127.0.0.1:{self.port['smtp_inbox']}",
        }

    # Starting and stopping

    def up(self) -> None:
        """Everything, the services last. What a killed runner left is reused (store, broker) or started anew."""
        self.up_to_standins()
        self.up_services()

    def up_to_standins(self) -> None:
        """Store, broker, topics and stand-ins. Raises Trouble."""
        if not os.environ.get("KAFKA_BOOTSTRAP"):
            broker.java()
            broker.fetch_jars()
        left = self.processes.names()
        self.processes.stop_all([name for name in left if name not in ("store", "kafka")])
        if left:
            self.port = read_json(self.layout.state / "ports.json") or {}
        ours = {"store"} & self._healthy("store") | {"kafka", "kafka_controller"} & self._healthy("kafka")
        self.port = ports.choose(self.layout.state / "ports.json", ours, self.usual_ports)
        keys.make_secrets(self.layout)
        self._up_store()
        self._up_broker()
        self.say("topics")
        self._create_topics()
        # Again, for those that start only now: broker and store took their time, and somebody may have come.
        self.port = ports.choose(self.layout.state / "ports.json", _ENGINES, self.usual_ports)
        for name in STANDINS:
            self.say(name)
            environment = {"STATE": str(self.layout.state), "PORT": str(self.port[name])}
            self.processes.start(name, [sys.executable, "-m", f"deploy.local.{name}"], environment | _IN_REPOSITORY)
        self._wait_until("gateways", lambda: _unready(f"{self.gateways}/livez"))
        self._wait_until("smtp_inbox", lambda: None)

    def up_services(self) -> None:
        """referral first: it owns the directory that the others copy. Raises Trouble."""
        for wave in (("referral",), tuple(name for name in SERVICES if name != "referral")):
            for name in wave:
                self.say(name)
                command = [sys.executable, "-m", f"services.{name}"]
                self.processes.start(name, command, self.environment(name) | _IN_REPOSITORY)
            for name in wave:
                self._wait_until(name, partial(_unready, f"{self.url(name)}/readyz"))
        write_json(self.layout.addresses, self.addresses())

    def down(self) -> None:
        """Services first, so that they finish what they hold; then stand-ins; then broker and store."""
        names = self.processes.names()
        for wave in ([n for n in names if n in SERVICES], [n for n in names if n in STANDINS], ["kafka"], ["store"]):
            self.processes.stop_all(wave, 30.0 if wave == ["kafka"] else 15.0)

    def _wait_until(self, name: str, ready: Callable[[], str | None]) -> None:
        self.processes.wait_until(name, ready, port=self.port[name])

    def _healthy(self, name: str) -> set[str]:
        """`{name}` and what belongs to it, if that process of ours runs and answers; else stops it."""
        if self.processes.running(name) is None or name not in self.port:
            return set()
        unready = broker.unready if name == "kafka" else store.unready
        address = f"127.0.0.1:{self.port['kafka']}" if name == "kafka" else store.uri(self.port["store"])
        deadline = time.monotonic() + 10
        while reason := unready(address):
            if time.monotonic() > deadline:
                self.say(f"{name} left running does not answer ({reason}): stopping it")
                self.processes.stop(name)
                return set()
        return {"kafka", "kafka_controller"} if name == "kafka" else {name}

    def _up_store(self) -> None:
        if os.environ.get("MONGODB_URI"):
            if reason := store.unready(self.mongodb_uri):
                raise Trouble(f"the store at MONGODB_URI does not answer ({reason})")
        elif self.processes.running("store") is None:
            self.say("store")
            self.processes.start("store", store.prepare(self.layout, self.port["store"]), {})
            self._wait_until("store", lambda: store.unready(self.mongodb_uri))

    def _up_broker(self) -> None:
        if os.environ.get("KAFKA_BOOTSTRAP"):
            if reason := broker.unready(self.kafka_bootstrap):
                raise Trouble(f"the broker at KAFKA_BOOTSTRAP={self.kafka_bootstrap} does not answer ({reason})")
        elif self.processes.running("kafka") is None:
            self.say("kafka")
            command = broker.prepare(self.layout, self.port["kafka"], self.port["kafka_controller"])
            self.processes.start("kafka", command, {})
            self._wait_until("kafka", lambda: broker.unready(self.kafka_bootstrap))

    def _create_topics(self) -> None:
        made = subprocess.run(
            [sys.executable, "-m", "libs.common.topics"],
            env={**os.environ, "KAFKA_BOOTSTRAP": self.kafka_bootstrap, **_IN_REPOSITORY},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise Trouble(f"the topics could not be created:\n{made.stderr.strip()}")


_ENGINES = {"store", "kafka", "kafka_controller"}
_IN_REPOSITORY = {"PYTHONPATH": str(REPOSITORY)}


def _unready(url: str) -> str | None:
    try:
        answer = httpx.get(url, timeout=3)
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.status_code == 200 else f"{answer.status_code} {answer.text[:300]}"
