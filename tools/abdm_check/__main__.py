"""`python -m tools.abdm_check URL`: plays the ABDM gateway against the facility system at URL.

The system must reach the kit, so it is told beforehand (`--listen`, by default 127.0.0.1:8119) where the gateway is:
sessions at /api/hiecm/gateway/v3/sessions, keys at /api/hiecm/gateway/v3/certs, acknowledgements at
/api/hiecm/patient-share/v3/on-share. Against the stack that `make run` started nothing is to be told: its stand-in for
the gateway steps aside while the kit runs. The last line of the output is JSON with `rules` and `held`.

Exit: 0 every rule holds; 1 some do not; 2 there is no facility system at URL, or the kit cannot listen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from rich.console import Console

from tools.abdm_check.gateway import CERTS, ON_SHARE, SESSIONS, Gateway, listening
from tools.abdm_check.kit import Broken, Kit, NotAsked, Unreachable
from tools.abdm_check.rules import RULES, Rule

console = Console(stderr=True)


@contextlib.asynccontextmanager
async def stepped_aside(stand_in: str | None, kit_url: str) -> AsyncIterator[None]:
    """The local stack's stand-in passes on to the kit what the gateway is asked, for as long as this lasts."""
    if stand_in is None:
        yield
        return
    async with httpx.AsyncClient(timeout=5) as client:
        try:
            (await client.put(f"{stand_in}/abdm/played-at", json={"url": kit_url})).raise_for_status()
        except httpx.HTTPError as error:
            raise Unreachable(
                f"the local stack's gateway at {stand_in} does not answer ({type(error).__name__})"
            ) from None
        try:
            yield
        finally:
            with contextlib.suppress(httpx.HTTPError):
                await client.delete(f"{stand_in}/abdm/played-at")


async def ask(kit: Kit, rules: Sequence[Rule]) -> list[tuple[Rule, str, str]]:
    """Each rule with `holds`, `broken` or `not asked`, and what was seen. Raises Unreachable."""
    await kit.meet()
    await kit.sees_its_own_clock()
    found = []
    for number, rule in enumerate(rules, 1):
        with console.status(f"{number}/{len(rules)} {rule.says}"):
            try:
                found.append((rule, "holds", await rule.ask(kit) or ""))
            except Broken as broken:
                found.append((rule, "broken", str(broken)))
            except NotAsked as reason:
                found.append((rule, "not asked", str(reason)))
    return found


async def check(
    url: str,
    *,
    hip: str,
    listen: tuple[str, int],
    stand_in: str | None = None,
    advertise: str | None = None,
    by_header: bool = True,
    wait: bool = False,
    keys_away: float = 5.0,
    without: Sequence[str] = (),
) -> list[tuple[Rule, str, str]]:
    """Raises Unreachable, and OSError if the kit cannot listen."""
    gateway = Gateway()
    async with listening(gateway, *listen) as here:
        if stand_in is None:
            console.print(f"The gateway is at {advertise or here}: {SESSIONS} {CERTS} {ON_SHARE}")
        async with stepped_aside(stand_in, here), httpx.AsyncClient(timeout=15, trust_env=False) as client:
            kit = Kit(url.rstrip("/"), gateway, hip, client, by_header=by_header, wait=wait, keys_away=keys_away)
            return await ask(kit, [rule for rule in RULES if rule.name not in without])


def tell(found: Sequence[tuple[Rule, str, str]]) -> dict[str, int]:
    """Prints the table; gives what the last line says."""
    width = max(len(rule.name) for rule, _, _ in found)
    for rule, verdict, seen in found:
        print(f"{verdict:9}  {rule.name:{width}}  {rule.says} {rule.source}" + (f"\n{'':11}-> {seen}" if seen else ""))
    return {"rules": len(found), "held": sum(verdict == "holds" for _, verdict, _ in found)}


def local_stack() -> dict[str, Any]:
    """Where the stack of `make run` listens, if one was started; `STATE` as for it."""
    state = Path(os.environ.get("STATE", Path(__file__).resolve().parents[2] / ".local"))
    try:
        found: dict[str, Any] = json.loads((state / "stack.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def same_place(one: str, other: str) -> bool:
    def place(url: str) -> tuple[str, int | None]:
        parts = urlsplit(url)
        host = (parts.hostname or "").replace("localhost", "127.0.0.1")
        return host, parts.port

    return place(one) == place(other)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.abdm_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(rule.name for rule in RULES)
    parser.add_argument("url", nargs="?", default="", help="base URL of the facility system (its bridge)")
    parser.add_argument("--hip", default="IN9900000001", help="HFR id of a facility it serves")
    parser.add_argument("--listen", default="127.0.0.1:8119", help="where the kit's gateway listens")
    parser.add_argument("--stand-in", default="", help="URL of a local stack's gateway that is to step aside")
    parser.add_argument("--advertise", default="", help="how the system reaches the kit, if not by --listen")
    parser.add_argument(
        "--clock",
        choices=("header", "wall"),
        default="header",
        help="whether it takes the time of a scan from TIMESTAMP (the kit then travels) or from its own clock",
    )
    parser.add_argument("--wait", action="store_true", help="with --clock wall: wait for a token to expire")
    parser.add_argument(
        "--keys-away",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how long the key set cannot be had: longer than the system keeps its keys, to see that it goes on",
    )
    parser.add_argument("--without", default="", help=f"rules to leave out, comma-separated: {names}")
    return parser.parse_args(argv)


def _ends(detail: str, rules: int) -> int:
    print(detail, file=sys.stderr)
    print(json.dumps({"rules": rules, "held": 0, "error": detail}))
    return 2


def main() -> int:
    asked = arguments()
    stack = local_stack()
    ours = str(stack.get("services", {}).get("registration", ""))
    url = asked.url or ours
    without = [name for name in asked.without.split(",") if name]
    unknown = set(without) - {rule.name for rule in RULES}
    rules = len(RULES) - len(without)
    if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
        return _ends("say which system: make abdm-check URL=http://host:port", rules)
    if unknown:
        return _ends(f"there is no rule {', '.join(sorted(unknown))}", rules)
    stand_in = asked.stand_in or (str(stack["gateways"]) if ours and same_place(url, ours) else None)
    host, _, port = asked.listen.rpartition(":")
    if not host or not port.isdecimal():
        return _ends(f"--listen must be host:port, not {asked.listen}", rules)
    try:
        found = asyncio.run(
            check(
                url,
                hip=asked.hip,
                listen=(host, int(port)),
                stand_in=stand_in,
                advertise=asked.advertise or None,
                by_header=asked.clock == "header",
                wait=asked.wait,
                keys_away=asked.keys_away,
                without=without,
            )
        )
    except (Unreachable, OSError) as error:
        return _ends(str(error), rules)
    except KeyboardInterrupt:
        return 130
    result = tell(found)
    print(json.dumps(result))
    return 0 if result["held"] == result["rules"] else 1


if __name__ == "__main__":
    sys.exit(main())
