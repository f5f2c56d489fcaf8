"""Which text went out under which version: a text that changes must take a new one, or two messages of one version
would say different things. `released.yaml` is written by `python -m services.notifications.lint --release`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from services.notifications.domain.dlt import Fault
from services.notifications.domain.template import Template, Wording

FILE = Path(__file__).parent / "released.yaml"


def digest_of(template: Template) -> str:
    return hashlib.sha256(f"{template.subject}\x00{template.text}".encode()).hexdigest()[:16]


def read(file: Path = FILE) -> dict[str, dict[str, str]]:
    """`{template: {"<language>.<version>": digest}}`."""
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.exists() else {}


def faults(wording: Wording, file: Path = FILE) -> list[Fault]:
    known, wrong = read(file), []
    for language, texts in sorted(wording.languages.items()):
        for name, template in texts.templates.items():
            version = f"{language}.{template.version}"
            was = known.get(name, {}).get(version)
            if was is None:
                wrong.append(Fault(name, language, "version-not-released", "run with --release when it is final"))
            elif was != digest_of(template):
                wrong.append(Fault(name, language, "version-unchanged", f"the text changed; {template.version} stands"))
    return wrong


def write(wording: Wording, file: Path = FILE) -> None:
    """Adds what is new; a version that was released is never written over."""
    known = read(file)
    for language, texts in sorted(wording.languages.items()):
        for name, template in texts.templates.items():
            known.setdefault(name, {}).setdefault(f"{language}.{template.version}", digest_of(template))
    lines = [f"# {line}".rstrip() for line in (__doc__ or "").splitlines()]
    file.write_text("\n".join(lines) + "\n" + yaml.safe_dump(known, sort_keys=True), encoding="utf-8")
