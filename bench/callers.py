"""Callers over HTTP/1.1 keep-alive that cost as little as can be: they share the machine with what they measure."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Ask = tuple[str, str, dict[str, str], Any]
"""Method, path, headers, body (None: no body)."""


class Connection:
    """One connection, one request at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, ask: Ask) -> tuple[int, bytes]:
        """Status and body. Raises OSError or asyncio.IncompleteReadError when the server goes away."""
        method, path, headers, body = ask
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        assert self._reader is not None
        payload = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(payload)}"]
        if payload:
            lines.append("Content-Type: application/json")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            self._writer.write("\r\n".join([*lines, "", ""]).encode() + payload)
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            length = next((int(line[15:]) for line in head if line.lower().startswith("content-length:")), 0)
            return int(head[0].split()[1]), await self._reader.readexactly(length)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass(frozen=True)
class Load:
    """What callers saw: answers per second, and each answer's time in milliseconds, sorted."""

    per_s: float
    ms: list[float]
    refused: int

    @property
    def p50(self) -> float:
        return self.ms[len(self.ms) // 2]

    @property
    def p99(self) -> float:
        return self.ms[min(len(self.ms) - 1, int(len(self.ms) * 0.99))]


async def run(url: str, asks: Callable[[int], Iterator[Ask]], *, callers: int, seconds: float) -> Load:
    """`callers` ask one thing after the other for `seconds`; `asks(n)` gives caller n's requests without end.

    Raises RuntimeError with the answer if more than one in a hundred is not a 2xx.
    """
    ms: list[float] = []
    refused: list[tuple[int, bytes]] = []
    until = time.perf_counter() + seconds

    async def call(number: int) -> None:
        connection = Connection(url)
        for ask in asks(number):
            began = time.perf_counter()
            if began >= until:
                break
            status, body = await connection.ask(ask)
            ms.append((time.perf_counter() - began) * 1000)
            if not 200 <= status < 300:
                refused.append((status, body))
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(call(number) for number in range(callers)))
    took = time.perf_counter() - began
    if len(refused) * 100 > len(ms):
        raise RuntimeError(f"{len(refused)} of {len(ms)} refused, the first: {refused[0]}")
    return Load((len(ms) - len(refused)) / took, sorted(ms), len(refused))
