"""What stands in the URL and in an option file: TLS as it was meant, and a password that stays unseen."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url
from support.databases import Ispyb

from sync.database.connection import connect
from sync.database.engine import open_engine
from sync.demo.server import server
from sync.model.errors import DatabaseError, SyncError, UsageError


@dataclass(frozen=True)
class Secure:
    """A server with TLS, and files beside it. `name` is the host that its certificate names, `other` is not."""

    url: URL
    folder: Path
    name: str = "localhost"
    other: str = "127.0.0.1"


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _certificate(folder: Path, name: str, signer: str, *more: str) -> None:
    _openssl(
        folder,
        *f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key".split(),
        *more,
        *f"-subj /CN={name} -out {name}.csr".split(),
    )
    (folder / "names").write_text("subjectAltName = DNS:localhost")
    _openssl(
        folder,
        *f"x509 -req -in {name}.csr -CA {signer}.pem -CAkey {signer}.key -days 2 -extfile names"
        f" -out {name}.pem".split(),
    )


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    for ca in ("ca", "wrong"):
        _openssl(
            folder,
            *f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={ca}"
            f" -keyout {ca}.key -out {ca}.pem".split(),
        )
    for name in ("server", "client"):
        _certificate(folder, name, "ca")
    _openssl(folder, "pkey", "-in", "client.key", "-aes256", "-passout", "pass:s3cret", "-out", "locked.key")
    for file in folder.iterdir():
        file.chmod(0o644)
    flags = [f"--ssl-ca={folder}/ca.pem", f"--ssl-cert={folder}/server.pem", f"--ssl-key={folder}/server.key"]
    with server(extra=flags) as url:
        with create_engine(url, execution_options={"no_parameters": True}).connect() as connection:
            connection.exec_driver_sql("CREATE USER certified@`%` IDENTIFIED BY 'pw' REQUIRE X509")
            connection.exec_driver_sql("GRANT SELECT ON mysql.* TO certified@`%`")
        yield Secure(url.set(database="mysql"), folder)


def cipher(secure: Secure, query: str, host: str | None = None, **more: str) -> str:
    """Connects with these options; gives the cipher of the connection, empty without TLS."""
    text = query.format(at=secure.folder)
    url = secure.url.set(host=host or secure.name, **more).render_as_string(hide_password=False)
    with connect(f"{url}?{text}") as connection:
        row = connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'").one()
        return str(row[1])


@pytest.mark.parametrize(
    "query",
    [
        "",
        "ssl_ca={at}/ca.pem",
        "ssl_ca={at}/ca.pem&ssl_verify_cert=true",
        "ssl_ca={at}/ca.pem&ssl_verify_identity=true",
        "ssl_ca={at}/ca.pem&ssl_verify_cert=true&ssl_verify_identity=true&ssl_disabled=false",
        "ssl_ca={at}/ca.pem&ssl_cipher=ECDHE-ECDSA-AES256-GCM-SHA384",
        "ssl_verify_cert=false",
        "ssl_disabled=false",
    ],
)
def test_the_connection_has_tls(secure: Secure, query: str) -> None:
    assert cipher(secure, query)


@pytest.mark.parametrize(
    "query",
    [
        "ssl_ca={at}/wrong.pem",
        "ssl_ca={at}/wrong.pem&ssl_verify_cert=true",
        "ssl_ca={at}/wrong.pem&ssl_verify_identity=false",
        "ssl_ca={at}/wrong.pem&ssl_check_hostname=false",
        "ssl_verify_cert=true",
        "ssl_verify_identity=true",
        "ssl_verify_identity=false",
    ],
)
def test_a_server_that_another_ca_vouches_for_is_refused(secure: Secure, query: str) -> None:
    with pytest.raises(DatabaseError, match="certificate verify failed"):
        cipher(secure, query)


def test_the_name_of_the_server_is_checked_unless_told_otherwise(secure: Secure) -> None:
    for query in ("", "&ssl_verify_cert=true", "&ssl_verify_identity=true", "&ssl_check_hostname=1"):
        with pytest.raises(DatabaseError, match="IP address mismatch"):
            cipher(secure, "ssl_ca={at}/ca.pem" + query, host=secure.other)
    for query in ("&ssl_verify_identity=false", "&ssl_check_hostname=0", "&ssl_verify_cert=false"):
        assert cipher(secure, "ssl_ca={at}/ca.pem" + query, host=secure.other)


def test_tls_is_left_out_only_where_that_is_said(secure: Secure) -> None:
    assert cipher(secure, "ssl_disabled=true") == ""
    for query in ("ssl_disabled=true&ssl_ca={at}/ca.pem", "ssl_disabled=1&ssl_verify_cert=true"):
        with pytest.raises(UsageError, match="ssl_disabled contradicts"):
            cipher(secure, query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("ssl_verify_cert=perhaps", "ssl_verify_cert is true or false"),
        ("ssl_verify_cert=false&ssl_verify_identity=true", "contradicts"),
        ("ssl_ca={at}/missing.pem", "No such file"),
        ("ssl_ca={at}/ca.key", "no certificate"),
        ("ssl_ca={at}/ca.pem&ssl_cert={at}/client.pem&ssl_key={at}/ca.key", "KEY_VALUES_MISMATCH|key values mismatch"),
        ("ssl_ca={at}/ca.pem&ssl_cipher=nosuch", "cipher"),
        ("ssl=true", "behind the question mark"),
    ],
)
def test_an_option_that_cannot_be_used_is_an_error(secure: Secure, query: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        cipher(secure, query)
    assert any(word in str(caught.value) for word in words.split("|")), str(caught.value)


def test_tls_is_never_given_up_when_the_server_has_none(databases: Callable[[str], Ispyb], secure: Secure) -> None:
    plain = databases("py").role_url
    for query in ("ssl_verify_cert=false", f"ssl_ca={secure.folder}/ca.pem"):
        with pytest.raises(DatabaseError, match="SSL is required"):
            connect(f"{plain}?{query}").__enter__()


def test_an_account_may_need_a_certificate(secure: Secure) -> None:
    account = {"username": "certified", "password": "pw"}
    with pytest.raises(DatabaseError, match="Access denied"):
        cipher(secure, "ssl_ca={at}/ca.pem", **account)
    assert cipher(secure, "ssl_ca={at}/ca.pem&ssl_cert={at}/client.pem&ssl_key={at}/client.key", **account)
    locked = "ssl_ca={at}/ca.pem&ssl_cert={at}/client.pem&ssl_key={at}/locked.key&ssl_key_password="
    assert cipher(secure, locked + "s3cret", **account)
    with pytest.raises(UsageError) as caught:
        cipher(secure, locked + "wr0ng", **account)
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "works"),
    [
        ("ssl-ca={at}/ca.pem", True),
        ("ssl_ca={at}/ca.pem\nssl-verify-server-cert", True),
        ("ssl-ca={at}/wrong.pem", False),
        ("ssl-verify-server-cert", False),
        ("ssl-verify-server-cert=1", False),
        ("", True),
    ],
)
def test_an_option_file_says_the_same(secure: Secure, tmp_path: Path, lines: str, works: bool) -> None:
    file = tmp_path / "my.cnf"
    file.write_text("[client]\n" + lines.format(at=secure.folder))
    if works:
        assert cipher(secure, f"read_default_file={file}")
    else:
        with pytest.raises(DatabaseError, match="certificate verify failed"):
            cipher(secure, f"read_default_file={file}")
    assert cipher(secure, f"read_default_file={file}&ssl_verify_cert=false&ssl_verify_identity=false")


def test_account_and_password_may_come_from_an_option_file(
    databases: Callable[[str], Ispyb], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ispyb = databases("py")
    known = make_url(ispyb.role_url)
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / ".my.cnf"
    password = "päß€ '#;"
    with ispyb.engine.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE USER `{known.username}_2`@`%` IDENTIFIED BY '{password.replace(chr(39), chr(39) * 2)}'"
        )
        connection.exec_driver_sql(f"GRANT SELECT ON `{known.database}`.* TO `{known.username}_2`@`%`")
    try:
        home.write_text(f'[client]\nuser={known.username}_2\npassword="{password}"\n[other]\nuser=nobody\n')
        url = f"mysql+pymysql://{known.host}:{known.port}/{known.database}?read_default_file=~/.my.cnf"
        with connect(url) as connection:
            assert connection.exec_driver_sql("SELECT CURRENT_USER()").scalar_one() == f"{known.username}_2@%"
        with pytest.raises(DatabaseError, match="nobody"):
            connect(f"{url}&read_default_group=other").__enter__()
    finally:
        with ispyb.engine.connect() as connection:
            connection.exec_driver_sql(f"DROP USER `{known.username}_2`@`%`")


@pytest.mark.parametrize(
    "content",
    [
        b"password=s3cret\n",
        b"[client]\ns3cret = = \n=s3cret\n",
        b"[client\npassword=s3cret\n",
        b"[client]\n  s3cret\n[client]\n",
        b"[client]\npassword=s3cret\npassword=s3cret\n",
        b"[client]\npassword=s3cret\xff\n",
        None,
    ],
)
def test_an_option_file_that_is_none_is_not_repeated(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "my.cnf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        open_engine(f"mysql+pymysql://h/ispyb?read_default_file={file}")
    assert str(file) in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("password", ["p@ss", "@", "p@s/s", "p/a@b", "a@b@c", "p?a@b", "p:a@b"])
def test_a_password_that_was_not_encoded_does_not_end_up_as_a_host(password: str) -> None:
    with pytest.raises(SyncError) as caught:
        connect(f"mysql+pymysql://u:{password}@127.0.0.1:1/ispyb").__enter__()
    rest = password.partition("@")[2]
    assert f"'{rest}" not in str(caught.value)
    assert "%40" in str(caught.value)
