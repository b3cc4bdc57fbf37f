"""What Alembic executes for a branch; ``environment.py`` hands it the open transaction."""

from alembic import context

context.configure(**context.config.attributes["configure"])
context.run_migrations()
