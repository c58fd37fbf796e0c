"""What the stack takes without any work: memory, and the time to start."""

from __future__ import annotations

import os
import statistics
import time

from stack import Stack
from stack.services import SERVICES

from bench import parts
from bench.figures import figure
from bench.parts import Failed

LOOK_SECONDS = 0.0005
READY_SECONDS = 30.0


def memory(stack: Stack) -> dict:
    """Proportional set size, MiB: what the six services take, and with PostgreSQL, Redis and RabbitMQ."""
    each = parts.pss_mib(stack)
    values = {
        "services_mib": figure([sum(each[service] for service in SERVICES)]),
        "stack_mib": figure([sum(each.values())]),
    }
    return {"values": values, "by_process_mib": each}


def seconds_to_ready(stack: Stack, services: list[str]) -> float:
    """From the first exec until each says that it is ready; what they need is up."""
    for service in services:
        stack.stop(service)
    began = time.perf_counter()
    for service in services:
        stack.start(service, wait=False)
    for service in services:
        part = stack.part(service)
        while not part.ready():
            if time.perf_counter() - began > READY_SECONDS or not part.process.alive():
                raise Failed(f"{service} did not become ready:\n{part.process.tail()}")
            time.sleep(LOOK_SECONDS)
    return time.perf_counter() - began


def starts(stack: Stack, count: int) -> dict:
    """Milliseconds to ready, each alone and all six at once."""
    each = {one: [seconds_to_ready(stack, [one]) * 1000 for _ in range(count)] for one in SERVICES}
    together = [seconds_to_ready(stack, list(SERVICES)) * 1000 for _ in range(count)]
    by_service = {service: statistics.median(samples) for service, samples in each.items()}
    values = {
        "slowest_ms": figure(each[max(by_service, key=by_service.__getitem__)]),
        "all_six_ms": figure(together),
    }
    return {"values": values, "by_service_ms": {service: round(ms, 1) for service, ms in by_service.items()}}


def images(told: str | None = None) -> dict:
    """Of the images, what bench/images found on the host: megabytes, or why it found none."""
    text = os.environ.get("STOA_BENCH_IMAGES", "") if told is None else told
    try:
        return {"values": {"six_mb": figure([float(text)])}}
    except ValueError:
        return {"values": {}, "why_not": text.replace("-", " ") or "nobody asked an engine (make bench does)"}
