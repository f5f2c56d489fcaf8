"""TRAI's rules for SMS templates (DLT): what a text must look like to be registered, and what was registered.

Sources: TRAI directions of 12 May 2023 (number of variables, fixed part) and of 18 November 2025 (typed tags instead of
`{#var#}`, whitelisted links and callback numbers); the operators' limit of 30 characters per variable; TCCCPR as
amended on 12 February 2025 (headers). The operators' lists differ in the brace style of a tag: `tag_style` says which.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from services.notifications.domain.template import PLACEHOLDER, Wording

MOST_VARIABLES = 3
LEAST_FIXED = 0.3
"""Share of the text, with every variable at its longest, that must be fixed."""
LONGEST_TEXT = 2000

LENGTHS = {"alphanumeric": 40, "numeric": 30}
"""Characters that the tag allows; operators hold every variable to `VARIABLE_LIMIT` all the same."""

HEADER = re.compile(r"^[A-Za-z]{6}$")
"""Service and government headers are six letters; the operator adds prefix and suffix, we never do."""

LINK = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:in|com|org|net|gov|example|info|io)\b(?:/\S*)?", re.I
)
NUMBER = re.compile(r"(?<!\d)(?:\+?\d[\d -]{5,}\d|1\d{2,4})(?!\d)")
OLD_TAG = re.compile(r"\{#|#var#|#\w+#", re.I)

_VALUES = {"alphanumeric": r".{1,%d}?", "numeric": r"\d{1,%d}"}


class Registration(BaseModel):
    """`dlt.yaml`: what is registered with the operators. Ids are of templates by name and language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity: str = ""
    header: str
    tag_style: Literal["{#%s#}", "#%s#"] = "{#%s#}"
    links: tuple[str, ...] = ()
    callback_numbers: tuple[str, ...] = ()
    templates: dict[str, dict[str, str]] = Field(default_factory=dict)

    def id_of(self, template: str, language: str) -> str:
        """The id under which a text is registered; empty where it is not yet."""
        return self.templates.get(template, {}).get(language, "")


class Fault(NamedTuple):
    template: str
    language: str
    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{self.template} ({self.language}): {self.rule}: {self.detail}"


def registered_text(text: str, style: str = "{#%s#}") -> str:
    """Our placeholders as the operators write them: `{facility:alphanumeric}` becomes `{#alphanumeric#}`."""
    return PLACEHOLDER.sub(lambda match: style % match[2], text)


def _says_something(text: str) -> bool:
    return any(unicodedata.category(letter)[0] in "LN" for letter in text)


def lint(name: str, language: str, text: str, registration: Registration) -> Iterable[Fault]:
    """What the operators would refuse of one text."""

    def fault(rule: str, detail: str) -> Fault:
        return Fault(name, language, rule, detail)

    found = list(PLACEHOLDER.finditer(text))
    fixed = PLACEHOLDER.sub("", text)
    if OLD_TAG.search(text):
        yield fault("tag-untyped", "a tag of the old form; every variable must be typed")
    for match in found:
        if match[2] not in LENGTHS:
            yield fault("tag-unknown", f"{match[1]} has no tag of the direction of 18-11-2025")
    if len(found) > MOST_VARIABLES:
        yield fault("too-many-variables", f"{len(found)}, at most {MOST_VARIABLES}")
    for before, after in itertools.pairwise(found):
        if not _says_something(text[before.end() : after.start()]):
            yield fault("variables-adjacent", f"no word between {before[1]} and {after[1]}")
    longest = len(fixed) + sum(min(LENGTHS.get(match[2], 40), 30) for match in found)
    if found and len(fixed) < LEAST_FIXED * longest:
        yield fault("fixed-part-too-small", f"{len(fixed)} of {longest} characters, at least 30 %")
    if longest > LONGEST_TEXT:
        yield fault("too-long", f"{longest} characters, at most {LONGEST_TEXT}")
    for link in LINK.findall(fixed):
        if not any(link.startswith(allowed) for allowed in registration.links):
            yield fault("link-not-whitelisted", link)
    for number in NUMBER.findall(fixed):
        if re.sub(r"\D", "", number) not in {re.sub(r"\D", "", known) for known in registration.callback_numbers}:
            yield fault("number-not-whitelisted", number)


def lint_all(wording: Wording, names: Iterable[str], registration: Registration) -> list[Fault]:
    """Every fault of the texts that go out as SMS, and of the header they go out under."""
    faults = []
    if not HEADER.match(registration.header):
        faults.append(Fault("", "", "header-form", f"{registration.header!r} is not six letters"))
    for name in sorted(names):
        for language, file in sorted(wording.languages.items()):
            if name in file.templates:
                faults += lint(name, language, file.templates[name].text, registration)
    return faults


@functools.lru_cache(maxsize=1024)
def approved(text: str) -> re.Pattern[str]:
    """What a rendered message must match: the registered text to the letter, each variable within its tag."""
    parts, end = [], 0
    for match in PLACEHOLDER.finditer(text):
        parts.append(re.escape(text[end : match.start()]))
        parts.append(f"({_VALUES[match[2]] % 30})")
        end = match.end()
    parts.append(re.escape(text[end:]))
    return re.compile("".join(parts), re.DOTALL)


def keeps_to(text: str, rendered: str) -> bool:
    """Whether a rendered message is the approved text with allowed values: one letter off, and it is dropped unseen."""
    return approved(text).fullmatch(rendered) is not None


def sheet(wording: Wording, names: Iterable[str], registration: Registration) -> list[Mapping[str, str]]:
    """What is to be registered, one row per text."""
    rows: list[Mapping[str, str]] = []
    for name in sorted(names):
        for language, file in sorted(wording.languages.items()):
            text = registered_text(file.templates[name].text, registration.tag_style)
            rows.append(
                {
                    "template": name,
                    "language": language,
                    "header": registration.header,
                    "id": registration.id_of(name, language),
                    "text": text,
                }
            )
    return rows
