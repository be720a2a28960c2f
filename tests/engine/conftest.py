"""What tests of the engine find: no settings of the machine, and an authority that nobody trusts."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from lm_deluge.certificates import CERTIFICATE_VARIABLES
from lm_deluge.proxies import PROXY_VARIABLES

OPENAI = ("API_KEY", "BASE_URL", "ORG_ID", "PROJECT_ID", "CUSTOM_HEADERS")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's environment says of servers and of the way to them."""
    for name in (*PROXY_VARIABLES, *CERTIFICATE_VARIABLES, *(f"OPENAI_{n}" for n in OPENAI)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs certificates; no system knows it."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's certificate as a file."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path
