"""What people complain about."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.contracts.event import Code


class Category(BaseModel):
    """One kind of complaint. In the `emergency` lane care is being refused now, and office hours do not matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Code
    name: str = Field(min_length=1, max_length=200)
    emergency: bool = False
    retired: bool = False


class Catalogue(BaseModel):
    """The categories by code, in the file's order; the code is not said again within an entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    categories: dict[Code, Category] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _code_from_its_place(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("categories"), dict):
            return data
        entries = {
            code: {**entry, "code": code} if isinstance(entry, dict) and "code" not in entry else entry
            for code, entry in data["categories"].items()
        }
        return {**data, "categories": entries}
