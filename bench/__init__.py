"""Side-by-side measurements: one run, one store, one broker, arms alternated, medians of five."""
