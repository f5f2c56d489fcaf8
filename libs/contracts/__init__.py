"""The public language: what the services tell the world on Kafka. Imports pydantic and nothing of ours."""
