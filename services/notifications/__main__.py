"""`python -m services.notifications`: serve it, or operate on its store (--help)."""

from libs.common.operate import main

raise SystemExit(main("notifications"))
