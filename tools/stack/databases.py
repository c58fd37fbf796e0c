"""PostgreSQL with a standby, and on other data: failover, restore."""
import contextlib
import dataclasses
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

from .ports import Ports
from .profiles import Profile
from .servers import Postgres, ServerError


class Databases:
    """The part of a stack that knows which server of PostgreSQL takes the writes."""

    parts: dict[tuple[str, int], Any]
    profile: Profile
    secrets: pathlib.Path
    _databases: dict[int, Postgres]
    _postgres: Postgres  # the one that takes writes
    _ports: Ports
    _verbs: threading.RLock

    def wait_for_standby(self, synchronous: bool) -> None:
        """Whether a commit is answered only when the standby has it too. As it starts: not."""
        with self._verbs:
            self._postgres.wait_for_standby(synchronous)

    def promote(self, replica: int) -> None:
        """This server of PostgreSQL takes the writes from now on. The one before must be down: two that
        take writes are no shop any more."""
        with self._verbs:
            if self._postgres.process.alive() and not self._postgres.process.paused:
                raise ServerError("the primary runs: kill, stop or pause it before another is promoted")
            self._databases[replica].promote()
            self._postgres = self._databases[replica]

    def follow(self, replica: int) -> None:
        """This server (which is down) comes back as a standby of the primary, with a fresh copy."""
        with self._verbs:
            if self._databases[replica] is self._postgres:
                raise ServerError(f"postgres {replica} is the primary")
            self._databases[replica].follow(self._postgres)

    def serve_from(self, folder: pathlib.Path) -> None:
        """PostgreSQL, which is down, will run on the `data` of another folder, at its old address."""
        with self._verbs:
            if self._postgres.process.alive():
                raise ServerError("PostgreSQL runs: stop it before it moves")
            moved = Postgres(folder, self._postgres.port, self.profile, self.secrets)
            self._postgres = self._databases[1] = moved
            self.parts["postgres", 1] = dataclasses.replace(
                self.parts["postgres", 1], process=moved.process, start=moved.start, stop=moved.stop, ready=moved.ready)

    @contextlib.contextmanager
    def beside(self, folder: pathlib.Path) -> Iterator[Postgres]:
        """A server of PostgreSQL that nobody uses, on the `data` of a folder; ends with the block."""
        server = Postgres(folder, self._ports.take(), self.profile, self.secrets)
        server.start()
        try:
            yield server
        finally:
            server.stop()

    def sql(self, replica: int, statement: str) -> str:
        """What a server of PostgreSQL answers its superuser."""
        return self._databases[replica].sql(statement)

    def dsn(self, database: str, role: str = "audit") -> str:
        """With its password. Roles: audit, <service>, <service>-migrate; postgres goes by the private socket."""
        if role == "postgres":
            return f"host={self._postgres.folder} port={self._postgres.port} dbname={database} user=postgres"
        file = "audit-password" if role == "audit" else (
            f"{role.removesuffix('-migrate')}/migrate-password" if role.endswith("-migrate")
            else f"{role}/database-password")
        return self._postgres.dsn(database, role, self.secret(file))
