"""`python -m deploy.kafka.rewind SERVICE`: forget how far a service has read, so that it reads its topics from zero.

For a service whose store was restored: what it handled after the backup must come again. What it still knows acts once
all the same. The service must be stopped; speaks to the broker as the principal of KAFKA_USERNAME, a super user.
"""

from __future__ import annotations

import asyncio
import sys

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DeleteGroupsRequest

from deploy.kafka.access import read_table
from libs.common.kafka import security
from libs.common.settings import ServiceSettings

GROUP_ID_NOT_FOUND = 69


async def rewind(settings: ServiceSettings, service: str) -> list[str]:
    """Deletes the service's groups and returns their names.

    Raises a KafkaError while a member is alive: a killed one is, until its session ends.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **security(settings))
    await admin.start()
    try:
        listed = [name for name, *_ in await admin.list_consumer_groups()]
        groups = sorted(name for name in listed if name.startswith(f"hillhealth.{service}."))
        for group in groups:
            coordinator = await admin.find_coordinator(group)
            answer = await admin._send_request_to_node(coordinator, DeleteGroupsRequest([group]))
            for name, code in answer.results:
                if code not in (0, GROUP_ID_NOT_FOUND):
                    raise for_code(code)(name)
        return groups
    finally:
        await admin.close()


def main() -> int:
    services = sorted(read_table()["services"])
    if len(sys.argv) != 2 or sys.argv[1] not in services:
        print(f"which service? {', '.join(services)}", file=sys.stderr)
        return 2
    for group in asyncio.run(rewind(ServiceSettings(), sys.argv[1])):
        print(group)
    return 0


if __name__ == "__main__":
    sys.exit(main())
