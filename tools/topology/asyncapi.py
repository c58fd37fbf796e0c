"""contracts/events/asyncapi.yaml, made of the table and the schemas beside it."""

import json
import pathlib

import yaml

from table import Topology

ENVELOPE = {
    "description": "CloudEvents 1.0, JSON format, structured mode (content type application/cloudevents+json).",
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema",
                 "aggregateversion", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "pattern": "^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$",
               "description": "The same in every delivery: what an inbox remembers."},
        "source": {"type": "string", "description": "The service whose fact it is."},
        "type": {"type": "string", "description": "<routing key>.v<version of the schema>"},
        "time": {"type": "string", "format": "date-time", "description": "When the fact was written, UTC, milliseconds."},
        "subject": {"type": "string", "description": "Id of the aggregate."},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string", "format": "uri"},
        "traceparent": {"type": "string", "description": "W3C Trace Context; absent when there is no trace."},
        "aggregateversion": {"type": "integer", "description": "Grows with each change of the subject. Order of arrival is not promised."},
        "data": {"type": "object"},
    },
}
HEADER = "# Written by `tools/topology/topology asyncapi`; `topology check` says when it is out of date.\n"


def channel_name(key: str) -> str:
    """AsyncAPI names are identifiers: order.payment_failed → orderPaymentFailed."""
    first, *rest = key.replace("_", ".").split(".")
    return first + "".join(part.capitalize() for part in rest)


def document(topology: Topology, contracts: pathlib.Path) -> dict:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Facts of the Stoa services",
            "version": "1.0.0",
            "description": "At least once, in no promised order: every consumer claims an inbox row for the event's id in "
                           "the transaction of its effect. Additive changes only; another version of a schema is another "
                           "`type`, which consumers that do not know it park.",
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": {
            "broker": {
                "host": "rabbitmq:5672",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ 4, quorum queues. Everything in it is made by tools/topology.",
                "security": [{"$ref": "#/components/securitySchemes/serviceUser"}],
            }
        },
        "channels": {channel_name(key): _channel(topology, key) for key in topology.events},
        "operations": _operations(topology),
        "components": {
            "securitySchemes": {
                "serviceUser": {"type": "userPassword",
                                "description": "One user a service; it may write its own keys and read its own queues."}
            },
            "messages": {channel_name(key): _message(key, contracts) for key in topology.events},
            "schemas": {"envelope": ENVELOPE},
        },
    }


def _channel(topology: Topology, key: str) -> dict:
    name = channel_name(key)
    return {
        "address": key,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"amqp": {"is": "routingKey", "bindingVersion": "0.3.0",
                              "exchange": {"name": topology.exchange, "type": "topic", "durable": True,
                                           "autoDelete": False, "vhost": "/"}}},
    }


def _message(key: str, contracts: pathlib.Path) -> dict:
    schema = json.loads((contracts / f"{key}.json").read_text())
    message = {
        "name": f"{key}.v1",
        "title": schema.get("title", key),
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/envelope"},
                {"type": "object", "properties": {"type": {"const": f"{key}.v1"}, "data": {"$ref": f"./{key}.json"}}},
            ]
        },
    }
    if summary := schema.get("description"):
        message["summary"] = summary
    return message


def _operations(topology: Topology) -> dict:
    operations: dict = {}
    for service, keys in topology.publishers.items():
        for key in keys:
            name = channel_name(key)
            operations[f"{service}.{name}.publish"] = {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": f"{service} publishes {key} from its outbox, persistent, mandatory, confirmed.",
                "bindings": {"amqp": {"deliveryMode": 2, "mandatory": True, "bindingVersion": "0.3.0"}},
            }
    for queue in topology.queues:
        if queue.purpose != "work":
            continue
        for key in queue.keys:
            name = channel_name(key)
            operations[f"{queue.name}.{name}"] = {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": f"{queue.service} takes {key} from the queue {queue.name}.",
                "bindings": {"amqp": {"ack": True, "bindingVersion": "0.3.0"}},
            }
    # AsyncAPI allows dots in names; operation ids are unique by construction.
    return operations


def to_yaml(topology: Topology, contracts: pathlib.Path) -> str:
    return HEADER + yaml.safe_dump(document(topology, contracts), sort_keys=False, width=110, allow_unicode=True)


def check(topology: Topology, contracts: pathlib.Path) -> list[str]:
    path = contracts / "asyncapi.yaml"
    if not path.exists():
        return ["asyncapi.yaml is missing: topology asyncapi > contracts/events/asyncapi.yaml"]
    try:
        wanted = to_yaml(topology, contracts)
    except (OSError, ValueError):
        return []  # the missing or broken schema is told already
    if path.read_text() != wanted:
        return ["asyncapi.yaml is out of date: topology asyncapi > contracts/events/asyncapi.yaml"]
    return []
