"""Every connection between the parts through toxiproxy, so that a failure test can slow, starve and cut it."""
import contextlib
import fnmatch
import http.client
import json
import pathlib
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from .ports import Ports
from .process import Process
from .servers import CHECKOUT, ServerError, answers, wait_until

_CALL_SECONDS = 10


class Links:
    """A listener for each pair of caller and callee. A link is called CALLER-REPLICA>CALLEE-REPLICA; a pattern
    as "*>postgres-1" or "order-service-*>rabbitmq-*" means all that match it."""

    def __init__(self, folder: pathlib.Path, ports: Ports) -> None:
        self.port = ports.take()
        self.process = Process("toxiproxy", folder / "logs" / "toxiproxy.log")
        self._ports = ports
        self._links: dict[str, tuple[str, str]] = {}  # name -> where it listens, where it leads
        self._toxics: dict[str, list[Mapping[str, Any]]] = {}  # name -> what hurts it
        self._cut: set[str] = set()

    @staticmethod
    def program() -> pathlib.Path:
        """It is a Go program of deploy/toolbox, which the root with Go builds; raises ServerError when it did not."""
        done = subprocess.run([str(CHECKOUT / "deploy/toolbox/build"), "toxiproxy"], text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise ServerError("toxiproxy is not built; on the host: tools/root with deploy exec deploy/toolbox/build toxiproxy")
        return pathlib.Path(done.stdout.strip())

    def start(self) -> None:
        self.process.start([self.program(), "-host", "127.0.0.1", "-port", str(self.port)], {"LOG_LEVEL": "warn"})
        wait_until(self.ready, self.process, timeout=10)
        if self._links:
            self._call("POST", "/populate", [self._proxy(name) for name in self._links])
        for name, toxics in self._toxics.items():
            for toxic in toxics:
                self._call("POST", f"/proxies/{name}/toxics", toxic)

    def ready(self) -> bool:
        return answers(self.port, "/version")

    def between(self, caller: str, callee: str, addresses: list[str]) -> list[str]:
        """Where `caller` ("order-service-1") finds the replicas of `callee`; makes the links that are new."""
        names = [f"{caller}>{callee}-{replica}" for replica in range(1, len(addresses) + 1)]
        new = [name for name in names if name not in self._links]
        self._links |= {name: (f"127.0.0.1:{self._ports.take()}", address)
                        for name, address in zip(names, addresses) if name in new}
        if new:
            self._call("POST", "/populate", [self._proxy(name) for name in new])
        return [self._links[name][0] for name in names]

    def names(self, pattern: str = "*") -> list[str]:
        return sorted(fnmatch.filter(self._links, pattern))

    def hurt(self, pattern: str, kind: str, **attributes: int) -> int:
        """Adds a toxic (latency, bandwidth, reset_peer, timeout, slicer, limit_data …) in both directions of every
        link of the pattern; returns their number. Until `heal`."""
        found = self.names(pattern)
        for name in found:
            for stream in ("upstream", "downstream"):
                toxic = {"name": f"{kind}_{stream}", "type": kind, "stream": stream, "attributes": attributes}
                self._call("POST", f"/proxies/{name}/toxics", toxic)
                self._toxics.setdefault(name, []).append(toxic)
        return len(found)

    def cut(self, pattern: str) -> int:
        """Closes the connections of the links and refuses new ones, until `heal`; returns their number."""
        found = self.names(pattern)
        for name in found:
            self._call("POST", f"/proxies/{name}", {"enabled": False})
            self._cut.add(name)
        return len(found)

    def heal(self, pattern: str = "*") -> None:
        """A toxiproxy that does not let go of a toxic within 10 s (its issue 558: the removal can wait for ever for
        a connection that is blocked) is replaced: that ends every connection, and what still hurts others stays."""
        for name in self.names(pattern):
            toxics, cut = self._toxics.pop(name, []), name in self._cut
            self._cut.discard(name)
            try:
                for toxic in toxics:
                    self._call("DELETE", f"/proxies/{name}/toxics/{toxic['name']}")
                if cut:
                    self._call("POST", f"/proxies/{name}", {"enabled": True})
            except TimeoutError:
                self.process.kill()
                self.start()

    @contextlib.contextmanager
    def hurting(self, pattern: str, kind: str, **attributes: int) -> Iterator[int]:
        try:
            yield self.hurt(pattern, kind, **attributes)
        finally:
            self.heal(pattern)

    def _proxy(self, name: str) -> Mapping[str, Any]:
        listen, upstream = self._links[name]
        return {"name": name, "listen": listen, "upstream": upstream, "enabled": name not in self._cut}

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_CALL_SECONDS)
        try:
            connection.request(method, path.replace(">", "%3E"), body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise ServerError(f"toxiproxy: {method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None
