"""The player: sends a recorded day through the services' HTTP APIs and says which lines did not meet their `expect`."""
