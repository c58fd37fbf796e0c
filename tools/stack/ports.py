"""Free loopback ports that two stacks on one machine never share."""
import random
import socket

# Below the range from which the kernel takes the local ports of outgoing connections, so that a
# port stays free while its server is down (a killed service comes back on the port it had).
_LOWEST, _HIGHEST = 12_000, 31_999


class Ports:
    """A port is taken by binding an abstract Unix socket of its name. Such names belong to the network
    namespace, as ports do, need no file, and are gone with the process that holds them."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def take(self) -> int:
        for _ in range(1_000):
            port = random.randint(_LOWEST, _HIGHEST)
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0stoa-port-{port}")
                with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
            self._claims.append(claim)
            return port
        raise RuntimeError(f"no free port between {_LOWEST} and {_HIGHEST}")

    def release(self) -> None:
        for claim in self._claims:
            claim.close()
        self._claims.clear()
