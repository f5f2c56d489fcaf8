"""Who is this: how two records are compared, weighed and found. Pure, and the same at the desk and for files."""
