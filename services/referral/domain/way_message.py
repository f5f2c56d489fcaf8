"""One SMS about a journey: at most 160 letters, typed by a driver or sent by a device, never a name in it.

HH <code> POS <latitude> <longitude>
HH <code> DEP <108|OWN|HELI|ARMY|OTHER>      under way, also again after a hold
HH <code> HELD <PASS|WEATHER|AIR|VEHICLE|OTHER> [<hours until it is expected to go on>]
HH <code> DONE                               handed over
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.refusal import Refused
from services.referral.domain.leg import Leg

LONGEST = 160
CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is taken for another."""

CODE_LENGTH = 8
MODES = {
    "108": "ambulance-108",
    "OWN": "own-vehicle",
    "HELI": "helicopter",
    "ARMY": "army-convoy",
    "OTHER": "other",
}
CAUSES = {"PASS": "pass-closed", "WEATHER": "weather", "AIR": "air-grounded", "VEHICLE": "vehicle", "OTHER": "other"}
HELP = "must be HH CODE POS LAT LON, DEP MODE, HELD CAUSE [HOURS] or DONE"

_NUMBER = r"([+-]?\d{1,3}(?:\.\d{1,15})?)"
_DECIMAL = r"([+-]?\d{1,3}\.\d{1,15})"
_PLACE = re.compile(rf"{_NUMBER} {_NUMBER}|{_DECIMAL}, ?{_DECIMAL}")
"""With a comma between, as maps give it, only where none can be taken for a decimal point."""


@dataclass(frozen=True)
class Told:
    """`command`: position, depart, hold or hand-over. `said`: its fields; `hours` until a hold is expected to end."""

    code: str
    command: str
    said: dict[str, Any]

    def is_late(self, at: dt.datetime, before: Sequence[dt.datetime]) -> bool:
        """Whether it was said before the last of what was said of going on and being held: a late one undoes nothing.
        Gateways tell time in whole seconds."""
        return self.command in ("depart", "hold") and bool(before) and at < max(before).replace(microsecond=0)

    def is_so(self, leg: Leg, at: dt.datetime) -> bool:
        """Whether it tells nothing new, said `at` that time: networks deliver a message twice, and drivers send it
        again. A hold that is to end another hour is new."""
        match self.command:
            case "depart":
                return leg.status == "departed" and leg.under_way and leg.mode == self.said["mode"]
            case "hold":
                again = leg.status == "held" and leg.held_for == self.said["reason"]
                hours, release = self.said.get("hours"), leg.expected_release
                if again and leg.under_way and hours is not None and release is not None:
                    return abs(at + dt.timedelta(hours=hours) - release) < dt.timedelta(hours=1)
                return again and leg.under_way and hours is None
            case "hand-over":
                return leg.status == "handed-over"
            case _:
                return False


def parse(text: str) -> Told:
    """Raises Refused naming `text`."""
    if len(text) > LONGEST:
        raise Refused("too-long", f"at most {LONGEST} characters", field="text")
    words = text.upper().split()
    if len(words) < 3 or words[0] != "HH":
        raise _unreadable()
    code, what, rest = _code(words[1]), words[2], words[3:]
    match what, rest:
        case "POS", _ if place := _PLACE.fullmatch(" ".join(rest)):
            latitude, longitude = (float(number) for number in place.groups() if number is not None)
            if abs(latitude) > 90 or abs(longitude) > 180:
                raise Refused("out-of-range", "no such place on earth", field="text")
            return Told(code, "position", {"latitude": latitude, "longitude": longitude})
        case "DEP", [mode] if mode in MODES:
            return Told(code, "depart", {"mode": MODES[mode]})
        case "HELD", [cause] if cause in CAUSES:
            return Told(code, "hold", {"reason": CAUSES[cause]})
        case "HELD", [cause, hours] if cause in CAUSES and re.match(r"\d{1,3}$", hours):
            return Told(code, "hold", {"reason": CAUSES[cause], "hours": int(hours)})
        case "DONE", []:
            return Told(code, "hand-over", {})
        case _:
            raise _unreadable()


def _code(word: str) -> str:
    """As it is meant: O for 0 and I or L for 1 are forgiven."""
    meant = word.translate(str.maketrans("OIL", "011"))
    if len(meant) != CODE_LENGTH or set(meant) - set(CODE_LETTERS):
        raise _unreadable()
    return meant


def _unreadable() -> Refused:
    return Refused("message-unreadable", HELP, field="text")
