"""RabbitMQ's view of the table: its definitions, and the management API that takes them."""

import base64
import hashlib
import json
import os
import pathlib
import re
import urllib.error
import urllib.parse
import urllib.request

from table import Queue, Topology

VHOST = "/"
API_TIMEOUT_S = 30
# The queue that nobody reads keeps nothing.
UNCONSUMED_LENGTH_MAX = 0


class BrokerError(Exception):
    """The broker refused or differs; the text says what."""


def read_passwords(topology: Topology, secrets: pathlib.Path) -> dict[str, str]:
    """user -> password; the layout of tools/secrets."""
    files = {service: secrets / service / "broker-password" for service in topology.publishers}
    files[topology.operator] = secrets / "broker-admin-password"
    passwords = {user: path.read_text().strip() for user, path in files.items()}
    empty = [str(files[user]) for user, password in passwords.items() if not password]
    if empty:
        raise BrokerError(f"empty password file: {', '.join(empty)}")
    return passwords


def password_hash(password: str, salt: bytes | None = None) -> str:
    """rabbit_password_hashing_sha256: base64(salt ++ sha256(salt ++ password)), salt of 4 bytes."""
    salt = os.urandom(4) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def password_matches(password: str, hashed: str) -> bool:
    try:
        salt = base64.b64decode(hashed, validate=True)[:4]
    except ValueError:
        return False
    return password_hash(password, salt) == hashed


def definitions(topology: Topology, passwords: dict[str, str]) -> dict:
    return {
        "rabbit_version": "4.0.5",
        "users": [_user(topology, name, password) for name, password in sorted(passwords.items())],
        "vhosts": [{"name": VHOST}],
        "permissions": [_permission(topology, name) for name in sorted(passwords)],
        "topic_permissions": [_topic_permission(topology, name) for name in sorted(topology.publishers)],
        "exchanges": _exchanges(topology),
        "queues": [
            {"name": queue.name, "vhost": VHOST, "durable": True, "auto_delete": False,
             "arguments": _arguments(topology, queue)}
            for queue in topology.queues
        ],
        "bindings": _bindings(topology),
    }


def to_json(document: dict) -> str:
    return json.dumps(document, indent=1)


def retry_exchange(service: str) -> str:
    return f"{service}.retry"


def _any_of(names: list[str]) -> str:
    """A regular expression that matches exactly these names; nothing when there are none."""
    return "^(" + "|".join(re.escape(name).replace("\\-", "-") for name in names) + ")$" if names else "^$"


def _user(topology: Topology, name: str, password: str) -> dict:
    return {
        "name": name,
        "password_hash": password_hash(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"] if name == topology.operator else [],
        "limits": {},
    }


def _permission(topology: Topology, name: str) -> dict:
    if name == topology.operator:
        return {"user": name, "vhost": VHOST, "configure": ".*", "write": ".*", "read": ".*"}
    write = [topology.exchange] if topology.publishers[name] else []
    if name in topology.consumers():
        write.append(retry_exchange(name))
    # Its dead letters too: redrive runs as the service.
    read = [queue.name for queue in topology.queues if queue.service == name and queue.purpose in ("work", "dead")]
    return {"user": name, "vhost": VHOST, "configure": "^$", "write": _any_of(write), "read": _any_of(read)}


def _topic_permission(topology: Topology, name: str) -> dict:
    return {"user": name, "vhost": VHOST, "exchange": topology.exchange,
            "write": _any_of(list(topology.publishers[name])), "read": "^$"}


def _exchanges(topology: Topology) -> list[dict]:
    common = {"vhost": VHOST, "durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    return [{"name": topology.exchange, "type": "topic", **common}] + [
        {"name": retry_exchange(service), "type": "direct", **common} for service in topology.consumers()
    ]


def _arguments(topology: Topology, queue: Queue) -> dict:
    arguments: dict = {"x-queue-type": "quorum"}
    if queue.purpose == "unconsumed":
        return arguments | {"x-max-length": UNCONSUMED_LENGTH_MAX, "x-overflow": "drop-head"}
    arguments["x-overflow"] = "reject-publish"
    if queue.purpose == "dead":
        # Nothing may fall out of the dead letters, however often they are looked at.
        return arguments | {"x-delivery-limit": -1}
    arguments |= {
        "x-dead-letter-strategy": "at-least-once",
        "x-dead-letter-exchange": retry_exchange(queue.service),
    }
    if queue.purpose == "work":
        return arguments | {"x-dead-letter-routing-key": f"{queue.name}.dead",
                            "x-delivery-limit": topology.delivery_limit}
    return arguments | {"x-dead-letter-routing-key": queue.origin, "x-message-ttl": queue.delay_ms}


def _bindings(topology: Topology) -> list[dict]:
    def bind(source: str, key: str, queue: str) -> dict:
        return {"source": source, "vhost": VHOST, "destination": queue, "destination_type": "queue",
                "routing_key": key, "arguments": {}}

    bindings = [bind(topology.exchange, key, queue.name) for queue in topology.queues for key in queue.keys]
    # Each queue of a service by its own name: the way out of a delay, and of the dead letters.
    bindings += [bind(retry_exchange(queue.service), queue.name, queue.name)
                 for queue in topology.queues if queue.service]
    return bindings


class Api:
    """The few calls of the management API that are needed."""

    def __init__(self, url: str, user: str, password: str):
        self.url = url.rstrip("/")
        self.user = user
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=self.headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=API_TIMEOUT_S) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise BrokerError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
        except urllib.error.URLError as error:
            raise BrokerError(f"{method} {path}: {error.reason}") from error
        return json.loads(text) if text else None


def load(topology: Topology, passwords: dict[str, str], api: Api) -> bool:
    """Brings the broker to the table. False when it was there already."""
    wanted = definitions(topology, passwords)
    before = differences(wanted, passwords, api.call("GET", "/api/definitions"))
    if before:
        api.call("POST", "/api/definitions", wanted)
    if any(user["name"] == "guest" for user in api.call("GET", "/api/users")):
        # From here on as the operator: the caller may have been the default user itself.
        api = Api(api.url, topology.operator, passwords[topology.operator])
        api.call("DELETE", "/api/users/guest")
    after = differences(wanted, passwords, api.call("GET", "/api/definitions"))
    if after:
        raise BrokerError("the broker still differs from the table:\n" + "\n".join(after))
    return bool(before)


def differences(wanted: dict, passwords: dict[str, str], found: dict) -> list[str]:
    """What of `wanted` a broker's exported definitions lack or have otherwise."""
    problems = []
    identity = {
        "exchanges": ("vhost", "name"), "queues": ("vhost", "name"),
        "permissions": ("vhost", "user"), "topic_permissions": ("vhost", "user", "exchange"),
        "bindings": ("vhost", "source", "destination", "routing_key"),
    }
    for kind, names in identity.items():
        have = {tuple(item[name] for name in names): item for item in found.get(kind, [])}
        for item in wanted[kind]:
            label = f"{kind}: {' '.join(item[name] for name in names)}"
            other = have.get(tuple(item[name] for name in names))
            if other is None:
                problems.append(f"{label} is missing")
            elif any(other.get(member) != value for member, value in item.items()):
                problems.append(f"{label} differs: {other}")
    problems += _surplus_bindings(wanted, found)
    return problems + _user_differences(wanted, passwords, found)


def _surplus_bindings(wanted: dict, found: dict) -> list[str]:
    """A binding taken out of the table but left in the broker still feeds its queue."""
    ours = {exchange["name"] for exchange in wanted["exchanges"]}
    known = {(b["source"], b["destination"], b["routing_key"]) for b in wanted["bindings"]}
    return [
        f"bindings: {b['source']} {b['destination']} {b['routing_key']} is not in the table; remove it by hand"
        for b in found.get("bindings", [])
        if b["source"] in ours and (b["source"], b["destination"], b["routing_key"]) not in known
    ]


def _user_differences(wanted: dict, passwords: dict[str, str], found: dict) -> list[str]:
    have = {user["name"]: user for user in found.get("users", [])}
    problems = []
    for user in wanted["users"]:
        name = user["name"]
        if name not in have:
            problems.append(f"users: {name} is missing")
        elif not password_matches(passwords[name], have[name].get("password_hash", "")):
            problems.append(f"users: {name} has another password")
        elif have[name].get("tags") != user["tags"]:
            problems.append(f"users: {name} has other tags")
    return problems
