"""The broker of a stack, as its operator sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pika
from pika.adapters.blocking_connection import BlockingChannel

EVENT = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)


@contextlib.contextmanager
def channel_of(stack) -> Iterator[BlockingChannel]:
    known = stack.state()["rabbitmq"]
    credentials = pika.PlainCredentials(known["user"], known["password"])
    connection = pika.BlockingConnection(pika.ConnectionParameters(known["host"], known["port"], credentials=credentials))
    try:
        yield connection.channel()
    finally:
        connection.close()
