"""What of an order is not done yet, in each database: what counts must be none when the shop is at rest."""

UNDER_WAY = {
    "orders": "SELECT count(*) FROM orders WHERE status IN ('pending', 'cancelling')",
    "products": "SELECT count(*) FROM reservations WHERE state = 'active'",
    "payments": "SELECT count(*) FROM attempts WHERE status IN ('started', 'unknown')",
    "notifications": "SELECT count(*) FROM deliveries WHERE status = 'pending'",
}
