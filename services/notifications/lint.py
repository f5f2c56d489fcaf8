"""`python -m services.notifications.lint`: hold every SMS template against the operators' rules, or print their sheet.

With `--sheet` the texts to be registered are printed as CSV; with `--cost` what each costs in segments at its longest.
Exits 1 if a text would be refused.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence

from services.notifications import catalogue
from services.notifications.domain import dlt
from services.notifications.domain.segments import VARIABLE_LIMIT, count
from services.notifications.domain.template import PLACEHOLDER, Wording
from services.notifications.settings import Settings


def _cost(wording: Wording, names: set[str]) -> list[str]:
    lines = []
    for name in sorted(names):
        for language, file in sorted(wording.languages.items()):
            text = PLACEHOLDER.sub("1" * VARIABLE_LIMIT, file.templates[name].text)
            size = count(text)
            lines.append(f"{name:28} {language:4} {size.encoding:6} {size.units:4} units {size.segments} segments")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", action="store_true", help="print what is to be registered, as CSV")
    parser.add_argument("--cost", action="store_true", help="print the segments of each text at its longest")
    asked = parser.parse_args(arguments)
    fields = Settings.model_fields
    routing, wording = catalogue.read(fields["routing_file"].default, fields["templates_dir"].default)
    registration = catalogue.read_registration(fields["dlt_file"].default)
    names = catalogue.sms_templates(routing)
    if asked.sheet:
        rows = dlt.sheet(wording, names, registration)
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    if asked.cost:
        print("\n".join(_cost(wording, names)))
    faults = dlt.lint_all(wording, names, registration)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
