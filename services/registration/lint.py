"""`python -m services.registration.lint`: read the rules of schemes, the programmes and the places as a start would.

`--schemes` and `--programmes` name other folders, as SCHEMES and PROGRAMMES do at a start. Prints what was read; a bad
file is named with its line and why, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from libs.common.lined import BadFile
from services.registration.places import read_places
from services.registration.programme_files import PROGRAMMES, read_programmes
from services.registration.rulebook import SCHEMES, read_rulebook


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemes", type=Path, default=Path(os.environ.get("SCHEMES", SCHEMES)))
    parser.add_argument("--programmes", type=Path, default=Path(os.environ.get("PROGRAMMES", PROGRAMMES)))
    asked = parser.parse_args(arguments)
    try:
        rules, programmes, places = read_rulebook(asked.schemes), read_programmes(asked.programmes), read_places()
    except (BadFile, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for scheme in rules.schemes.values():
        days = ", ".join(f"{version.valid_from}" for version in scheme.versions)
        print(f"{scheme.scheme:20} rules from {days}")
    for programme in programmes.values():
        print(f"{programme.programme:20} {', '.join(result.result for result in programme.results)}")
    print(f"{len(places.all)} places")
    return 0


if __name__ == "__main__":
    sys.exit(main())
