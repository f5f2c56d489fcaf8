"""Where people live: the places of the Local Government Directory (LGD), what they were called and what became of them.

A record keeps the codes it was written with and the day; what they mean is always asked of that day, and what became of
the place since is asked apart. So a record never changes its meaning when a code does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from libs.common.refusal import Refused
from services.registration.domain.identifiers import fold

Kind = Literal["state", "district", "sub-district", "block"]
KINDS: tuple[Kind, ...] = ("state", "district", "sub-district", "block")
FIELDS: Mapping[Kind, str] = {
    "state": "state_lgd",
    "district": "district_lgd",
    "sub-district": "sub_district_lgd",
    "block": "block_lgd",
}
LONG_AGO = dt.date(1900, 1, 1)
FOR_EVER = dt.date(9999, 12, 31)


@dataclass(frozen=True)
class Within:
    """Part of another place from `since` to `until`, both included."""

    place: str
    since: dt.date = LONG_AGO
    until: dt.date = FOR_EVER

    def holds(self, on: dt.date) -> bool:
        return self.since <= on <= self.until


@dataclass(frozen=True)
class Place:
    """`key` is ours and stays; `code` is LGD's, None while none is published. `language` is what people there are told
    things in while nobody has asked them."""

    key: str
    kind: Kind
    name: str
    code: int | None = None
    also: tuple[str, ...] = ()
    since: dt.date = LONG_AGO
    until: dt.date = FOR_EVER
    within: tuple[Within, ...] = ()
    language: str | None = None
    note: str = ""

    def holds(self, on: dt.date) -> bool:
        return self.since <= on <= self.until

    def parent(self, on: dt.date) -> str | None:
        return next((each.place for each in self.within if each.holds(on)), None)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.also)


@dataclass(frozen=True)
class Lived:
    """The codes of a record: as they were said on the day `on`."""

    state_lgd: int | None = None
    district_lgd: int | None = None
    sub_district_lgd: int | None = None
    block_lgd: int | None = None
    on: dt.date | None = None

    def code(self, kind: Kind) -> int | None:
        code: int | None = getattr(self, FIELDS[kind])
        return code


def lived_in(codes: Mapping[Kind, int | None], on: dt.date | None = None) -> Lived:
    return Lived(codes.get("state"), codes.get("district"), codes.get("sub-district"), codes.get("block"), on)


def sounded(name: str) -> str:
    """A place's name without what spellings differ by: vowels after the first letter, doubled letters and h."""
    words = []
    for word in fold(name).split():
        kept = "".join(char for index, char in enumerate(word) if index == 0 or char not in "aeiouhy")
        words.append("".join(char for index, char in enumerate(kept) if index == 0 or char != kept[index - 1]))
    return "".join(words)


@dataclass(frozen=True)
class Places:
    """The directory. Without a day, today's is meant: the latest that is known."""

    all: Mapping[str, Place]
    by_code: Mapping[tuple[Kind, int], str] = field(default_factory=dict)
    by_name: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_sound: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def of(places: Sequence[Place]) -> Places:
        by_name: dict[str, dict[str, None]] = {}
        by_sound: dict[str, dict[str, None]] = {}
        for place in places:
            for name in place.names:
                by_name.setdefault(fold(name), {})[place.key] = None
                by_sound.setdefault(sounded(name), {})[place.key] = None
        return Places(
            all={place.key: place for place in places},
            by_code={(place.kind, place.code): place.key for place in places if place.code is not None},
            by_name={name: tuple(keys) for name, keys in by_name.items()},
            by_sound={name: tuple(keys) for name, keys in by_sound.items()},
        )

    @property
    def states(self) -> dict[int, str]:
        return {place.code: place.name for place in self.all.values() if place.kind == "state" and place.code}

    @property
    def districts(self) -> dict[int, int]:
        """The state of each district that has a code, as of today."""
        found = {}
        for place in self.all.values():
            if place.kind == "district" and place.code is not None:
                state = self.all[place.parent(FOR_EVER) or ""].code
                assert state is not None
                found[place.code] = state
        return found

    def get(self, kind: Kind, code: int | None) -> Place | None:
        key = self.by_code.get((kind, code)) if code is not None else None
        return self.all[key] if key else None

    def chain(self, place: Place, on: dt.date) -> Iterator[Place]:
        """The place and what it is part of on that day, upwards."""
        here: Place | None = place
        while here is not None:
            yield here
            above = here.parent(on)
            here = self.all[above] if above else None

    def language(self, state_lgd: int | None) -> str:
        state = self.get("state", state_lgd)
        return (state.language if state else None) or "en"

    def resolve(
        self,
        state_lgd: int | None,
        district_lgd: int | None,
        sub_district_lgd: int | None = None,
        block_lgd: int | None = None,
        *,
        on: dt.date = FOR_EVER,
    ) -> tuple[int | None, int | None]:
        """State and district, filled in from whatever is smaller. Raises Refused naming the field."""
        lived = self.settled(Lived(state_lgd, district_lgd, sub_district_lgd, block_lgd), on)
        return lived.state_lgd, lived.district_lgd

    def settled(self, said: Lived, on: dt.date) -> Lived:
        """The codes, the larger filled in from the smaller. Where a newer place has no code yet, the one it came out of
        stands for it, as other systems send it. Raises Refused naming the field."""
        if said.state_lgd is not None and said.state_lgd not in self.states:
            known = ", ".join(f"{code} ({name})" for code, name in sorted(self.states.items()))
            raise Refused("unknown-state", f"must be one of {known}", field="state_lgd")
        codes: dict[Kind, int | None] = {kind: said.code(kind) for kind in KINDS}
        for kind in ("block", "sub-district", "district"):
            code = said.code(kind)
            if code is None:
                continue
            place = self.get(kind, code)
            if place is None:
                raise Refused(f"unknown-{kind}", f"is not a {kind} of these territories", field=FIELDS[kind])
            self._fill(place, codes, on)
        return lived_in(codes, on)

    def _fill(self, place: Place, codes: dict[Kind, int | None], on: dt.date) -> None:
        """What it is part of on that day; while that has no code, what it was part of before."""
        for kind in KINDS[: KINDS.index(place.kind)]:
            code = self._code_above(place, kind, on)
            if code is None:
                continue
            if codes[kind] is None:
                codes[kind] = code
            elif codes[kind] != code:
                raise Refused(
                    f"{place.kind}-of-another-{kind}", f"does not belong to that {kind}", field=FIELDS[place.kind]
                )

    def _code_above(self, place: Place, kind: Kind, on: dt.date) -> int | None:
        day = max(on, place.since)
        while True:
            above = next((up for up in self.chain(place, day) if up.kind == kind), None)
            if above is None or above.code is not None or above.since <= place.since:
                return above.code if above else None
            day = above.since - dt.timedelta(days=1)

    def _ever_above(self, place: Place) -> list[Place]:
        """A place and all it ever was part of, oldest first."""
        earlier = sorted(place.within, key=lambda each: each.since)
        return [*(up for each in earlier for up in self._ever_above(self.all[each.place])), place]

    def state_named(self, name: str | None) -> int | None:
        """The state's code, or None if no state is called that."""
        return next((place.code for place in self.named(name or "", kind="state")), None)

    def named(
        self, name: str, *, kind: Kind | None = None, within: str | None = None, on: dt.date | None = None
    ) -> list[Place]:
        """Places of that name, or failing that of that sound (Khalsi, Khaltsi, Khaltse), the largest first."""
        for index, wanted in ((self.by_name, fold(name)), (self.by_sound, sounded(name))):
            if not wanted:
                continue
            found = [self.all[key] for key in index.get(wanted, ())]
            found = [
                place
                for place in found
                if (kind is None or place.kind == kind)
                and (on is None or place.holds(on))
                and (within is None or self._lies_within(place, within, on))
            ]
            if found:
                return sorted(found, key=lambda place: (KINDS.index(place.kind), place.key))
        return []

    def _lies_within(self, place: Place, key: str, on: dt.date | None) -> bool:
        if on is not None:
            return any(up.key == key for up in self.chain(place, on))
        return any(up.key == key for up in self._ever_above(place))

    def lived(self, name: str, said: Lived, on: dt.date) -> Lived:
        """The codes of a place that was named, together with what was said besides.

        Raises Refused naming `place`: nobody knows it, or several do.
        """
        state = self.get("state", said.state_lgd)
        found = self.named(name, within=state.key if state else None)
        if not found:
            raise Refused("unknown-place", "is no place that we know", field="place")
        codes: dict[Kind, int | None] = {kind: said.code(kind) for kind in KINDS}
        for place in found:
            if place.code is None:
                continue
            if codes[place.kind] is None:
                codes[place.kind] = place.code
            elif codes[place.kind] != place.code:
                among = ", ".join(f"{each.name} ({each.kind} {each.code})" for each in found)
                raise Refused("place-not-clear", f"could be {among}", field="place")
        try:
            settled = self.settled(lived_in(codes), on)
        except Refused:
            among = ", ".join(f"{each.name} ({each.kind} {each.code})" for each in found)
            raise Refused("place-not-clear", f"could be {among}", field="place") from None
        if settled == Lived(on=on):
            return self._of_codeless(found[-1], on)
        return settled

    def _of_codeless(self, place: Place, on: dt.date) -> Lived:
        """A place without a code is recorded by what it came out of, or lies in."""
        for up in reversed(self._ever_above(place)):
            if up.code is not None:
                return self.settled(lived_in({up.kind: up.code}), on)
        raise Refused("unknown-place", "has no code, nor has what it lies in", field="place")

    def meaning(self, lived: Lived, on: dt.date | None = None) -> dict[Kind, Place]:
        """What the codes of a record meant on its own day."""
        day = on or lived.on or FOR_EVER
        smallest = next((self.get(kind, lived.code(kind)) for kind in reversed(KINDS) if lived.code(kind)), None)
        found: dict[Kind, Place] = {}
        for kind in KINDS:
            place = self.get(kind, lived.code(kind))
            if place is not None:
                found[kind] = place
        for up in self.chain(smallest, day) if smallest else ():
            found[up.kind] = up
        return found

    def became(self, place: Place, since: dt.date, on: dt.date) -> list[Place]:
        """What a place of `since` is on a later day: itself, and those that were made out of it meanwhile."""
        made = [
            other
            for other in self.all.values()
            if other.kind == place.kind and since < other.since <= on and self._came_out_of(other, place)
        ]
        return [*([place] if place.holds(on) else []), *made]

    def _came_out_of(self, new: Place, old: Place) -> bool:
        """Whether a part of the new place was a part of the old one until then."""
        return any(
            each.place == new.key and any(b.place == old.key and b.until < each.since for b in part.within)
            for part in self.all.values()
            for each in part.within
        )
