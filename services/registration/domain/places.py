"""Where people live: LGD states and districts of the three territories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.refusal import Refused
from services.registration.domain.identifiers import fold


@dataclass(frozen=True)
class Places:
    """`districts` gives the state of each; a district's code alone never tells (Kargil 6 and Leh 9 kept J&K's series).

    `languages` is what people of a state are told things in while nobody has asked them.
    """

    states: Mapping[int, str]
    districts: Mapping[int, int]
    languages: Mapping[int, str]

    def resolve(self, state_lgd: int | None, district_lgd: int | None) -> tuple[int | None, int | None]:
        """The two codes, the state filled in from the district. Raises Refused naming the field."""
        if state_lgd is not None and state_lgd not in self.states:
            known = ", ".join(f"{code} ({name})" for code, name in sorted(self.states.items()))
            raise Refused("unknown-state", f"must be one of {known}", field="state_lgd")
        if district_lgd is None:
            return state_lgd, None
        if district_lgd not in self.districts:
            raise Refused("unknown-district", "is not a district of these territories", field="district_lgd")
        if state_lgd is not None and self.districts[district_lgd] != state_lgd:
            raise Refused("district-of-another-state", "does not belong to that state", field="district_lgd")
        return self.districts[district_lgd], district_lgd

    def state_named(self, name: str | None) -> int | None:
        """The state's code, or None if no state is called that."""
        wanted = fold(name or "")
        return next((code for code, known in self.states.items() if fold(known) == wanted), None)

    def language(self, state_lgd: int | None) -> str:
        return self.languages.get(state_lgd, "en") if state_lgd is not None else "en"
