"""What each program is given: the one table of settings of the process stack."""
import pathlib
from collections.abc import Callable

# Caller with its replica, callee, the callee's addresses -> where that caller finds them.
Route = Callable[[str, str, list[str]], list[str]]


def direct(_caller: str, _callee: str, addresses: list[str]) -> list[str]:
    return addresses


SERVICES_WITH_DATABASE = {
    "user-service": "users",
    "product-service": "products",
    "order-service": "orders",
    "payment-service": "payments",
    "notification-service": "notifications",
}
SERVICES = ["user-service", "product-service", "order-service", "payment-service", "notification-service",
            "api-gateway"]
TOOLS = ["payment-simulator", "mail-sink"]

# Which services each one calls. Everybody verifies tokens, so everybody asks user-service.
CALLEES = {
    "api-gateway": ["user-service", "product-service", "order-service", "payment-service"],
    "user-service": ["user-service"],
    "product-service": ["user-service", "order-service"],
    "order-service": ["user-service", "product-service", "payment-service"],
    "payment-service": ["user-service"],
    "notification-service": ["user-service"],
}
WITH_REDIS = {"api-gateway", "user-service", "product-service"}


def setting_of(service: str) -> str:
    return "STOA_" + service.upper().replace("-", "_")


class Settings:
    """Builds environments from the addresses of one stack."""

    def __init__(self, secrets: pathlib.Path, addresses: dict[str, list[str]], route: Route = direct) -> None:
        self._secrets = secrets
        self._addresses = addresses  # part -> "host:port" of every replica
        self._route = route

    @staticmethod
    def _dsn(servers: list[str], database: str, role: str) -> str:
        """Of several servers libpq finds the one that takes writes."""
        hosts, ports = zip(*(address.split(":") for address in servers), strict=True)
        return f"host={','.join(hosts)} port={','.join(ports)} dbname={database} user={role}"

    def service(self, name: str, replica: int, port: int, admin_port: int) -> dict[str, str]:
        own = self._secrets / name

        def at(callee: str) -> list[str]:
            return self._route(f"{name}-{replica}", callee, self._addresses[callee])

        settings = {
            "STOA_ADDRESS": "127.0.0.1", "STOA_PORT": str(port),
            "STOA_ADMIN_ADDRESS": "127.0.0.1", "STOA_ADMIN_PORT": str(admin_port),
            "STOA_INSTANCE": f"{name}-{replica}",
            "STOA_SERVICE_KEY_FILE": str(own / "service-key.pem"),
            "STOA_SERVICE_JWKS": str(self._secrets / "service-jwks.json"),
        }
        if name != "api-gateway":
            # The gateway is at their door: whom it names in X-Forwarded-For is who asks.
            settings["STOA_TRUSTED_PROXIES"] = "127.0.0.1"
        for callee in CALLEES[name]:
            settings[setting_of(callee)] = ",".join(at(callee))
        if database := SERVICES_WITH_DATABASE.get(name):
            settings |= {
                "STOA_DATABASE_DSN": self._dsn(at("postgres"), database, name),
                "STOA_DATABASE_PASSWORD_FILE": str(own / "database-password"),
                "STOA_BROKER_ADDRESSES": at("rabbitmq")[0],
                "STOA_BROKER_PASSWORD_FILE": str(own / "broker-password"),
            }
        if name in WITH_REDIS:
            settings |= {"STOA_REDIS_ADDRESS": at("redis")[0],
                         "STOA_REDIS_PASSWORD_FILE": str(self._secrets / "redis-password")}
        return settings | self._of_one(name, at)

    def _of_one(self, name: str, at: Callable[[str], list[str]]) -> dict[str, str]:
        if name == "user-service":
            return {"STOA_KEY_ENCRYPTION_KEY_FILE": str(self._secrets / "key-encryption-key")}
        if name in ("order-service", "product-service"):
            return {"STOA_CURSOR_KEY_FILE": str(self._secrets / "cursor-key")}
        if name == "payment-service":
            return {"STOA_PROVIDER_ADDRESSES": at("payment-simulator")[0],
                    "STOA_PROVIDER_KEY_FILE": str(self._secrets / "provider-key"),
                    "STOA_PROVIDER_WEBHOOK_SECRET_FILE": str(self._secrets / "provider-webhook-secret")}
        if name == "notification-service":
            return {"STOA_SMTP_ADDRESS": at("mail-sink-smtp")[0],
                    "STOA_MAIL_FROM": "shop@stoa.test"}
        return {}

    def migrate(self, name: str) -> dict[str, str]:
        return {"STOA_MIGRATE_DSN": self._dsn(self._addresses["postgres"], SERVICES_WITH_DATABASE[name], f"{name}-migrate"),
                "STOA_MIGRATE_PASSWORD_FILE": str(self._secrets / name / "migrate-password")}

    def tool(self, name: str, port: int, admin_port: int, data: pathlib.Path) -> dict[str, str]:
        settings = {"STOA_ADDRESS": "127.0.0.1", "STOA_PORT": str(port),
                    "STOA_ADMIN_ADDRESS": "127.0.0.1", "STOA_ADMIN_PORT": str(admin_port)}
        if name == "payment-simulator":
            # By the public door, as a real provider would.
            [door] = self._route(f"{name}-1", "api-gateway", self._addresses["api-gateway"][:1])
            return settings | {
                "STOA_PROVIDER_KEY_FILE": str(self._secrets / "provider-key"),
                "STOA_PROVIDER_WEBHOOK_SECRET_FILE": str(self._secrets / "provider-webhook-secret"),
                "STOA_WEBHOOK_URL": f"http://{door}/api/v1/webhooks/psp",
                "STOA_JOURNAL": str(data / "journal")}
        return settings | {"STOA_MAIL_SINK_JOURNAL": str(data / "journal"), "STOA_SMTP_PORT": self._addresses["mail-sink-smtp"][0].rpartition(":")[2]}
