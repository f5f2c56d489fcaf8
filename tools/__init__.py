"""Commands for people at a terminal; never part of a service."""
