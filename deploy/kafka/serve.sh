#!/usr/bin/env bash
# Starts one KRaft broker with SCRAM and ACLs. Formats an empty data folder first, with the super user's password.
# Needs DATA, PASSWORD_FILE, ADVERTISED (host:port); PORT, CONTROLLER_PORT, KAFKA_BIN and WORK have defaults.
set -euo pipefail

bin=${KAFKA_BIN:-/opt/kafka/bin}
work=${WORK:-/tmp}
port=${PORT:-9092}
controller=${CONTROLLER_PORT:-9093}
password=$(tr -d '\n' <"$PASSWORD_FILE")
configuration=$work/server.properties

umask 077
cat >"$configuration" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=CLIENTS://:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=CLIENTS://$ADVERTISED
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT

sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.clients.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="broker" password="$password";
# The controller answers this process only (127.0.0.1); SCRAM needs a controller to look in, so it cannot guard one.
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="$password" user_broker="$password";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:broker

log.dirs=$DATA
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The new coordinator otherwise waits 5 ms at every commit.
group.coordinator.append.linger.ms=0
# A group's offsets outlive the longest outage of a site (eight weeks, in minutes).
offsets.retention.minutes=80640
PROPERTIES

# For Kafka's own tools in this container: --command-config
cat >"$work/admin.properties" <<PROPERTIES
security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="broker" password="$password";
PROPERTIES

if [ ! -e "$DATA/meta.properties" ]; then
    # 16 random bytes; not the tool's own random-uuid, which costs another start of the JVM.
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AA' | cut -c 1-22)
    "$bin/kafka-storage.sh" format --cluster-id "$id" --config "$configuration" \
        --add-scram "SCRAM-SHA-512=[name=broker,password=$password]"
fi

export EXTRA_ARGS="-name kafkaServer"
export LOG_DIR=$work
exec "$bin/kafka-server-start.sh" "$configuration"
