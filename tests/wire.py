"""A provider on a real socket: what it was sent, byte by byte, and answers as a test wants them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Got:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """`after` seconds. `dropped`: it has taken the request, and the connection ends without a word."""

    status: int = 200
    body: str = ""
    after: float = 0.0
    dropped: bool = False


DROPPED = Reply(dropped=True)


@dataclass
class OnTheWire:
    """`answers` says what each request gets; whatever came is kept in `got`, in order."""

    url: str
    answers: Callable[[Got], Reply]
    got: list[Got] = field(default_factory=list)

    def count(self, method: str) -> int:
        return sum(one.method == method for one in self.got)


async def _read(reader: asyncio.StreamReader) -> Got:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return Got(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def on_the_wire(answers: Callable[[Got], Reply] = lambda got: Reply()) -> AsyncIterator[OnTheWire]:
    """Serves until the block ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            got = await _read(reader)
            wire.got.append(got)
            reply = wire.answers(got)
            await asyncio.sleep(reply.after)
            if not reply.dropped:
                body = reply.body.encode()
                head = f"HTTP/1.1 {reply.status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire = OnTheWire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", answers)
    try:
        yield wire
    finally:
        server.close()
