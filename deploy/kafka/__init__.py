"""The broker of the compose file: how it starts, and who may do what on it."""
