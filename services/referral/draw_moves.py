"""Writes docs/referral-machine.md from the table of moves: `python -m services.referral.draw_moves`."""

from __future__ import annotations

from pathlib import Path

from services.referral.domain.moves import CLOCK, MOVES, STANDINGS, Move, Needs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "referral-machine.md"


def _name(status: str | None) -> str:
    return "[*]" if status is None else status.replace("-", "_")


def _arrow(move: Move) -> str:
    number = f"{move.bser} " if move.bser else ""
    return f"    {_name(move.at)} --> {_name(move.to)}: {number}{move.command} ({_who(move)})"


def _who(move: Move) -> str:
    return " or ".join(
        "when the promise to answer is broken" if actor.role == CLOCK else f"{actor.role}, {actor.side}"
        for actor in move.who
    )


def _need(need: Needs) -> str:
    what = need.field
    if need.codes:
        what += " (" + ", ".join(need.codes) + ")"
    elif need.longest is not None:
        what += f" (text, at most {need.longest})"
    return what if need.required else f"[{what}]"


def _in(move: Move) -> str:
    said = [f"{field} {' or '.join(_value(value) for value in values)}" for field, values in move.only]
    return ", ".join([move.at or "–", *said])


def _value(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


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
    lines = ["| in | may | to | who | must be present | told as | BSeR |", "|---|---|---|---|---|---|---|"]
    for move in MOVES:
        needs = "; ".join(_need(need) for need in move.needs) or "–"
        to = f"{move.to}, transport {move.transport}" if move.transport else move.to
        if move.through:
            to = f"{to}, through {move.through}"
        row = (_in(move), move.command, to, _who(move), needs, f"`{move.event}`", move.bser or "–")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def standings() -> str:
    """Each status: its code in BSeR, and the reservations it keeps."""
    lines = ["| status | BSeR | keeps |", "|---|---|---|"]
    for status, standing in STANDINGS.items():
        kept = sorted(standing.holds) + [f"{what} if admitted" for what in sorted(standing.holds_if_admitted)]
        lines.append(f"| {status} | {standing.bser or '–'} | {', '.join(kept) or '–'} |")
    return "\n".join(lines)


def page() -> str:
    return f"""# The referral machine

Generated from `services/referral/moves.yaml` by `python -m services.referral.draw_moves`; a test holds it up to date.

Every other move, and every actor whose role or facility it is not, is refused and nothing changes; the refusal names
the moves that this actor has now, and `GET /referrals/{{id}}/moves` says them before. Numbers are those of the 34
transitions of BSeR/360X. Transport is a second dimension: a patient may arrive without ever having departed.

A command that goes through a state journals that state and the next in one append: `cancel` asks for a cancellation
and has it, `no-show` is that of an appointment which nobody wrote down.

```mermaid
{diagram()}
```

{table()}

Fields in brackets may be absent. Advice, lapses, interim notes and states passed through are private to the journal; a
lapse names the role that was told. At a destination outside the network, whoever is at the origin writes down what it
says.

## Reservations

An acceptance may name a kind of bed (`bed`) or a place in a clinic's hours (`slot`), and then holds it as long as its
status keeps it. Which beds stand there a facility says itself (`beds_by_kind` of `PATCH /facilities/{{code}}`), and how
many places a clinic has (`PUT /facilities/{{code}}/slots`); `GET /facilities/{{code}}/beds` says what is promised and
free. Never more are promised than there are: whoever asks too late is told who else has one.

The ledger (one for each facility and kind) is written first, the referral second. What a crash leaves between the two a
timer settles within seconds: the referral is asked under its own version, and what it does not hold it refuses for good
before the ledger lets go of it.

{standings()}

## Clocks

| promise | runs while | when it is broken |
|---|---|---|
| to answer | requested, advice-asked | `lapsed`: told once, one level up; accept, decline and cancel stay legal |
| to arrive | accepted, scheduled | what was reserved is released, told once; arriving stays legal |
| of the chain | nobody has treated the patient, over all hops | told once |

What is no emergency is to be answered, at the earliest, when the destination next opens. Of one that
was declined and is treated at its origin (`treat-here`, then `settled`) none runs. The last two wait while the
transport is held (`hold`) or, for the patient to arrive, while the road is closed, and say so in `clock_says`; they go
on, with the time that was left, when the patient departs, and that of the chain also when the way is over otherwise
(arrived, handed over, did not come, declined). Who waited for a road that was opened, by whoever closed it or with the
end of its season, has the whole time to arrive from then. A road that is slow in this season makes the promise to
arrive longer.

## Death

Before the patient arrives it is `record-death`; there it is the outcome `died`; of one who was admitted, and is not
handed back yet, `record-death` makes it the outcome, once, with its place; the outcome keeps its time. A death of
somebody else before arriving is taken back with `void` (`wrong-person`). One that stands as an outcome is not: whoever
answers for messages says that they live (`POST /recipients/{{recipient}}/lives`).

## Hops

`redirect` asks another facility from the same origin; `refer-onward` goes on from where the patient is, and leaves
this referral its own way back. Both open the next referral of the same chain (`GET /referrals/{{id}}/chain`), which
takes over the chain's clock. `void` with the patient it was meant for opens one for them.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
