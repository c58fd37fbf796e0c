"""PostgreSQL's time by statement, for whoever asks where it goes."""

from __future__ import annotations

import psycopg
from stack import Stack
from stack.services import SERVICES_WITH_DATABASE


SHOWN = 30


def count(stack: Stack) -> None:
    """From now on PostgreSQL counts; it restarts for that."""
    with psycopg.connect(stack.dsn("orders", "postgres"), autocommit=True) as db:
        db.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        db.execute("ALTER SYSTEM SET pg_stat_statements.track_planning = on")
    stack.restart("postgres")
    for database in SERVICES_WITH_DATABASE.values():
        with psycopg.connect(stack.dsn(database, "postgres"), autocommit=True) as db:
            db.execute("CREATE EXTENSION pg_stat_statements")


def show(stack: Stack) -> None:
    """By time in all, of everything since the start."""
    with psycopg.connect(stack.dsn("orders", "postgres"), autocommit=True) as db:
        rows = db.execute(
            "SELECT d.datname, s.calls, s.total_exec_time, s.total_plan_time, s.rows, s.wal_bytes, s.shared_blks_hit,"
            " regexp_replace(left(s.query, 400), '\\s+', ' ', 'g')"
            " FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
            f" ORDER BY s.total_exec_time + s.total_plan_time DESC LIMIT {SHOWN}"
        ).fetchall()
    print("database       calls    ms in all  ms each  ms plan  rows/call  WAL/call  blocks/call  statement")
    for database, calls, run, plan, found, wal, blocks, text in rows:
        print(
            f"{database:<13} {calls:>6} {run + plan:>12.0f} {run / calls:>8.3f} {plan / calls:>8.3f} {found / calls:>10.1f}"
            f" {wal / calls:>9.0f} {blocks / calls:>12.1f}  {text[:150]}"
        )
