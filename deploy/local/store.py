"""The MongoDB-protocol store: yours, `mongod`, or a development server of the same wire protocol."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.layout import Layout

SERVICES = ("registration", "referral", "grievance", "notifications")


def prepare(layout: Layout, port: int) -> list[str | Path]:
    """The command that starts a store on `port`, over a folder of the kind chosen.

    A folder that exists decides the kind, so that installing another server does not lose the state.
    """
    folder = layout.state / "store"
    programs = {kind: shutil.which(kind) for kind in ("mongod", "secantusd-rs")}
    programs["secantusd-py"] = str(Path(sys.executable).with_name("secantusd-py"))
    kinds = [kind for kind, program in programs.items() if program]
    kind = next((kind for kind in kinds if (folder / kind).exists()), kinds[0])
    data = folder / kind
    data.mkdir(parents=True, exist_ok=True)
    program = str(programs[kind])
    if kind == "mongod":
        return [program, "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1"]
    # Without sync on commit these two lose acknowledged writes when killed.
    return [
        program,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--storage-path",
        data,
        "--sync-on-commit",
        "--standalone",
    ]


def uri(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"


def unready(address: str) -> str | None:
    """Why the store does not answer yet, or None."""
    try:
        with MongoClient[dict[str, object]](address, serverSelectionTimeoutMS=1000) as client:
            client.admin.command("ping")
    except PyMongoError as error:
        return type(error).__name__
    return None


def drop(address: str, prefix: str) -> list[str]:
    """Drops this prefix's databases of the four services and nothing else; returns their names."""
    with MongoClient[dict[str, object]](address, serverSelectionTimeoutMS=5000) as client:
        ours = sorted({f"{prefix}{service}" for service in SERVICES} & set(client.list_database_names()))
        for name in ours:
            client.drop_database(name)
    return ours
