"""Plays the ABDM gateway against any facility system, and says which of NHA's Scan & Share rules hold."""
