"""What the routes about templates answer."""

from __future__ import annotations

from pydantic import BaseModel

from services.notifications.domain.segments import Encoding


class FaultFound(BaseModel):
    rule: str
    detail: str


class Linted(BaseModel):
    """`segments` of the message, or of the text with every variable at its longest."""

    ok: bool
    faults: list[FaultFound]
    registered_text: str
    encoding: Encoding
    units: int
    segments: int


class PreviewItem(BaseModel):
    language: str
    version: int
    text: str
    encoding: Encoding
    units: int
    segments: int
    paise: int
    faults: list[FaultFound]


class Previewed(BaseModel):
    items: list[PreviewItem]


class LanguageOfTemplate(BaseModel):
    language: str
    version: int
    text: str
    registered_text: str
    registered_id: str
    encoding: Encoding
    longest_segments: int
    stopped: str | None


class TemplateShown(BaseModel):
    template: str
    variables: list[str]
    own: bool
    languages: list[LanguageOfTemplate]


class TemplatesShown(BaseModel):
    items: list[TemplateShown]
    next: str | None
