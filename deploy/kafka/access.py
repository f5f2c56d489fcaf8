"""`python -m deploy.kafka.access [services topics day]`: give principals their passwords and exactly their rights.

Reads access.yaml, and each principal's password from file `kafka_<principal>` of SECRETS_DIR; speaks to the broker as
the principal of KAFKA_USERNAME, who must be a super user. Runs again without harm: a changed password or right is
brought in, and a right of one of these principals that the file does not give is taken away.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest
from aiokafka.protocol.api import Request

from deploy.kafka.wire import AlterScram
from libs.common.kafka import security
from libs.common.settings import ServiceSettings

TABLE = Path(__file__).with_name("access.yaml")

ANY, ALLOW = 1, 3
TOPIC, GROUP, CLUSTER = 2, 3, 4
LITERAL, PREFIXED = 3, 4
READ, WRITE, CREATE, DESCRIBE = 3, 4, 5, 8
"""Codes of org.apache.kafka.common.{resource,acl}."""


@dataclass(frozen=True, order=True)
class Right:
    """One ACL that allows, from any host."""

    principal: str
    resource: int
    name: str
    pattern: int
    operation: int


def read_table(path: Path = TABLE) -> dict[str, dict[str, dict[str, Any]]]:
    table: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(path.read_text())
    return table


def rights(table: Mapping[str, Mapping[str, Mapping[str, Any]]], parts: Sequence[str]) -> set[Right]:
    """Every right that these parts of the table give. Raises KeyError for a part that is not there."""
    every = sorted(topic for row in table["services"].values() for topic in row["writes"])
    return {right for part in parts for name, row in table[part].items() for right in _of(name, row, every)}


def _of(principal: str, row: Mapping[str, Any], every: Sequence[str]) -> Iterator[Right]:
    for topic in row.get("writes", ()):
        for operation in (WRITE, READ, DESCRIBE):
            yield Right(principal, TOPIC, topic, LITERAL, operation)
    for topic in row.get("reads", ()):
        for operation in (READ, DESCRIBE):
            yield Right(principal, TOPIC, topic, LITERAL, operation)
    if row.get("reads"):
        yield Right(principal, GROUP, f"hillhealth.{principal}.", PREFIXED, READ)
    for topic in every if "creates" in row else ():
        for operation in (CREATE, DESCRIBE):
            yield Right(principal, TOPIC, topic, LITERAL, operation)
    if "watches" in row:
        for topic in every:
            for operation in (READ, DESCRIBE):
                yield Right(principal, TOPIC, topic, LITERAL, operation)
        yield Right(principal, GROUP, "hillhealth.", PREFIXED, DESCRIBE)


async def apply(settings: ServiceSettings, wanted: Set[Right], passwords: Mapping[str, str]) -> tuple[int, int]:
    """Sets passwords, and rights of those principals; returns how many rights were given and taken.

    Raises a KafkaError.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **security(settings))
    await admin.start()
    try:
        answer = await _ask(admin, AlterScram(dict(passwords)))
        for _, code, message, *_ in answer.results:
            _check(code, message)
        present = {right for name in sorted(passwords) for right in await _present(admin, name)}
        for right in sorted(wanted - present):
            made = await _ask(admin, CreateAclsRequest(*_wire(right)))
            for code, message in made.creation_responses:
                _check(code, message)
        for right in sorted(present - wanted):
            gone = await _ask(admin, DeleteAclsRequest(*_wire(right)))
            for code, message, _ in gone.filter_responses:
                _check(code, message)
        return len(wanted - present), len(present - wanted)
    finally:
        await admin.close()


async def _present(admin: AIOKafkaAdminClient, principal: str) -> list[Right]:
    answer = await _ask(admin, DescribeAclsRequest(ANY, None, ANY, f"User:{principal}", None, ANY, ANY))
    _check(answer.error_code, answer.error_message)
    return [
        Right(principal, resource, name, pattern, operation)
        for resource, name, pattern, acls in answer.resources
        for _, host, operation, permission in acls
        if host == "*" and permission == ALLOW
    ]


def _wire(right: Right) -> tuple[int, str, int, str, str, int, int]:
    return right.resource, right.name, right.pattern, f"User:{right.principal}", "*", right.operation, ALLOW


async def _ask(admin: AIOKafkaAdminClient, request: Request[Any]) -> Any:
    return await admin._send_request(request)


def _check(code: int, message: str | None) -> None:
    if code:
        raise for_code(code)(message)


def main(parts: Sequence[str]) -> int:
    settings = ServiceSettings()
    names = [name for part in parts for name in read_table()[part]]
    try:
        passwords = {name: settings.secret(f"kafka_{name}").decode() for name in names}
    except FileNotFoundError as missing:
        print(f"no password: {missing.filename}", file=sys.stderr)
        return 2
    given, taken = asyncio.run(apply(settings, rights(read_table(), parts), passwords))
    print(f"{len(names)} principals; {given} rights given, {taken} taken away")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["services", "topics"]))
