"""A throw-away PostgreSQL server for one test run, reached through a socket in its own temporary directory.

PostgreSQL refuses to run as root, so under root its programs run as an unprivileged account. Nothing is written
durably (``fsync=off``) and nothing listens on the network.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import sqlalchemy as sa

SUPERUSER = "veza"
START_TIMEOUT_S = 60
UNPRIVILEGED = ("postgres", "nobody")


class PostgresMissingError(Exception):
    """The server's programs are not installed, or there is no account to run them under."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the server's programs run under."""

    uid: int
    gid: int

    @property
    def is_current(self) -> bool:
        return os.geteuid() == self.uid


class PostgresServer:
    """A running server: makes and drops databases in it, plain or as copies of a template."""

    def __init__(self, socket_directory: Path) -> None:
        self._socket_directory = socket_directory
        self._numbers = count(1)
        self._admin = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.pool.StaticPool)

    def url(self, database: str) -> str:
        """The address of ``database``, as ``directory.database.make_engine`` takes it."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self._socket_directory}"

    def create_database(self, template: str = "template0") -> str:
        """Make a new database, a copy of ``template``, and give its name."""
        name = f"test_{next(self._numbers)}"
        with self._admin.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name

    def disconnect(self, name: str) -> None:
        """End whatever is still connected to a database."""
        with self._admin.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %(name)s", {"name": name}
            )

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        with self._admin.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """The address of a new database that is dropped at the end."""
        name = self.create_database(template)
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)

    def close(self) -> None:
        """Give up the administrative connection."""
        self._admin.dispose()


_SHAPE = """
    SELECT (SELECT array_agg(c.oid::text || c.relname ORDER BY c.oid) FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'),
           (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_proc)
"""


class ReusedDatabase:
    """One database that is emptied after each test; a test that changed its shape costs it its life."""

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._name: str | None = None
        self._shape: object = None

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of the empty database."""
        if self._name is None:
            self._name = self._server.create_database(self._template)
            self._shape = self._ask(_SHAPE)
        try:
            yield self._server.url(self._name)
        finally:
            self._clean(self._name)

    def _clean(self, name: str) -> None:
        self._server.disconnect(name)
        if self._ask(_SHAPE) != self._shape:
            self._server.drop_database(name)
            self._name = None
            return
        self._ask("SELECT 1", empty=True)

    def _ask(self, query: str, *, empty: bool = False) -> object:
        assert self._name is not None
        engine = sa.create_engine(self._server.url(self._name), poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            if empty:
                names = connection.exec_driver_sql(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                ).scalars()
                tables = ", ".join(f'"{table}"' for table in names)
                connection.exec_driver_sql(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
            return connection.exec_driver_sql(query).all()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server in a new temporary directory; stop it and remove everything at the end.

    Raises PostgresMissingError with the package to install where the server's programs are missing.
    """
    programs = find_programs()
    account = find_account()
    root = Path(tempfile.mkdtemp(prefix="veza-pg-"))  # short: a socket's path may hold 107 bytes at most
    try:
        os.chown(root, account.uid, account.gid)
        _run(root, account, [programs / "initdb", "-D", root / "data", *_INITDB_OPTIONS])
        _run(root, account, [programs / "pg_ctl", *_start_options(root)])
        server = PostgresServer(root)
        try:
            yield server
        finally:
            server.close()
            _run(root, account, [programs / "pg_ctl", "-D", root / "data", "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(root, ignore_errors=True)


def find_programs() -> Path:
    """The directory of the newest installed server, as Debian and others lay it out."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found.sort(key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    if not found:
        raise PostgresMissingError("PostgreSQL's initdb was not found: apt-get install postgresql")
    return found[-1]


def find_account() -> Account:
    """The current account, or an unprivileged one where the current one is root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return Account(known[name].pw_uid, known[name].pw_gid)
    raise PostgresMissingError(f"root needs one of the accounts {UNPRIVILEGED} to run PostgreSQL under")


_INITDB_OPTIONS = ("-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")


def _start_options(root: Path) -> Sequence[str | Path]:
    settings = ("listen_addresses=''", "fsync=off", "synchronous_commit=off", "full_page_writes=off")
    server = " ".join([f"-k {root}", *(f"-c {setting}" for setting in settings)])
    return ["-D", root / "data", "-l", root / "log", "-w", "-t", str(START_TIMEOUT_S), "-o", server, "start"]


def _run(root: Path, account: Account, command: Sequence[str | Path]) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(root), "TZ": "UTC"},
        stdout=subprocess.DEVNULL,
        user=None if account.is_current else account.uid,
        group=None if account.is_current else account.gid,
        extra_groups=None if account.is_current else [],
    )
