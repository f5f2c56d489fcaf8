"""Reasons for which a complaint belongs to another procedure (CPGRAMS: not dealt with as grievances)."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.contracts.event import Code


class ScreeningReason(BaseModel):
    """One reason: what the complainant is told, and where it is passed on to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    passed_to: Code
    explanation: dict[str, str]

    @model_validator(mode="after")
    def _in_english_at_least(self) -> Self:
        if not self.explanation.get("en", "").strip():
            raise ValueError("explanation needs English (en)")
        return self

    def told(self, language: str) -> str:
        return self.explanation.get(language) or self.explanation["en"]


class Screening(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    reasons: dict[Code, ScreeningReason] = Field(min_length=1)
