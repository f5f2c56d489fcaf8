"""`make bench`: measure ourselves and our rivals in one run; a table, and JSON on the last line.

    python -m bench [--only register,relay,replica,reactions,messages,visible,growth,lifecycles,loops]

Figures are medians of five, the arms taken in turn. Nothing here passes or fails: a figure that falls short is
reported as it is.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import complaining, consuming, growing, looping, messages, register, relaying, visible
from bench.setting import Setting, machine, setting

PARTS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "register": register.measure,
    "relay": relaying.measure,
    "replica": consuming.measure,
    "reactions": consuming.reactions,
    "messages": messages.measure,
    "visible": visible.measure,
    "growth": growing.measure,
    "lifecycles": complaining.measure,
    "loops": looping.measure,
}

LIMITS: dict[str, tuple[str, float]] = {
    "register_per_s": ("at least", 340),
    "register_p50_ms": ("at most", 46),
    "guaranteed_vs_naive": ("at least", 1.2),
    "guaranteed_vs_transactional": ("at least", 1.8),
    "relay_per_s": ("at least", 2000),
    "relay_vs_store": ("at least", 0.8),
    "replica_vs_raw": ("at least", 0.9),
    "reactions_per_s": ("at least", 1000),
    "visible_p50_ms": ("at most", 10),
    "visible_p99_ms": ("at most", 25),
    "growth": ("at least", 0.9),
    "search_phone_p50_ms": ("at most", 5),
    "search_name_p50_ms": ("at most", 20),
    "loops_per_s": ("at least", 60),
    "loops_growth": ("at least", 0.9),
    "worklist_p99_ms": ("at most", 20),
    "destinations_p99_ms": ("at most", 15),
    "rss_mb": ("at most", 150),
    "lifecycles_per_s": ("at least", 37),
    "lifecycles_growth": ("at least", 0.9),
    "spike_failed": ("at most", 0),
    "spike_recovery_s": ("at most", 10),
}


def table(figures: dict[str, Any], title: str) -> Table:
    made = Table(title=title)
    for column in ("figure", "measured", "wanted", ""):
        made.add_column(column, justify="right" if column == "measured" else "left")
    for name, value in figures.items():
        how, limit = LIMITS.get(name, ("", None))
        short = limit is not None and (value < limit if how == "at least" else value > limit)
        wanted = f"{how} {limit}" if limit is not None else ""
        made.add_row(name, f"{value:,.2f}", wanted, "[red]short[/red]" if short else "")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts to measure, joined by commas")
    wanted = parser.parse_args().only.split(",")
    if unknown := [part for part in wanted if part not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    # A run that is told to stop takes its store and broker down with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console(stderr=True)
    figures: dict[str, Any] = {}
    began = time.monotonic()
    for part in wanted:
        # Each part has a stack of its own, so that none pays for what another left in the store.
        with setting(Path(tempfile.mkdtemp(prefix="hillhealth-bench-"))) as here, console.status(f"measuring {part}"):
            figures |= PARTS[part](here)
            store = here.store
        console.print(f"{part} measured, {time.monotonic() - began:.0f} s so far")
    where = {"store": store, "machine": machine(), "seconds": round(time.monotonic() - began)}
    Console().print(table(figures, f"{where['store']}, {where['machine']}"))
    print(json.dumps({name: round(value, 3) for name, value in figures.items()} | where))
    return 0


if __name__ == "__main__":
    sys.exit(main())
