"""One MLflow for a course: server, database, accounts, backups. `instructor server` drives it; see docs/server.md."""
