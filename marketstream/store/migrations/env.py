"""What Alembic runs around the steps: on the connection that `store.schema` hands in, all within its transaction."""

from __future__ import annotations

from alembic import context


def run() -> None:
    """Take the steps that the command asked for."""
    context.configure(
        connection=context.config.attributes["connection"],
        # SQLite changes its schema within a transaction like any other; Alembic does not count on it by itself.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


# Alembic loads this file under a name of its own; a plain import runs nothing.
if __name__ == "env_py":
    run()
