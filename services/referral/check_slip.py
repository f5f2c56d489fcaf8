"""`python -m services.referral.check_slip KEYS FACILITY SLIP`: check a slip without a network.

KEYS is a file with the JSON Web Key Set of `GET /slips/keys`, FACILITY the code of the desk that asks, SLIP what the QR
says (`-`: read it from the standard input). Exit 0 and what the slip says, or 1 and why it is refused.
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
        slip = for_here(verify(text.strip(), json.loads(given.keys.read_text()), machine_now()), given.facility)
    except Refused as refused:
        print(f"{refused.code}: {refused.detail}", file=sys.stderr)
        return 1
    print(json.dumps({"referral": slip.referral, "from": slip.origin, "until": slip.expires_at.isoformat()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
