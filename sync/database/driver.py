"""Opens connections: what stands in the URL and its option file, TLS, and a driver that trusts no server.

A server that asks for a file gets none: `sync.stage.load` sends rows from memory, and nothing else is ever sent. A
password goes in clear only over TLS. What a server says that makes no sense ends the connection as an error.
"""

import configparser
import os
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from pymysql.optionfile import Parser
from sqlalchemy import URL, Connection, Dialect

from sync.model.errors import DatabaseError, UsageError

_TLS_TEXTS = ("ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_key_password", "ssl_cipher")
_TLS_SWITCHES = ("ssl_disabled", "ssl_verify_cert", "ssl_verify_identity", "ssl_check_hostname")
_TLS = (*_TLS_TEXTS, *_TLS_SWITCHES)
_IN_OPTION_FILE = {name.replace("_", "-"): name for name in _TLS_TEXTS if name != "ssl_key_password"}
_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
_NONSENSE = (AssertionError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError, struct.error)
"""What the driver raises at bytes that are no answer of a database."""


def called(url: URL, schema: str | None = None) -> str:
    """How people call a database: ispyb on db1:3306; where neither names a schema, its server alone."""
    server = f"{url.host or 'localhost'}:{url.port or 3306}"
    return f"{name} on {server}" if (name := schema or url.database) else server


class Driver(pymysql.Connection):
    """PyMySQL's connection, on guard."""

    _read_timeout: float | None

    def connect(self, sock: Any = None) -> None:
        """Opens the connection; a server that does not say hello in time is an error, as one that is not there."""
        patience, self._read_timeout = self._read_timeout, self._read_timeout or self.connect_timeout
        try:
            super().connect(sock)
        except _NONSENSE as error:
            raise _no_database(f"{self.host}:{self.port}", error) from None
        finally:
            self._read_timeout = patience

    def _create_ssl_ctx(self, options: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = super()._create_ssl_ctx(options) if options else _unchecked()  # type: ignore[misc]
        return context

    def rollback(self) -> None:
        """Rolls back; with a connection that was ended there is nothing to do."""
        if self.open:
            super().rollback()

    def _read_query_result(self, unbuffered: bool = False) -> int:
        try:
            affected: int = super()._read_query_result(unbuffered)  # type: ignore[misc]
        except _NONSENSE as error:
            raise self._ended(error) from None
        return affected

    def _read_packet(self, *arguments: Any) -> Any:
        try:
            return super()._read_packet(*arguments)  # type: ignore[no-untyped-call]
        except _NONSENSE as error:
            raise self._ended(error) from None

    def _ended(self, error: Exception) -> DatabaseError:
        self._force_close()  # type: ignore[attr-defined]
        return _no_database(f"{self.host}:{self.port}", error)

    def _process_auth(self, plugin_name: bytes, auth_packet: Any, handler: Any = None) -> Any:
        if plugin_name in (b"mysql_clear_password", b"dialog") and not self._secure:  # type: ignore[attr-defined]
            raise DatabaseError(
                f"the server at {self.host}:{self.port} asks for the password in clear, and the connection has no TLS",
                hint="Turn TLS on at the server, and name its CA in the URL: …?ssl_ca=/path/ca.pem",
            )
        return super()._process_auth(plugin_name, auth_packet, handler)  # type: ignore[misc]


@contextmanager
def sending_no_files(connection: Connection) -> Iterator[None]:
    """A caller's connection may be one that sends any file that a server asks for; not as long as it is used here."""
    driver: Any = connection.connection.driver_connection
    before = driver._local_infile
    driver._local_infile = False
    try:
        yield
    finally:
        driver._local_infile = before


def opener(url: URL, dialect: Dialect) -> Callable[[], Driver]:
    """A function that opens connections to this URL.

    Raises UsageError for an option file that cannot be used, and other errors of the driver for other options.
    """
    options = _options(url, dialect)
    Driver(**options, defer_connect=True).cursor()
    return lambda: Driver(**options)


def _options(url: URL, dialect: Dialect) -> dict[str, Any]:
    """The driver's arguments."""
    given = {name: str(value) for name, value in url.query.items() if name in _TLS}
    options = dict(dialect.create_connect_args(url.difference_update_query(_TLS))[1])
    path = options.get("read_default_file")
    stored = {} if path is None else _option_file(str(path), str(options.get("read_default_group", "client")))
    given_otherwise = options.pop("password", None) or options.pop("passwd", None)
    password = url.password or given_otherwise or stored.get("password")
    if password is not None:
        options["password"] = password.encode()  # the driver would send it in latin1
    options["client_flag"] = CLIENT.LOCAL_FILES if options.pop("local_infile", True) else 0
    from_file = {ours: stored[theirs] for theirs, ours in _IN_OPTION_FILE.items() if theirs in stored}
    if "ssl-verify-server-cert" in stored:
        from_file["ssl_verify_identity"] = stored["ssl-verify-server-cert"] or "true"
    options |= _tls(from_file | given)
    return options


def _option_file(path: str, group: str) -> Mapping[str, str]:
    """One group of an option file such as ~/.my.cnf. Errors never repeat its lines: they may hold a password."""
    parser = Parser()
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        reason = f"cannot read {path}: {error.strerror}"
    except configparser.MissingSectionHeaderError as error:
        reason = f"{path}: line {error.lineno} stands before any [group]"
    except configparser.ParsingError as error:
        reason = f"{path}: line {error.errors[0][0]} is not understood"
    except (configparser.Error, ValueError):
        reason = f"{path} is not an option file, or not UTF-8"
    else:
        if not parser.has_section(group):
            return {}
        return {name: "" if text is None else parser.get(group, name) for name, text in parser.items(group)}
    raise UsageError(f"--database: {reason}", hint="Correct read_default_file in the URL, or the file.")


def _tls(given: Mapping[str, str]) -> dict[str, Any]:
    """How TLS is used. Whoever gives a CA, or any other option of TLS, gets TLS with the server's name checked.

    Only a switch that says so takes checks away; without an option TLS is used where the server has it, unchecked.
    """
    switches = {name: _switch(name, given[name]) for name in _TLS_SWITCHES if name in given}
    texts = {name: given[name] for name in _TLS_TEXTS if name in given}
    if switches.pop("ssl_disabled", False):
        if texts or any(switches.values()):
            raise ValueError("ssl_disabled contradicts the other options of TLS")
        return {"ssl_disabled": True}
    if not texts and not switches:
        return {}
    if switches.get("ssl_verify_cert", True):
        checks_name = switches.get("ssl_verify_identity", switches.get("ssl_check_hostname", True))
        checks = ssl.CERT_REQUIRED
    elif switches.get("ssl_verify_identity") or switches.get("ssl_check_hostname"):
        raise ValueError("ssl_verify_cert=false contradicts the check of the server's name")
    else:
        checks_name, checks = False, ssl.CERT_NONE
    for name in ("ssl_ca", "ssl_cert", "ssl_key"):
        _look_at(name, texts.get(name))
    context = ssl.create_default_context(cafile=texts.get("ssl_ca"), capath=texts.get("ssl_capath"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # a certificate that the server made itself does not pass that
    context.check_hostname, context.verify_mode = checks_name, checks
    if "ssl_cert" in texts:
        context.load_cert_chain(texts["ssl_cert"], texts.get("ssl_key"), texts.get("ssl_key_password"))
    if "ssl_cipher" in texts:
        context.set_ciphers(texts["ssl_cipher"])
    return {"ssl": context}


def _look_at(option: str, path: str | None) -> None:
    """Raises UsageError that names a file that cannot be read: the errors of `ssl` do not."""
    try:
        if path is not None:
            open(path).close()
    except OSError as error:
        raise UsageError(f"--database: cannot read {path}: {error.strerror}", hint=f"Correct {option}.") from None


def _switch(name: str, text: str) -> bool:
    try:
        return _SWITCH[text.lower()]
    except KeyError:
        raise ValueError(f"{name} is true or false") from None


def _unchecked() -> ssl.SSLContext:
    """TLS that looks at no certificate, as where no option of TLS is given: it does without reading all CAs, 20 ms."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _no_database(place: str, error: Exception) -> DatabaseError:
    if "LOAD_LOCAL" in str(error):
        what = f"the server at {place} asked for a file of this machine; it was not sent"
        return DatabaseError(what, hint="No MariaDB does that. Look who answers at this address.")
    return DatabaseError(
        f"what answers at {place} does not speak as a MariaDB does", hint="Look whether host and port are right."
    )
