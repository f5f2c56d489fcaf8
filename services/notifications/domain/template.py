"""What is said, in which language: plain texts with typed placeholders, and the order in which languages stand in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.notifications.domain.segments import count, trim

Tag = Literal["alphanumeric", "numeric", "number", "url", "urlott", "cbn", "email"]
"""What a placeholder may hold: the tags of TRAI's direction of 18 November 2025."""

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
    version: int = Field(1, ge=1)
    """Rises with every change of the text; each message keeps the version that it says (see `released.yaml`)."""

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
    version: int = 1
    values: tuple[str, ...] = ()
    """What the placeholders hold, in the order of the text."""


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

    def has(self, template: str) -> bool:
        return template in self.languages[FALLBACK].templates

    def candidates(self, template: str, order: Sequence[str]) -> list[str]:
        """The languages this template can be said in to somebody who reads `order`, the best first: what they read,
        then what stands in for each, then English. Raises KeyError if there is no such template."""
        wanted = [*order, *(other for one in order for other in self.stand_in.get(one, ())), FALLBACK]
        found = [
            language
            for language in dict.fromkeys(wanted)
            if language in self.languages and template in self.languages[language].templates
        ]
        if not found:
            raise KeyError(template)
        return found

    def choose(self, template: str, language: str) -> str:
        """The language this template is said in to somebody who reads `language`."""
        return self.candidates(template, (language,))[0]

    def render(self, template: str, language: str, variables: Mapping[str, str], *, limit: int | None) -> Rendered:
        """Fills the placeholders; `limit` is the length to which each variable is trimmed (None: not at all)."""
        return self.said_in(self.choose(template, language), template, variables, limit=limit)

    def said_in(self, language: str, template: str, variables: Mapping[str, str], *, limit: int | None) -> Rendered:
        """In this language and no other. Raises KeyError."""
        file = self.languages[language]
        said = file.templates[template]
        values: dict[str, str] = {}

        def fill(match: re.Match[str]) -> str:
            value = " ".join(variables[match[1]].split())
            values[match[1]] = value if limit is None else trim(value, limit)
            return values[match[1]]

        text = PLACEHOLDER.sub(fill, said.text)
        return Rendered(language, text, said.subject or file.subject, said.version, tuple(values.values()))

    def say(
        self, template: str, order: Sequence[str], variables: Mapping[str, str], *, limit: int, budget: int
    ) -> tuple[Rendered, tuple[str, ...]]:
        """As an SMS, with the reasons for its language: the first that the person reads and that fits the budget of
        segments; where none fits, the first all the same, for a dear message is better than one that cannot be read."""
        candidates = self.candidates(template, order)
        first = self.said_in(candidates[0], template, variables, limit=limit)
        because = ("language-stand-in",) if order and candidates[0] != order[0] else ()
        if count(first.text).segments <= budget:
            return first, because
        for language in candidates[1:]:
            if language in order:
                other = self.said_in(language, template, variables, limit=limit)
                if count(other.text).segments <= budget:
                    return other, (*because, "segment-budget")
        return first, (*because, "over-segment-budget")
