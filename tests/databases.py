"""A database of its own for a test, on the server that all tests share."""

import uuid
from urllib.parse import urlsplit

import psycopg2


def empty_database(server: str) -> str:
    """Make an empty database on the PostgreSQL server at the URL `server`, and return its URL."""
    name = f"own_{uuid.uuid4().hex[:8]}"
    connection = psycopg2.connect(server)
    connection.autocommit = True  # a database cannot be made within a transaction
    connection.cursor().execute(f"create database {name}")
    connection.close()
    return urlsplit(server)._replace(path=f"/{name}").geturl()
