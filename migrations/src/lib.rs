//! Database migrations, portable between SQLite and PostgreSQL.
