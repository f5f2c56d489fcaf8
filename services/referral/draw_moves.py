"""Writes docs/referral-machine.md from the table of moves: `python -m services.referral.draw_moves`."""

from __future__ import annotations

from pathlib import Path

from services.referral.domain.moves import CLOCK, MOVES, Move, Needs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "referral-machine.md"


def _name(status: str | None) -> str:
    return "[*]" if status is None else status.replace("-", "_")


def _arrow(move: Move) -> str:
    return f"    {_name(move.at)} --> {_name(move.to)}: {move.command} ({_who(move)})"


def _who(move: Move) -> str:
    return "when the promise to answer is broken" if move.role == CLOCK else f"{move.role}, {move.side}"


def _need(need: Needs) -> str:
    what = need.field
    if need.codes:
        what += " (" + ", ".join(need.codes) + ")"
    elif need.longest is not None:
        what += f" (text, at most {need.longest})"
    return what if need.required else f"[{what}]"


def diagram() -> str:
    """A Mermaid state diagram of the table."""
    statuses = list(dict.fromkeys(status for move in MOVES for status in (move.at, move.to) if status))
    final = [status for status in statuses if not any(move.at == status for move in MOVES)]
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{status}" as {_name(status)}' for status in statuses if "-" in status]
    lines += [_arrow(move) for move in MOVES]
    lines += [f"    {_name(status)} --> [*]" for status in final]
    return "\n".join(lines)


def table() -> str:
    """The same as a table: what must be present, and what is told."""
    lines = ["| in | may | to | who | must be present | told as |", "|---|---|---|---|---|---|"]
    for move in MOVES:
        needs = "; ".join(_need(need) for need in move.needs) or "–"
        to = f"{move.to}, transport {move.transport}" if move.transport else move.to
        lines.append(f"| {move.at or '–'} | {move.command} | {to} | {_who(move)} | {needs} | `{move.event}` |")
    return "\n".join(lines)


def page() -> str:
    return f"""# The referral machine

Generated from `services/referral/domain/moves.py` by `python -m services.referral.draw_moves`; a test holds it up to
date.

Every other move, and every actor whose role or facility it is not, is refused and nothing changes. Transport is a
second dimension: a patient may arrive without ever having departed.

```mermaid
{diagram()}
```

{table()}

Fields in brackets may be absent. What is told of advice and of lapses is private
to the journal; a lapse names the role that was told.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
