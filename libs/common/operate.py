"""`python -m services.<name>`: serve, or operate on the service's own store.

serve                                    run the service (default)
dead-letters show [--status S]           list what was put aside, without content
dead-letters redrive ID --by WHO         handle it, and what waits behind it, again
dead-letters discard ID --by WHO --note WHY
republish [--topic T] [--aggregate ID] [--since TIME] [--until TIME]
                                         re-send journaled events with the same ids
reconcile [--repair]                     compare journals with topics; --repair re-sends what is missing
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import uvicorn
from pydantic import ValidationError

from libs.common import interpreter, logs
from libs.common.journal import NotFound
from libs.common.mongo import STORE_AWAY
from libs.common.reconciliation import reconcile, republish
from libs.common.refusal import Refused
from libs.common.service import Service


def _instant(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{name}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="run the service")
    letters = commands.add_parser("dead-letters", help="events put aside").add_subparsers(dest="action", required=True)
    show = letters.add_parser("show")
    show.add_argument("--status", choices=("waiting", "redriven", "discarded"), default="waiting")
    for action in ("redrive", "discard"):
        settle = letters.add_parser(action)
        settle.add_argument("id")
        settle.add_argument("--by", required=True, help="who decides; kept in the letter's history")
        if action == "discard":
            settle.add_argument("--note", required=True, help="why; no personal data")
    again = commands.add_parser("republish", help="re-send journaled events with the same ids")
    again.add_argument("--topic")
    again.add_argument("--aggregate")
    again.add_argument("--since", type=_instant, help="recorded at or after, ISO 8601, UTC if no offset")
    again.add_argument("--until", type=_instant, help="recorded before")
    compare = commands.add_parser("reconcile", help="compare journals with topics")
    compare.add_argument("--repair", action="store_true", help="re-send what is missing")
    return parser


async def _operate(service: Service, arguments: argparse.Namespace) -> Any:
    try:
        return await _answer(service, arguments)
    finally:
        await service.close()


async def _answer(service: Service, arguments: argparse.Namespace) -> Any:
    if arguments.command == "republish":
        return await republish(service, arguments.topic, arguments.aggregate, arguments.since, arguments.until)
    if arguments.command == "reconcile":
        return await reconcile(service, repair=arguments.repair)
    if arguments.action == "show":
        return await service.letters.show(arguments.status)
    if arguments.action == "redrive":
        return await service.redrive(arguments.id, by=arguments.by)
    return await service.discard(arguments.id, by=arguments.by, note=arguments.note)


def main(name: str, argv: Sequence[str] | None = None) -> int:
    """0 when done, 1 when refused or something differs, 2 for wrong arguments or settings."""
    arguments = _parser(name).parse_args(argv)
    root = importlib.import_module(f"services.{name}.main")
    try:
        app = root.create_app()
    except (ValidationError, ValueError, OSError) as error:
        print(f"{name}: cannot start: {_say(error)}", file=sys.stderr)
        return 2
    service: Service = app.state.service
    logs.configure(name, service.settings.log_level)
    if arguments.command in (None, "serve"):
        interpreter.prepare()
        uvicorn.run(
            app,
            host=service.settings.host,
            port=service.settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            loop="uvloop",
            http="httptools",
            limit_concurrency=2000,
            timeout_graceful_shutdown=10,
        )
        return 0
    try:
        answer = asyncio.run(_operate(service, arguments))
    except NotFound:
        print(f"{name}: there is no such record", file=sys.stderr)
        return 1
    except Refused as error:
        print(f"{name}: {error.detail}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except STORE_AWAY as error:
        print(f"{name}: the store does not answer ({type(error).__name__})", file=sys.stderr)
        return 1
    print(json.dumps(answer, default=str, indent=2))
    return 1 if isinstance(answer, dict) and answer.get("failed") else 0


def _say(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(str(part) for part in found['loc']).upper() or 'settings'}: {found['msg']}"
            for found in error.errors(include_input=False, include_url=False)
        )
    return str(error)
