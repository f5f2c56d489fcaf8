"""How to reach the broker: plain on one machine, SCRAM (and TLS, given a CA) elsewhere."""

from __future__ import annotations

import ssl
from typing import Any

from faststream.security import BaseSecurity, SASLScram512

from libs.common.settings import ServiceSettings


def security(settings: ServiceSettings) -> dict[str, Any]:
    """aiokafka's arguments for the transport, from the settings."""
    context = ssl.create_default_context(cafile=str(settings.kafka_ca_file)) if settings.kafka_ca_file else None
    if settings.kafka_username is None:
        return {"security_protocol": "SSL", "ssl_context": context} if context else {}
    if settings.kafka_password_file is None:
        raise ValueError("KAFKA_USERNAME needs KAFKA_PASSWORD_FILE")
    return {
        "security_protocol": "SASL_SSL" if context else "SASL_PLAINTEXT",
        "ssl_context": context,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password_file.read_text().strip(),
    }


def faststream_security(settings: ServiceSettings) -> BaseSecurity | None:
    """The same for FastStream."""
    arguments = security(settings)
    if not arguments:
        return None
    context = arguments.get("ssl_context")
    if "sasl_mechanism" not in arguments:
        return BaseSecurity(ssl_context=context, use_ssl=True)
    return SASLScram512(
        username=arguments["sasl_plain_username"],
        password=arguments["sasl_plain_password"],
        ssl_context=context,
        use_ssl=context is not None,
    )
