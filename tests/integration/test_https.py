"""HTTPS: certificate and key as files, as Orion's -https, -key and -cert."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from broker.launch import BrokerProcess

if TYPE_CHECKING:
    from tests.integration.conftest import StartBroker


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who the clients trust."""
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The broker's private key and its certificate."""
    directory = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    key, certificate = directory / "key.pem", directory / "cert.pem"
    issued.private_key_pem.write_to_path(key)
    for position, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(certificate, append=position > 0)
    return key, certificate


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that checks certificates."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_requests_over_tls(files: tuple[Path, Path], trust: ssl.SSLContext, tmp_path: Path) -> None:
    key, certificate = files
    flags = ("-https", "-key", str(key), "-cert", str(certificate))
    with BrokerProcess(tmp_path / "data", flags, trust=trust) as broker:
        assert broker.url.startswith("https://")
        entity = json.dumps({"id": "E", "type": "T", "A": {"value": 1}}).encode()
        request = urllib.request.Request(
            f"{broker.url}/v2/entities", entity, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, context=trust) as response:
            assert response.status == 201
        with urllib.request.urlopen(
            f"{broker.url}/v2/entities/E?options=keyValues", context=trust
        ) as response:
            assert json.load(response) == {"id": "E", "type": "T", "A": 1}
        # Who does not trust the certificate, or speaks an old TLS or none, is not served.
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"{broker.url}/version", context=ssl.create_default_context())
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(("127.0.0.1", broker.port)) as connection,
            pytest.raises(ssl.SSLError),
        ):
            old.wrap_socket(connection)
        with socket.create_connection(("127.0.0.1", broker.port)) as connection:
            connection.sendall(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not connection.makefile("rb").read().startswith(b"HTTP/1.1 200")


def test_files_that_are_no_certificate(
    files: tuple[Path, Path], start_broker: StartBroker, tmp_path: Path
) -> None:
    key, certificate = files
    missing = tmp_path / "missing.pem"
    for given_key, given_certificate in [(missing, certificate), (certificate, key)]:
        flags = ("-https", "-key", str(given_key), "-cert", str(given_certificate))
        with pytest.raises(RuntimeError, match="cannot be used") as failure:
            start_broker(*flags)
        assert str(given_key) in str(failure.value)
        assert "Traceback" not in str(failure.value)
    with pytest.raises(RuntimeError, match="-https needs both -key and -cert"):
        start_broker("-https", "-key", str(key))
