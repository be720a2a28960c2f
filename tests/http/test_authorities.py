"""Authorities that the environment names are trusted, or refused before anything is sent."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from lm_deluge.errors import APIConnectionError
from lm_deluge.http.certificates import CERTIFICATE_VARIABLES, tls_of_environment
from support.clients import client_for, side_of
from support.scripted import ScriptedServer, answer

SECRET = "hunter2-hunter2"


def hashed(bundle: Path, folder: Path) -> Path:
    """A directory as OpenSSL reads it."""
    folder.mkdir()
    name = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(bundle)],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (folder / f"{name}.0").write_bytes(bundle.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        ("REQUESTS_CA_BUNDLE", "file"),
        ("REQUESTS_CA_BUNDLE", "directory"),
        ("CURL_CA_BUNDLE", "file"),
        ("CURL_CA_BUNDLE", "directory"),
        ("SSL_CERT_FILE", "file"),
        ("SSL_CERT_DIR", "directory"),
    ],
)
async def test_authorities_of_the_environment_are_trusted(
    monkeypatch: pytest.MonkeyPatch,
    authority: trustme.CA,
    bundle: Path,
    tmp_path: Path,
    variable: str,
    kind: str,
) -> None:
    path = bundle if kind == "file" else hashed(bundle, tmp_path / "hashed")
    async with ScriptedServer(answer("a"), tls=side_of(authority)) as server:
        with pytest.raises(APIConnectionError, match="certificate"):
            await client_for(server).stream("hi")
        monkeypatch.setenv(variable, str(path))
        client = client_for(server)
        assert (await client.stream("hi")).completion == "a"
        monkeypatch.delenv(variable)
        with pytest.raises(APIConnectionError, match="certificate"):
            await client.stream("hi")


@pytest.mark.parametrize("variable", CERTIFICATE_VARIABLES)
async def test_each_variable_adds_whom_it_names(
    monkeypatch: pytest.MonkeyPatch,
    authority: trustme.CA,
    bundle: Path,
    tmp_path: Path,
    variable: str,
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    for name in CERTIFICATE_VARIABLES:
        directory = name == "SSL_CERT_DIR"
        monkeypatch.setenv(name, str(hashed(other, tmp_path / "others") if directory else other))
    async with ScriptedServer(answer("a"), tls=side_of(authority)) as server:
        with pytest.raises(APIConnectionError, match="certificate"):
            await client_for(server).stream("hi")
        path = hashed(bundle, tmp_path / "ours") if variable == "SSL_CERT_DIR" else bundle
        monkeypatch.setenv(variable, str(path))
        await client_for(server).stream("hi")


async def test_a_bundle_counts_instead_of_the_systems_authorities(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, bundle: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    context = tls_of_environment()
    assert context is not None
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", " ")
    assert tls_of_environment() is None


async def test_a_server_that_is_not_there_is_told_without_the_context(
    monkeypatch: pytest.MonkeyPatch, bundle: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with pytest.raises(APIConnectionError, match=r"host 127\.0\.0\.1:9 \["):
        await client_for("https://127.0.0.1:9/v1").stream("hi")


async def test_a_context_of_ones_own_counts_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, authority: trustme.CA
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authority.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with ScriptedServer(answer("a"), tls=side_of(authority)) as server:
        await client_for(server, ssl_context=context).stream("hi")


@pytest.mark.parametrize("variable", CERTIFICATE_VARIABLES)
@pytest.mark.parametrize("what", ["missing", "no PEM", "empty", "empty directory", "unhashed"])
async def test_authorities_that_cannot_be_read_are_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
    authority: trustme.CA,
    bundle: Path,
    tmp_path: Path,
    variable: str,
    what: str,
) -> None:
    path = tmp_path / "authorities"
    if what == "no PEM":
        path.write_text("no certificate")
    elif what == "empty":
        path.touch()
    elif what != "missing":
        path.mkdir()
        if what == "unhashed":
            (path / "authority.pem").write_bytes(bundle.read_bytes())
    monkeypatch.setenv(variable, str(path))
    async with ScriptedServer(answer("a"), tls=side_of(authority)) as server:
        with pytest.raises(ValueError, match=f"^{variable}: .*authorities"):
            await client_for(server).stream("hi")
        assert server.connections == 0
    async with ScriptedServer(answer("a")) as plain:
        await client_for(plain).stream("hi")  # nobody is to be trusted there
