"""Writes services/grievance/calendars/holidays.yaml from the `holidays` library, for the years ahead.

    pipx run --spec holidays python tools/write_holidays.py 2024 2031 > services/grievance/calendars/holidays.yaml

The library is not a dependency of the services: what they count by is a file that people can read and correct. Days
that it does not know (Losar, a local fair) stand in the states' own files beside it.
"""

from __future__ import annotations

import importlib
import sys

STATES = {1: "JK", 2: "HP", 37: "LA"}
"""LGD codes of states, and what the library calls them."""


def main() -> None:
    first, last = int(sys.argv[1]), int(sys.argv[2])
    library = importlib.import_module("holidays")
    print(f"# Public holidays by state (LGD code), by tools/write_holidays.py with holidays {library.__version__}.")
    print("# Dates that follow the moon are estimates; what is declared comes in by POST /calendars/{code}/days.")
    print("states:")
    for code, name in STATES.items():
        print(f"  {code}:")
        for day, said in sorted(library.India(subdiv=name, years=range(first, last + 1)).items()):
            print(f"    {day}: {said!r}" if "'" not in said else f'    {day}: "{said}"')


if __name__ == "__main__":
    main()
