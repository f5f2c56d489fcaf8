"""Who may do what from home, and with provisional cards at a desk.

`/self` knows nobody by our issuer's tokens: a phone that gave its code has a session of its own, asked for by the door
itself. A desk anywhere may read a provisional card, for the first desk is wherever she comes; the reading is logged.
"""

from __future__ import annotations

from libs.common.access import PUBLIC, Rule, allow

HOME_ACCESS: dict[str, Rule] = {
    "POST /self/codes": PUBLIC,
    "POST /self/sessions": PUBLIC,
    "POST /self/cards": PUBLIC,
    "GET /self/cards": PUBLIC,
    "GET /self/cards/{number}": PUBLIC,
    "GET /self/cards/{number}/card.pdf": PUBLIC,
    "GET /self/cards/{number}/qr.svg": PUBLIC,
    "POST /self/cards/{number}/choose-day": PUBLIC,
    "POST /self/cards/{number}/arrive": PUBLIC,
    "POST /self/cards/{number}/withdraw": PUBLIC,
    "GET /provisional-cards/{number}": allow("desk", reads_person=True),
    "POST /provisional-cards/{number}/arrive": allow("desk"),
    "POST /provisional-cards/{number}/verify": allow("desk"),
}
