"""Check a played day in stores, topics and inboxes: `python -m tools.check_day --day data/day.jsonl --result FILE`.

Imports nothing of `libs` or `services`. Waits until every event is handled, reads everything back itself, prints every
difference on stderr (ids and codes only) and, as the last line of stdout, one JSON object. Exits 0 only if the day's
totals hold and nothing was lost, doubled, reordered, given up or out of nowhere.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from tools.checking.figures import Day, figures, holds, read_day
from tools.checking.inboxes import read_inboxes
from tools.checking.reaching import connect
from tools.checking.settle import Names, Unsettled, wait_until_settled
from tools.checking.stores import read_stores
from tools.checking.topics import read_topics
from tools.checking.world import Difference, World

SHOWN = 200
"""Differences printed one by one; the rest are counted."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def check(
    day: Day,
    result: dict[str, Any],
    mongodb_uri: str,
    bootstrap: str,
    names: Names,
    inbox: Path,
    timeout: float,
) -> tuple[dict[str, Any], list[Difference]]:
    """The figures and every difference. Not settling in time is a difference too, and the rest is read all the same."""
    client = connect(mongodb_uri)
    unsettled: list[Difference] = []
    try:
        try:
            await wait_until_settled(client, bootstrap, names, timeout, lambda why: say(f"waiting: {why}"))
        except Unsettled as why:
            unsettled.append(Difference("unsettled", str(why), "everywhere", ""))
    finally:
        client.close()
    world = await read_world(mongodb_uri, bootstrap, names, inbox)
    answer, found = figures(world, day, result)
    return answer, [*unsettled, *found]


async def read_world(mongodb_uri: str, bootstrap: str, names: Names, inbox: Path) -> World:
    """Everything that stores, topics and inboxes hold now."""
    world = World()
    client = connect(mongodb_uri)
    try:
        read_stores(client, names.database_prefix, world)
    finally:
        client.close()
    world.records = await read_topics(bootstrap, names.topic_prefix)
    read_inboxes(inbox, world)
    return world


def show(found: Sequence[Difference]) -> None:
    """A table of what is not as it should be; nothing if all is well."""
    if not found:
        say("nothing lost, doubled or reordered; the totals hold")
        return
    rows = [(d.kind, d.what, d.where, d.id) for d in found[:SHOWN]]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if len(found) > SHOWN:
        say(f"... and {len(found) - SHOWN} more")
    for (kind, what), count in sorted(Counter((d.kind, d.what) for d in found).items()):
        say(f"{count:>7}  {kind}: {what}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=Path, default=Path("data/day.jsonl"))
    parser.add_argument("--result", type=Path, default=Path(".local/result.json"), help="what the player counted")
    parser.add_argument("--inbox", type=Path, default=Path(".local/inbox"))
    parser.add_argument(
        "--mongodb-uri",
        default=os.environ.get("MONGODB_URI", "mongodb://127.0.0.1:27017/"),
        help="or a folder with one address per service, in files mongodb_uri_<service>",
    )
    parser.add_argument("--kafka", default=os.environ.get("KAFKA_BOOTSTRAP", "127.0.0.1:9092"))
    parser.add_argument("--prefix", default=os.environ.get("DATABASE_PREFIX", "hillhealth_"))
    parser.add_argument("--topic-prefix", default="")
    parser.add_argument("--group-prefix", default="hillhealth")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to wait for everything to be handled")
    given = parser.parse_args(arguments)
    try:
        day = read_day(given.day)
        result = json.loads(given.result.read_text(encoding="utf-8"))
        names = Names(given.prefix, given.topic_prefix, given.group_prefix)
        answer, found = asyncio.run(
            check(day, result, given.mongodb_uri, given.kafka, names, given.inbox, given.timeout)
        )
    except (OSError, ValueError, KeyError, KafkaError, PyMongoError) as error:
        say(f"cannot check: {type(error).__name__}: {error}")
        return 2
    show(found)
    print(json.dumps(answer), flush=True)
    return 0 if holds(answer, found) else 1


if __name__ == "__main__":
    sys.exit(main())
