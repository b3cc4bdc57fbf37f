"""The database: connection, tables, the queries over them, the audit trail, migrations."""
