"""The ways to run a stack (what each may be used for: see README.md)."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Profile:
    name: str
    on_disk: bool  # False: data on a tmpfs
    postgres: dict[str, str]
    trace_ratio: str
    log_level: str
    services: dict[str, dict[str, str]]  # settings by service, over the defaults of services.py

    def with_wal_of(self, megabytes: int) -> "Profile":
        """The same with a log that keeps to this much between checkpoints (PostgreSQL's least: 32 MB)."""
        return dataclasses.replace(self, postgres=self.postgres | {"max_wal_size": f"{max(32, megabytes)}MB", "min_wal_size": "32MB"})


# Every replica of every service holds a pool and, for its relay, one connection more.
_POSTGRES_ALL = {"listen_addresses": "127.0.0.1", "max_connections": "400"}

# What a production server promises: a commit that was answered survives kill -9 and power loss.
_POSTGRES_DURABLE = _POSTGRES_ALL | {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "replica",
    "shared_buffers": "256MB", "max_wal_size": "2GB", "checkpoint_timeout": "15min", "autovacuum": "on",
}

_POSTGRES_FAST = _POSTGRES_ALL | {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal",
    "max_wal_senders": "0", "shared_buffers": "64MB", "autovacuum": "off",
}

# One client plays thousands of buyers, so the numbers are raised; the limiter stays in the path.
_GENEROUS_ACCOUNTS = {"STOA_LOGIN_LIMIT": "1000000", "STOA_REGISTRATION_LIMIT": "1000000"}
_GENEROUS_LIMITS = {f"STOA_LIMIT_{what}_PER_MINUTE": "100000000" for what in ("ADDRESS", "USER", "AUTH", "ORDERS", "IMPORTS")}

PROFILES = {
    profile.name: profile
    for profile in [
        Profile("test", on_disk=False, postgres=_POSTGRES_FAST, trace_ratio="1.0", log_level="info", services={}),
        Profile("proof", on_disk=True, postgres=_POSTGRES_DURABLE, trace_ratio="0.05", log_level="info", services={
            "api-gateway": _GENEROUS_LIMITS,
            "user-service": _GENEROUS_ACCOUNTS,
            "order-service": {"STOA_PENDING_DEADLINE_SECONDS": "10", "STOA_CANCELLING_RETRY_SECONDS": "5"},
            "product-service": {"STOA_RESERVATION_DEADLINE_SECONDS": "15"},
        }),
        # What `make up` starts where no container engine can run.
        Profile("demo", on_disk=True, postgres=_POSTGRES_DURABLE, trace_ratio="1.0", log_level="info", services={}),
        Profile("bench", on_disk=True, postgres=_POSTGRES_DURABLE, trace_ratio="0.05", log_level="warn", services={
            "api-gateway": _GENEROUS_LIMITS,
            "user-service": _GENEROUS_ACCOUNTS,
        }),
    ]
}
