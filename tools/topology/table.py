"""contracts/events/topology.yaml, read into values that cannot be inconsistent."""

import dataclasses
import json
import pathlib
import re

import yaml

VERSION = 1
KEY = re.compile(r"^[a-z]+\.[a-z]+(_[a-z]+)*$")
NAME = re.compile(r"^[a-z]+(-[a-z]+)*$")


class TableError(Exception):
    """The table cannot be used; the text says where it is wrong."""


@dataclasses.dataclass(frozen=True)
class Queue:
    name: str
    purpose: str  # work, retry, wait, dead or unconsumed
    service: str  # "" for the one that nobody reads
    keys: tuple[str, ...] = ()  # bindings to the topic exchange
    delay_ms: int = 0
    origin: str = ""  # of a retry, wait or dead queue: the work queue


@dataclasses.dataclass(frozen=True)
class Topology:
    exchange: str
    operator: str
    delivery_limit: int
    publishers: dict[str, tuple[str, ...]]  # service -> keys
    queues: tuple[Queue, ...]
    retry_delays_ms: tuple[int, ...]
    wait_delay_ms: int

    @property
    def events(self) -> list[str]:
        return sorted(key for keys in self.publishers.values() for key in keys)

    def listeners(self, key: str) -> list[str]:
        return [queue.name for queue in self.queues if key in queue.keys]

    def consumers(self) -> list[str]:
        return sorted({queue.service for queue in self.queues if queue.purpose == "work"})


def default_path() -> pathlib.Path:
    return pathlib.Path(__file__).resolve().parents[2] / "contracts/events/topology.yaml"


def delay_name(delay_ms: int) -> str:
    return f"{delay_ms // 1000}s" if delay_ms % 1000 == 0 else f"{delay_ms}ms"


def read(path: pathlib.Path) -> Topology:
    document = yaml.safe_load(path.read_text())
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise TableError(f"{path}: version {VERSION} is what this tool reads")
    try:
        topology = _expand(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise TableError(f"{path}: missing or misplaced member: {error}") from error
    problems = _contradictions(topology)
    if problems:
        raise TableError("\n".join(problems))
    return topology


def _expand(document: dict) -> Topology:
    retry = tuple(int(delay) for delay in document["retry_delays_ms"])
    wait = int(document["wait_delay_ms"])
    queues: list[Queue] = []
    for service, entry in document["services"].items():
        for purpose, keys in entry.get("queues", {}).items():
            name = f"{service}.{purpose}"
            queues.append(Queue(name, "work", service, tuple(keys)))
            queues += [
                Queue(f"{name}.retry-{delay_name(d)}", "retry", service, delay_ms=d, origin=name) for d in retry
            ]
            queues.append(Queue(f"{name}.wait-{delay_name(wait)}", "wait", service, delay_ms=wait, origin=name))
            queues.append(Queue(f"{name}.dead", "dead", service, origin=name))
    unconsumed = document["unconsumed"]
    queues.append(Queue(unconsumed["queue"], "unconsumed", "", tuple(unconsumed["keys"])))
    return Topology(
        exchange=document["exchange"],
        operator=document["operator"],
        delivery_limit=int(document["delivery_limit"]),
        publishers={name: tuple(entry.get("publishes", [])) for name, entry in document["services"].items()},
        queues=tuple(queues),
        retry_delays_ms=retry,
        wait_delay_ms=wait,
    )


def _contradictions(topology: Topology) -> list[str]:
    problems = []
    events = topology.events
    problems += [f"{name}: not a service name" for name in topology.publishers if not NAME.match(name)]
    problems += [f"{key}: not a routing key" for key in events if not KEY.match(key)]
    problems += [f"{key}: published by two services" for key in sorted({k for k in events if events.count(k) > 1})]
    heard = {key for queue in topology.queues if queue.purpose == "work" for key in queue.keys}
    silent = {key for queue in topology.queues if queue.purpose == "unconsumed" for key in queue.keys}
    problems += [f"{key}: bound, but nobody publishes it" for key in sorted((heard | silent) - set(events))]
    problems += [f"{key}: has a listener and is listed as unconsumed" for key in sorted(heard & silent)]
    problems += [f"{key}: goes nowhere; bind it or list it as unconsumed" for key in sorted(set(events) - heard - silent)]
    for queue in topology.queues:
        if len(set(queue.keys)) != len(queue.keys):
            problems.append(f"{queue.name}: bound twice by one key")
    if list(topology.retry_delays_ms) != sorted(set(topology.retry_delays_ms)) or not topology.retry_delays_ms:
        problems.append("retry_delays_ms: must grow")
    return problems


def check(topology: Topology, contracts: pathlib.Path) -> list[str]:
    """Problems of the table against the event schemas beside it; empty when they agree."""
    files = {path.name.removesuffix(".json"): path for path in contracts.glob("*.json")}
    problems = [f"contracts/events/{key}.json is missing" for key in topology.events if key not in files]
    for key, path in sorted(files.items()):
        if key not in topology.events:
            problems.append(f"{path.name}: no service publishes it")
            continue
        try:
            json.loads(path.read_text())
        except ValueError as error:
            problems.append(f"{path.name}: not JSON: {error}")
    return problems


def to_cpp(topology: Topology) -> str:
    retry = ", ".join(
        f'{{"retry-{delay_name(delay)}", std::chrono::milliseconds{{{delay}}}}}' for delay in topology.retry_delays_ms
    )
    routes = "".join(
        f'    {{"{service}", "{key}", "{queue}"}},\n'
        for service, keys in topology.publishers.items()
        for key in keys
        for queue in topology.listeners(key)
    )
    wait = topology.wait_delay_ms
    return f"""// Written by `tools/topology/topology cpp` from contracts/events/topology.yaml.
#pragma once

#include <array>
#include <chrono>
#include <string_view>

namespace stoa::messaging::topology {{

inline constexpr std::string_view events_exchange = "{topology.exchange}";

struct Delay {{
  std::string_view suffix;
  std::chrono::milliseconds duration;
}};
inline constexpr auto retry_delays = std::to_array<Delay>({{{retry}}});
inline constexpr Delay wait_delay{{"wait-{delay_name(wait)}", std::chrono::milliseconds{{{wait}}}}};
inline constexpr std::string_view dead_suffix = "dead";

/// Which queues must exist before an event of a type may leave its outbox.
struct Route {{
  std::string_view publisher;
  std::string_view type;
  std::string_view queue;
}};
inline constexpr auto routes = std::to_array<Route>({{
{routes}}});

}}  // namespace stoa::messaging::topology
"""
