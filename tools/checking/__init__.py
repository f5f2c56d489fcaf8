"""The independent checker's rooms. Nothing in here imports `libs` or `services`: it reads what they left behind."""
