"""The broker of a stack, as its operator sees it."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
from collections.abc import Iterator

import pika
from pika.adapters.blocking_connection import BlockingChannel

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
EVENT = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)


def queue_names(purpose: str | None = None) -> list[str]:
    """As contracts/events/topology.yaml declares them: those of one purpose (`work`, `dead`, ...), or all."""
    listing = subprocess.run([CHECKOUT / "tools/topology/topology", "queues"], check=True, capture_output=True, text=True).stdout
    queues = (line.split() for line in listing.splitlines())
    return [name for name, use, *_ in queues if purpose in (None, use)]


@contextlib.contextmanager
def channel_of(stack) -> Iterator[BlockingChannel]:
    known = stack.state()["rabbitmq"]
    credentials = pika.PlainCredentials(known["user"], known["password"])
    connection = pika.BlockingConnection(pika.ConnectionParameters(known["host"], known["port"], credentials=credentials))
    try:
        yield connection.channel()
    finally:
        connection.close()
