"""The whole product on one machine, for development and tests: broker, store, stand-ins and the four services."""
