"""`make faults ROUNDS=30 SEED=`: rounds of load and hits; a line per round, and JSON on the last line.

Exits 0 only if nothing was lost, doubled, reordered, out of nowhere or stuck, and no message was handed to a provider
twice, or never though marked as sent. The seed decides loads, hits, instants.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.faults.calls import CALLS, NEVER
from tests.faults.harness import COUNTED, Harness, Round

LONGEST_SECONDS = 38 * 60
"""No round begins after this."""


def run(rounds: int, seed: int, history: Path, *, longest: float = LONGEST_SECONDS) -> dict[str, int]:
    """Runs the rounds, writes each to `history` (JSON Lines) and returns the figures of the last line."""
    console = Console(stderr=True)
    folder = Path(tempfile.mkdtemp(prefix="hillhealth-faults-"))
    harness = Harness(folder, seed)
    figures = {"rounds": 0, "acknowledged": 0, **dict.fromkeys((*COUNTED, *CALLS), 0), "seed": seed}
    began = time.monotonic()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    try:
        with bar:
            task = bar.add_task("starting", total=rounds)
            harness.up()
            for number in range(1, rounds + 1):
                if time.monotonic() - began > longest:
                    console.print(f"time is up after {number - 1} rounds")
                    break
                hit = harness.next_hit()
                bar.update(task, description=hit.name)
                done = harness.round(number, hit)
                _write(history, done)
                _tell(console, done)
                figures["rounds"] += 1
                figures["acknowledged"] += done.acknowledged
                for name in COUNTED:
                    # The checker reads everything there is, so a difference stays; the last reading counts.
                    figures[name] = max(figures[name], done.found[name])
                figures |= done.calls
                bar.advance(task)
    finally:
        harness.down()
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def _write(history: Path, done: Round) -> None:
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.open("a") as file:
        file.write(json.dumps(done.as_dict(), ensure_ascii=False) + "\n")


def _tell(console: Console, done: Round) -> None:
    bad = {name: count for name, count in done.found.items() if count}
    bad |= {name: done.calls[name] for name in NEVER if done.calls.get(name)}
    colour = "red" if bad else "green"
    console.print(
        f"[{colour}]round {done.number}[/{colour}] {done.hit} after {done.at:.2f} s with {done.in_flight} in flight: "
        f"{done.acknowledged} acknowledged, {bad or 'nothing amiss'}, {done.seconds:.0f} s"
    )
    for line in done.differences[:10] if bad else ():
        console.print(f"  {line}", markup=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and told on the last line")
    parser.add_argument("--history", type=Path, default=Path(".local/faults.jsonl"), help="a JSON line per round")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else secrets.randbelow(1_000_000)
    figures = run(given.rounds, seed, given.history)
    print(json.dumps(figures))
    return 1 if any(figures[name] for name in (*COUNTED, *NEVER)) or figures["rounds"] < given.rounds else 0


if __name__ == "__main__":
    sys.exit(main())
