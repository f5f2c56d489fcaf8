"""`python -m services.referral.check_slip KEYS FACILITY SLIP`: check a slip without a network.

KEYS is a file with the JSON Web Key Set of `GET /slips/keys`, FACILITY the code of the desk that asks, SLIP what the QR
says (`-`: read it from the standard input). Exit 0 and what the slip says, 1 and why it is refused, or 2 where KEYS
cannot be read: what is not known is not refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from libs.common.clock import machine_now
from libs.common.refusal import Refused
from services.referral.slips import for_here, verify


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keys", type=Path)
    parser.add_argument("facility")
    parser.add_argument("slip")
    given = parser.parse_args(arguments)
    text = sys.stdin.read() if given.slip == "-" else given.slip
    try:
        keys = json.loads(given.keys.read_text())
        listed = keys.get("keys") if isinstance(keys, dict) else None
        if not isinstance(listed, list) or not all(isinstance(key, dict) for key in listed):
            raise ValueError("is no JSON Web Key Set")
    except (OSError, ValueError) as error:
        print(f"{given.keys}: {error}", file=sys.stderr)
        return 2
    try:
        slip = for_here(verify(text.strip(), keys, machine_now()), given.facility)
    except Refused as refused:
        print(f"{refused.code}: {refused.detail}", file=sys.stderr)
        return 1
    print(json.dumps({"referral": slip.referral, "from": slip.origin, "until": slip.expires_at.isoformat()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
