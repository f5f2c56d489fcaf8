"""`python -m services.notifications.lint [FILE ...]`: hold SMS texts against the operators' rules (TRAI, DLT).

Without a file: our own templates, and the versions they were released under. With files: the texts in them, in any of
the operators' tag styles or ours; see services/notifications/texts.py for the forms. `-` reads the standard input.

    --rendered TEXT  also checks that a message is the (one) text with allowed values
    --header HEADER  also checks a header          --dlt FILE  another list of whitelisted links and numbers
    --json           one JSON object per text      --sheet     our texts as they are to be registered, as CSV
    --cost           the segments of our texts     --release   note the versions of our texts as released

Each fault is one line, `<file>:<line>: <template> (<language>): <rule>: <detail>`. Exits 1 if a text would be refused,
2 if a file cannot be read.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from libs.common import lined
from services.notifications import catalogue, released, texts
from services.notifications.domain import dlt
from services.notifications.domain.routing import Routing
from services.notifications.domain.segments import count
from services.notifications.domain.template import Wording
from services.notifications.settings import Settings


def _cost(wording: Wording, names: set[str], registration: dlt.Registration) -> list[str]:
    lines = []
    for name in sorted(names):
        for language, file in sorted(wording.languages.items()):
            if name not in file.templates:
                continue
            size = count(dlt.at_its_longest(file.templates[name].text, registration))
            lines.append(f"{name:28} {language:4} {size.encoding:6} {size.units:4} units {size.segments} segments")
    return lines


def faults_of(entry: texts.Text, registration: dlt.Registration) -> list[dlt.Fault]:
    """Of the text, of its header, and of a message that claims to be it."""
    promotional = entry.header.isdigit()
    found = [*dlt.lint(entry.template, entry.language, entry.text, registration)]
    if entry.header:
        found += dlt.lint_header(entry.header, promotional=promotional)
    if entry.rendered is not None:
        found += dlt.lint_rendered(entry.template, entry.language, entry.text, entry.rendered, registration)
    return found


def _files(paths: Sequence[str], asked: argparse.Namespace, registration: dlt.Registration) -> int:
    """Raises texts.Unreadable."""
    wrong = 0
    for path in paths:
        where = "/dev/stdin" if path == "-" else path
        for entry in texts.read(Path(where)):
            entry = entry._replace(header=asked.header or entry.header, rendered=asked.rendered or entry.rendered)
            faults = faults_of(entry, registration)
            wrong += len(faults)
            size = count(entry.rendered or dlt.at_its_longest(entry.text, registration))
            if asked.json:
                told = {"file": path, "line": entry.line, "template": entry.template, "language": entry.language}
                told |= {"encoding": size.encoding, "units": size.units, "segments": size.segments}
                said = [{"rule": fault.rule, "detail": fault.detail} for fault in faults]
                print(json.dumps(told | {"faults": said}, ensure_ascii=False))
                continue
            for fault in faults:
                print(f"{path}:{entry.line}: {fault}")
            longest = "" if entry.rendered is not None else " at its longest"
            verdict = f"{len(faults)} faults" if faults else "ok"
            print(
                f"{path}:{entry.line}: {size.encoding} {size.units} units {size.segments} segments{longest}: {verdict}"
            )
    return wrong


def _own(asked: argparse.Namespace, routing: Routing, wording: Wording, registration: dlt.Registration) -> int:
    names = catalogue.sms_templates(routing)
    if asked.release:
        released.write(wording)
    if asked.sheet:
        rows = dlt.sheet(wording, names, registration)
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    if asked.cost:
        print("\n".join(_cost(wording, names, registration)))
    faults = [*dlt.lint_all(wording, names, registration), *released.faults(wording)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return len(faults)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m services.notifications.lint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="texts to check; none: our own templates")
    parser.add_argument("--dlt", type=Path, help="what is registered: whitelists, limits (default: dlt.yaml)")
    parser.add_argument("--header", default="", help="check this header too")
    parser.add_argument("--rendered", help="check that this message is the text with allowed values")
    parser.add_argument("--json", action="store_true", help="one JSON object per text")
    parser.add_argument("--sheet", action="store_true", help="print what is to be registered, as CSV")
    parser.add_argument("--cost", action="store_true", help="print the segments of each text at its longest")
    parser.add_argument("--release", action="store_true", help="note the versions of our texts as released")
    asked = parser.parse_args(arguments)
    fields = Settings.model_fields
    try:
        registration = catalogue.read_registration(asked.dlt or fields["dlt_file"].default)
        if asked.files:
            return 1 if _files(asked.files, asked, registration) else 0
        routing, wording = catalogue.read(fields["routing_file"].default, fields["templates_dir"].default)
    except (texts.Unreadable, catalogue.CatalogueInvalid, lined.BadFile, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if _own(asked, routing, wording, registration) else 0


if __name__ == "__main__":
    raise SystemExit(main())
