"""Identifiers besides ABHA, typed and validated: family and member ids, cards, a facility's own record numbers.

None of their issuers publishes a check digit; the forms are what was seen, wide enough not to send anybody away.
"""

from __future__ import annotations

import re
import unicodedata

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from libs.common.aadhaar import COULD_BE, contains_aadhaar
from libs.contracts.registration import IdentifierType
from services.registration.domain.identifiers import FacilityCode

FORMS: dict[str, tuple[re.Pattern[str], str]] = {
    "him-parivar-family": (re.compile(r"[A-Z0-9]{6,20}"), "must be 6 to 20 letters and digits"),
    "him-parivar-member": (re.compile(r"[A-Z0-9]{6,24}"), "must be 6 to 24 letters and digits"),
    "ration-card": (re.compile(r"[A-Z0-9]{4,20}"), "must be 4 to 20 letters and digits"),
    "tibetan-refugee-card": (
        re.compile(r"[A-Z]{0,4}[0-9]{4,12}[A-Z]?"),
        "must be up to four letters and 4 to 12 digits",
    ),
    "border-id-card": (re.compile(r"[A-Z0-9]{4,20}"), "must be 4 to 20 letters and digits"),
    "domicile": (re.compile(r"[A-Z0-9]{4,30}"), "must be 4 to 30 letters and digits"),
    "mrn": (re.compile(r"[A-Z0-9]{1,30}"), "must be 1 to 30 letters and digits"),
}
HOUSEHOLD = frozenset({"him-parivar-family", "ration-card"})
"""Shared by a family: evidence of a household, never of a person."""


def folded(value: str) -> str:
    """As it is compared: letters and digits only, upper case, any script's digits as ASCII."""
    plain = "".join(str(int(char)) if char.isdecimal() else char for char in unicodedata.normalize("NFKC", value))
    return re.sub(r"[\s\-/._]", "", plain).upper()


class PersonalIdentifier(BaseModel):
    """`facility` is the one whose record number it is; for another type there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: IdentifierType
    value: str
    facility: FacilityCode | None = None

    @field_validator("value", mode="before")
    @classmethod
    def _plain(cls, value: object) -> str:
        if not isinstance(value, str) or len(value) > 100:
            raise ValueError("must be text of at most 100 characters")
        if contains_aadhaar(value):
            raise ValueError(COULD_BE)
        plain = folded(value)
        if contains_aadhaar(plain):
            raise ValueError(COULD_BE)
        return plain

    @model_validator(mode="after")
    def _has_its_form(self) -> PersonalIdentifier:
        form, says = FORMS[self.type]
        if not form.fullmatch(self.value):
            raise ValueError(f"{self.type} {says}")
        if self.type == "mrn" and not self.facility:
            raise ValueError("mrn needs the facility that gave it")
        if self.type != "mrn" and self.facility:
            raise ValueError("only an mrn has a facility")
        return self
