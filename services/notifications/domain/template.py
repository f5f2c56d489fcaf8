"""What is said, in which language: plain texts with typed placeholders, and the order in which languages stand in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from services.notifications.domain.segments import trim

Tag = Literal["alphanumeric", "numeric"]
"""What a placeholder may hold, by the tags of TRAI's direction of 18 November 2025 that we use."""

PLACEHOLDER = re.compile(r"\{([a-z_]+):([a-z]+)\}")
_ANY_BRACE = re.compile(r"[{}]")

FALLBACK = "en"
"""The language that has every template."""

UNDETERMINED = "und"
"""BCP 47: nothing was rendered, so no language was chosen."""


class Template(BaseModel):
    """One text in one language. `subject` is for e-mail; it takes no placeholders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    subject: str = ""

    @model_validator(mode="after")
    def _well_formed(self) -> Template:
        for name, tag in PLACEHOLDER.findall(self.text):
            if tag not in get_args(Tag):
                raise ValueError(f"placeholder {name} has no known tag: {tag}")
        if _ANY_BRACE.search(PLACEHOLDER.sub("", self.text)) or _ANY_BRACE.search(self.subject):
            raise ValueError("a brace outside a placeholder {name:tag}")
        if not self.text.strip():
            raise ValueError("an empty text")
        return self

    @property
    def placeholders(self) -> frozenset[tuple[str, str]]:
        return frozenset(PLACEHOLDER.findall(self.text))

    @property
    def fixed(self) -> str:
        """The text without its placeholders."""
        return PLACEHOLDER.sub("", self.text)


class Rendered(NamedTuple):
    language: str
    text: str
    subject: str


class Language(BaseModel):
    """One file of `templates/`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    script: str
    """Unicode's name of the script that every letter outside placeholders must have."""
    subject: str = ""
    """The subject line of an e-mail to a person whose template names none."""
    templates: dict[str, Template]


class Wording(BaseModel):
    """Every template in every language, and which languages stand in for one that is missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: dict[str, Language]
    stand_in: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _complete(self) -> Wording:
        reference = self.languages[FALLBACK].templates
        for language in self.languages.values():
            for name, template in language.templates.items():
                if name not in reference:
                    raise ValueError(f"{language.language}: {name} is not there in {FALLBACK}")
                if template.placeholders != reference[name].placeholders:
                    raise ValueError(f"{language.language}: {name} has other placeholders than in {FALLBACK}")
        return self

    def placeholders(self, template: str) -> frozenset[str]:
        """Names only. Raises KeyError if there is no such template."""
        return frozenset(name for name, _ in self.languages[FALLBACK].templates[template].placeholders)

    def choose(self, template: str, language: str) -> str:
        """The language this template is said in to somebody who reads `language`."""
        for candidate in (language, *self.stand_in.get(language, ()), FALLBACK):
            if candidate in self.languages and template in self.languages[candidate].templates:
                return candidate
        raise KeyError(template)

    def render(self, template: str, language: str, variables: Mapping[str, str], *, limit: int | None) -> Rendered:
        """Fills the placeholders; `limit` is the length to which each variable is trimmed (None: not at all)."""
        chosen = self.choose(template, language)
        file = self.languages[chosen]
        said = file.templates[template]

        def fill(match: re.Match[str]) -> str:
            value = " ".join(variables[match[1]].split())
            return value if limit is None else trim(value, limit)

        return Rendered(chosen, PLACEHOLDER.sub(fill, said.text), said.subject or file.subject)
