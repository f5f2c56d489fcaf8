"""The development day inside the compose network: stand-ins for what is outside, and the player with its checker."""
