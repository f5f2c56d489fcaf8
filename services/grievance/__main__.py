"""`python -m services.grievance`: serve it, or operate on its store (--help)."""

from libs.common.operate import main

raise SystemExit(main("grievance"))
