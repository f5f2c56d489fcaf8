"""Templates over HTTP: what there is, what a text costs, what the operators would refuse. Nothing is stored or sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from libs.common.journal import NotFound
from libs.common.refusal import Refused
from libs.common.web import Body, Reading
from services.notifications.domain import dlt
from services.notifications.domain.segments import count
from services.notifications.post import Post
from services.notifications.views import (
    FaultFound,
    LanguageOfTemplate,
    Linted,
    Previewed,
    PreviewItem,
    TemplateShown,
    TemplatesShown,
)

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Name = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$")]


class ToLint(Body):
    """A text in any of the operators' tag styles or ours; `rendered` is a message that claims to be it."""

    text: Text
    template: str = Field("", max_length=64)
    language: str = Field("", max_length=16)
    header: str = Field("", max_length=20)
    rendered: str | None = Field(None, max_length=4000)


class ToPreview(Body):
    """Either a `template` of ours with its `variables`, in `languages` (all if none is named), or any `text`."""

    template: str | None = Field(None, max_length=64)
    languages: tuple[str, ...] = Field((), max_length=20)
    variables: dict[str, str] = Field(default_factory=dict, max_length=10)
    text: str | None = Field(None, max_length=4000)
    copies: int = Field(1, ge=1, le=10_000_000)


def add(routes: APIRouter, post: Post) -> None:
    registration, wording = post.registration, post.wording

    def faults_of(found: list[dlt.Fault]) -> list[FaultFound]:
        return [FaultFound(rule=fault.rule, detail=fault.detail) for fault in found]

    def item(language: str, text: str, faults: list[dlt.Fault], copies: int, version: int = 0) -> PreviewItem:
        size = count(text)
        return PreviewItem(
            language=language,
            version=version,
            text=text,
            encoding=size.encoding,
            units=size.units,
            segments=size.segments,
            paise=size.segments * registration.paise_per_segment * copies,
            faults=faults_of(faults),
        )

    @routes.post("/templates/lint", tags=["templates"])
    async def lint(body: ToLint, access: Reading) -> Linted:
        """What the operators would refuse of a text, of a header, and of a message that claims to be the text."""
        found = [*dlt.lint(body.template, body.language, body.text, registration)]
        if body.header:
            found += dlt.lint_header(body.header, promotional=body.header.isdigit())
        if body.rendered is not None:
            found += dlt.lint_rendered(body.template, body.language, body.text, body.rendered, registration)
        size = count(body.rendered or dlt.at_its_longest(body.text, registration))
        return Linted(
            ok=not found,
            faults=faults_of(found),
            registered_text=dlt.registered_text(body.text, registration.tag_style),
            encoding=size.encoding,
            units=size.units,
            segments=size.segments,
        )

    @routes.post("/templates/preview", tags=["templates"])
    async def preview(body: ToPreview, access: Reading) -> Previewed:
        """What would be sent, in each language, and what it would cost (in paise, for `copies` messages)."""
        if (body.text is None) == (body.template is None):
            raise Refused("preview-of-what", "give either a template or a text", field="template")
        if body.text is not None:
            return Previewed(items=[item("", body.text, [], body.copies)])
        name = body.template or ""
        if not wording.has(name):
            raise Refused("template-unknown", "there is no such template", field="template")
        if missing := wording.placeholders(name) - body.variables.keys():
            raise Refused("variables-missing", f"needs {', '.join(sorted(missing))}", field="variables")
        if unknown := body.variables.keys() - wording.placeholders(name):
            raise Refused("variables-unknown", f"has no {', '.join(sorted(unknown))}", field="variables")
        items = []
        for language in body.languages or sorted(wording.languages):
            said = wording.render(name, language, body.variables, limit=registration.variable_limit)
            text = wording.languages[said.language].templates[name].text
            wrong = [*dlt.lint_rendered(name, said.language, text, said.text, registration)]
            items.append(item(said.language, said.text, wrong, body.copies, said.version))
        return Previewed(items=items)

    def shown(name: str) -> TemplateShown:
        of = []
        for language, file in sorted(wording.languages.items()):
            if template := file.templates.get(name):
                size = count(dlt.at_its_longest(template.text, registration))
                of.append(
                    LanguageOfTemplate(
                        language=language,
                        version=template.version,
                        text=template.text,
                        registered_text=dlt.registered_text(template.text, registration.tag_style),
                        registered_id=registration.id_of(name, language),
                        encoding=size.encoding,
                        longest_segments=size.segments,
                        stopped=post.stops.reason_of(name, language),
                    )
                )
        variables = sorted(wording.placeholders(name))
        own = post.routing.own.get(name)
        return TemplateShown(template=name, variables=variables, own=own is not None, languages=of)

    @routes.get("/templates", tags=["templates"])
    async def templates(access: Reading) -> TemplatesShown:
        """Every template, in every language it has."""
        names = sorted(wording.languages["en"].templates)
        return TemplatesShown(items=[shown(name) for name in names], next=None)

    @routes.get("/templates/{name}", tags=["templates"])
    async def template(name: Name, access: Reading) -> TemplateShown:
        if not wording.has(name):
            raise NotFound
        return shown(name)
