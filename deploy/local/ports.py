"""Which port each part listens on: the environment's, else last time's, else the usual one, else a free one."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from pathlib import Path

from deploy.local.layout import Trouble, read_json, write_json

USUAL = {
    "registration": 8101,
    "referral": 8102,
    "grievance": 8103,
    "notifications": 8104,
    "gateways": 8110,
    "smtp_inbox": 8125,
    "kafka": 9192,
    "kafka_controller": 9193,
    "store": 27117,
}
"""Each can be set by `<NAME>_PORT` in the environment, as in `REFERRAL_PORT=9002`."""


def is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def choose(remembered: Path, ours: Collection[str] = (), usual: bool = True) -> dict[str, int]:
    """A port for every part, written to `remembered`.

    Parts in `ours` are running already and keep theirs. `usual=False`: any free ports, for tests.
    Raises Trouble if a port asked for in the environment belongs to somebody else.
    """
    last: dict[str, int] = read_json(remembered) or {}
    chosen: dict[str, int] = {}
    for name, default in USUAL.items():
        variable = f"{name.upper()}_PORT"
        if name in ours and name in last:
            chosen[name] = last[name]
        elif usual and variable in os.environ:
            chosen[name] = int(os.environ[variable])
            if not is_free(chosen[name]):
                raise Trouble(f"{variable}={chosen[name]}: that port is in use by somebody else")
        else:
            wishes = [last[name]] if name in last else []
            wishes += [default] if usual else []
            chosen[name] = next((port for port in wishes if is_free(port)), 0)
            while not chosen[name] or list(chosen.values()).count(chosen[name]) > 1:
                chosen[name] = free_port()
    write_json(remembered, chosen)
    return chosen
