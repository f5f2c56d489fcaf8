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

from services.notifications.domain.segments import VARIABLE_LIMIT, units_of
from services.notifications.domain.template import PLACEHOLDER, Wording

MOST_VARIABLES = 3
MOST_COMPARED = 6
"""Variables up to which a message is compared with its text: beyond, a comparison could take for ever."""
LEAST_FIXED = 0.3
"""Share of the text, with every variable at its longest, that must be fixed."""
LONGEST_TEXT = 2000

LENGTHS = {"alphanumeric": 40, "numeric": 30, "number": 30, "url": 40, "urlott": 40, "cbn": 30, "email": 40}
"""Characters that each tag of the direction of 18-11-2025 allows; operators hold a variable to `variable_limit` too."""

SERVICE_HEADER = re.compile(r"[A-Za-z]{6}")
"""Service and government headers are six letters; the operator adds prefix and suffix, we never do."""
PROMOTIONAL_HEADER = re.compile(r"[0-9]{6}")

LINK = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:in|com|org|net|gov|example|info|io|me|ly|link|gl|co|app|xyz|page"
    r"|site|online|shop|cc)\b(?:/\S*)?|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])(?::\d+)?(?:/\S*)?",
    re.I,
)
NUMBER = re.compile(r"(?<!\d)(?:\+?\d[\d -]{5,}\d|1\d{2,4})(?!\d)")
NO_NUMBER_TO_CALL = re.compile(
    r"\b\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b|\b\d{4}-\d{2}-\d{2}\b"
    r"|(?:\brs\.?|\binr|₹)\s*[\d,]+(?:\.\d+)?"
    r"|(?<![\d+-])\d{1,5}\s*(?:%|(?:minutes?|hours?|days?|weeks?|months?|years?|people|beds|km|rupees)\b)",
    re.I,
)
"""Dates, amounts and counts of the fixed text."""
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
TAG = re.compile(PLACEHOLDER.pattern + r"|\{#(?P<braced>\w+)#\}|#(?P<bare>\w+)#")
"""A variable as we write it (`{name:tag}`), or as either list of the operators does (`{#tag#}`, `#tag#`)."""
_TAGS = "alphanumeric|numeric|number|urlott|url|cbn|email|variable|var"
HALF_A_TAG = re.compile(rf"\{{#|#\}}|[{{}}]|#(?:{_TAGS})\b|\b(?:{_TAGS})#")
OLD_TAGS = frozenset({"var", "variable"})

_VALUES = {"numeric": r"\d", "number": r"\d"}


class Registration(BaseModel):
    """`dlt.yaml`: what is registered with the operators. Ids are of templates by name and language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity: str = ""
    header: str
    promotional_header: str = ""
    """Six digits, for what is advertising by TRAI's rules."""
    tag_style: Literal["{#%s#}", "#%s#"] = "{#%s#}"
    links: tuple[str, ...] = ()
    callback_numbers: tuple[str, ...] = ()
    variable_limit: int = Field(VARIABLE_LIMIT, ge=1, le=40)
    """Characters (UTF-16 units) that the operators let a variable have, spaces included; the tag itself allows 40."""
    paise_per_segment: int = Field(0, ge=0)
    """What one segment costs by our contract, in paise: for previews, nothing is paid by it."""
    templates: dict[str, dict[str, str]] = Field(default_factory=dict)

    def id_of(self, template: str, language: str) -> str:
        """The id under which a text is registered; empty where it is not yet."""
        return self.templates.get(template, {}).get(language, "")

    def limit_of(self, tag: str) -> int:
        return min(LENGTHS.get(tag, 40), self.variable_limit)

    def allows_link(self, link: str) -> bool:
        """One of those registered, or below it; what only begins like one is somebody else's."""
        plain = link.rstrip(".,;:!?)\"'")
        return any(
            plain.rstrip("/") == known or plain.startswith((f"{known}/", f"{known}?", f"{known}#"))
            for known in (allowed.rstrip("/") for allowed in self.links)
        )

    def allows_number(self, number: str) -> bool:
        return re.sub(r"\D", "", number) in {re.sub(r"\D", "", known) for known in self.callback_numbers}


class Fault(NamedTuple):
    template: str
    language: str
    rule: str
    detail: str
    promotional: bool = False
    """Of a header: the one for advertising."""

    def __str__(self) -> str:
        about = self.template + (f" ({self.language})" if self.language else "")
        return f"{about}: {self.rule}: {self.detail}" if about else f"{self.rule}: {self.detail}"


def at_its_longest(text: str, registration: Registration) -> str:
    """Every variable filled to its limit: what a text costs at most. A name may need UCS-2 where this does not."""
    return TAG.sub(lambda match: "1" * registration.limit_of(_tag(match)), text)


def registered_text(text: str, style: str = "{#%s#}") -> str:
    """Our placeholders as the operators write them: `{facility:alphanumeric}` becomes `{#alphanumeric#}`."""
    return PLACEHOLDER.sub(lambda match: style % match[2], text)


def _tag(match: re.Match[str]) -> str:
    return str(match[2] or match["braced"] or match["bare"])


def _name(match: re.Match[str]) -> str:
    return match[1] or match[0]


def _says_something(text: str) -> bool:
    return any(unicodedata.category(letter)[0] in "LN" for letter in text)


def lint(name: str, language: str, text: str, registration: Registration) -> Iterable[Fault]:
    """What the operators would refuse of one text."""

    def fault(rule: str, detail: str) -> Fault:
        return Fault(name, language, rule, detail)

    found = list(TAG.finditer(text))
    fixed = TAG.sub("", text)
    for match in found:
        tag = _tag(match)
        if tag.lower() in OLD_TAGS:
            yield fault("tag-untyped", f"{match[0]} is a tag of the old form; every variable must be typed")
        elif tag not in LENGTHS:
            known = ", ".join(LENGTHS)
            yield fault("tag-unknown", f"{_name(match)} has no tag of the direction of 18-11-2025 ({known})")
    if half := HALF_A_TAG.search(fixed):
        yield fault("tag-malformed", f"{half[0]!r} outside a tag: write {{name:tag}}, {{#tag#}} or #tag#")
    if len(found) > MOST_VARIABLES:
        yield fault("too-many-variables", f"{len(found)}, at most {MOST_VARIABLES}")
    for before, after in itertools.pairwise(found):
        if not _says_something(text[before.end() : after.start()]):
            yield fault("variables-adjacent", f"no word between {_name(before)} and {_name(after)}")
    longest = len(fixed) + sum(registration.limit_of(_tag(match)) for match in found)
    if found and len(fixed) < LEAST_FIXED * longest:
        yield fault("fixed-part-too-small", f"{len(fixed)} of {longest} characters, at least 30 %")
    if not fixed.strip():
        yield fault("no-fixed-text", "nothing is said outside the variables")
    if longest > LONGEST_TEXT:
        yield fault("too-long", f"{longest} characters, at most {LONGEST_TEXT}")
    if "\ufffd" in text or _loses_letters(text):
        yield fault("letters-lost", "a character that stands for a letter some program could not write")
    for link in LINK.findall(fixed):
        if not registration.allows_link(link):
            yield fault("link-not-whitelisted", link)
    for number in NUMBER.findall(NO_NUMBER_TO_CALL.sub("", LINK.sub("", fixed))):
        if not registration.allows_number(number):
            yield fault("number-not-whitelisted", number)


def _loses_letters(text: str) -> bool:
    """A row of question marks is a text that went through a wrong encoding."""
    return re.search(r"\?{3,}|\?\? \?\?", text) is not None or any("\ud800" <= letter <= "\udfff" for letter in text)


def lint_header(header: str, *, promotional: bool = False) -> Iterable[Fault]:
    """Six letters, for promotional ones six digits, without the operator's prefix and suffix."""
    form = PROMOTIONAL_HEADER if promotional else SERVICE_HEADER
    if not form.fullmatch(header):
        wanted = "six digits" if promotional else "six letters"
        why = f"{header!r} is not {wanted}; prefix and suffix are the operator's"
        yield Fault("", "", "header-form", why, promotional)


def lint_all(wording: Wording, names: Iterable[str], registration: Registration) -> list[Fault]:
    """Every fault of the texts that go out as SMS, and of the headers they go out under."""
    faults = [*lint_header(registration.header)]
    if registration.promotional_header:
        faults += lint_header(registration.promotional_header, promotional=True)
    for name in sorted(names):
        for language, file in sorted(wording.languages.items()):
            if name in file.templates:
                faults += lint(name, language, file.templates[name].text, registration)
    return faults


@functools.lru_cache(maxsize=1024)
def approved(text: str, limit: int = VARIABLE_LIMIT) -> re.Pattern[str]:
    """What a rendered message must match: the registered text to the letter, each variable within its tag."""
    parts, end = [], 0
    for match in TAG.finditer(text):
        tag = _tag(match)
        parts.append(re.escape(text[end : match.start()]))
        parts.append(f"({_VALUES.get(tag, '.')}{{1,{min(LENGTHS.get(tag, 40), limit)}}}?)")
        end = match.end()
    parts.append(re.escape(text[end:]))
    return re.compile("".join(parts), re.DOTALL)


def keeps_to(text: str, rendered: str, limit: int = VARIABLE_LIMIT) -> bool:
    """Whether a rendered message is the approved text with allowed values: one letter off, and it is dropped unseen."""
    return approved(text, limit).fullmatch(rendered) is not None


def lint_rendered(name: str, language: str, text: str, rendered: str, registration: Registration) -> Iterable[Fault]:
    """Why the operators would drop a rendered message that claims to be `text`; nothing if they would not."""

    def fault(rule: str, detail: str) -> Fault:
        return Fault(name, language, rule, detail)

    tags = list(TAG.finditer(text))
    if len(tags) > MOST_COMPARED:
        yield fault("too-many-variables", f"{len(tags)}, at most {MOST_VARIABLES}")
        return
    matched = approved(text, registration.variable_limit).fullmatch(rendered) or _loosely(text).fullmatch(rendered)
    if matched is None:
        yield fault("text-differs", f"not the approved text from character {_first_difference(text, rendered)} on")
        return
    for match, value in zip(tags, matched.groups(), strict=True):
        tag, limit = _tag(match), registration.limit_of(_tag(match))
        if not value.strip():
            yield fault("variable-empty", f"{_name(match)} has no value")
        elif units_of(value) > limit:
            yield fault("variable-too-long", f"{_name(match)} has {units_of(value)} characters, at most {limit}")
        yield from (fault(*why) for why in value_faults(_name(match), tag, value, registration))


def value_faults(name: str, tag: str, value: str, registration: Registration) -> Iterable[tuple[str, str]]:
    """Rule and detail of what the operators would not take in a variable of this tag."""
    if tag in ("numeric", "number") and not value.isdigit():
        yield "variable-not-numeric", f"{name} holds something other than digits"
    if tag in ("url", "urlott") and not registration.allows_link(value):
        yield "link-not-whitelisted", f"{name} holds a link that is not registered"
    if tag == "cbn" and not registration.allows_number(value):
        yield "number-not-whitelisted", f"{name} holds a number that is not registered"
    if tag == "email" and not EMAIL.fullmatch(value):
        yield "variable-not-email", f"{name} holds no address"
    if tag == "alphanumeric" and LINK.search(value):
        yield "link-in-alphanumeric", f"{name} holds a link; links need the tag url"


def _loosely(text: str) -> re.Pattern[str]:
    parts, end = [], 0
    for match in TAG.finditer(text):
        parts += [re.escape(text[end : match.start()]), "(.*?)"]
        end = match.end()
    return re.compile("".join([*parts, re.escape(text[end:])]), re.DOTALL)


def _first_difference(text: str, rendered: str) -> int:
    """Up to the first variable letter by letter; behind it, where the fixed text that should follow is missing."""
    position, end = 0, 0
    for match in [*TAG.finditer(text), None]:
        piece = text[end : match.start() if match else len(text)]
        at = rendered.find(piece, position) if end else 0
        if at < 0 or not rendered.startswith(piece, at):
            agreed = itertools.takewhile(
                lambda pair: pair[0] == pair[1], zip(piece, rendered[max(at, position) :], strict=False)
            )
            return max(at, position) + len(list(agreed)) + 1
        position, end = at + len(piece), match.end() if match else end
    return position + 1


def sheet(wording: Wording, names: Iterable[str], registration: Registration) -> list[Mapping[str, str]]:
    """What is to be registered, one row per text."""
    rows: list[Mapping[str, str]] = []
    for name in sorted(names):
        for language, file in sorted(wording.languages.items()):
            if name not in file.templates:
                continue
            text = registered_text(file.templates[name].text, registration.tag_style)
            rows.append(
                {
                    "template": name,
                    "version": str(file.templates[name].version),
                    "language": language,
                    "header": registration.header,
                    "id": registration.id_of(name, language),
                    "text": text,
                }
            )
    return rows
