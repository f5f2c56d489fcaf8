"""Ticket numbers that people write down and read out: `G-7K3M-9Q2X-C`.

Eight characters follow from the grievance's id and the last one checks them: any one wrong character and any two
neighbours exchanged are noticed. No 0, 1, I, L or O, which are taken for each other. A ticket is not a secret.
"""

from __future__ import annotations

import hashlib

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""31 characters: a prime, so that a weighted sum modulo 31 catches every single error and every transposition."""

LENGTH = 8


def _check(body: str) -> str:
    return ALPHABET[sum((place + 1) * ALPHABET.index(char) for place, char in enumerate(body)) % len(ALPHABET)]


def mint(id: str, attempt: int = 0) -> str:
    """The ticket of this grievance; another `attempt` gives another one, for when the first is taken."""
    number = int.from_bytes(hashlib.sha256(f"ticket:{id}:{attempt}".encode()).digest()[:16], "big")
    body = ""
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        body += ALPHABET[digit]
    return f"G-{body[:4]}-{body[4:]}-{_check(body)}"


def normalised(written: str) -> str | None:
    """The ticket as minted, from however it was typed (case, spaces, hyphens); None if it cannot be one."""
    plain = "".join(char for char in written.upper() if char.isascii() and char.isalnum())
    if len(plain) != LENGTH + 2 or plain[0] != "G" or any(char not in ALPHABET for char in plain[1:]):
        return None
    body, check = plain[1:-1], plain[-1]
    return f"G-{body[:4]}-{body[4:]}-{check}" if _check(body) == check else None
