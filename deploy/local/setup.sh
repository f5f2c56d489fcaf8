#!/usr/bin/env bash
# Makes .venv from locks/dev.txt (hashes checked), once per lock. Says in one line what is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing() { echo "$1" >&2; exit 1; }

stamp=.venv/locked.sha256
wanted=$(sha256sum locks/dev.txt | cut -d' ' -f1)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x .venv/bin/python ] && exit 0

python=
for candidate in python3.11 python3 python3.12 python3.13; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || missing "Python 3.11 or newer is missing: apt install python3 python3-venv"
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing "Python's venv module is missing: apt install python3-venv"

echo "Setting up .venv from locks/dev.txt (once, about a minute) ..." >&2
if ! [ -x .venv/bin/python ]; then "$python" -m venv .venv >&2; fi
if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/dev.txt >&2; then
    missing "The dependencies could not be installed; is a package index reachable? (see the lines above)"
fi
echo "$wanted" > "$stamp"
