"""Key Vault keeps the contract of secret stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from azure_rig import Authority, in_a_thread, loopback_transport
from managed_identity import ManagedIdentity
from scanguard_azure.vault import store as store_module
from scanguard_azure.vault.config import KeyVaultConfig
from scanguard_azure.vault.store import KeyVaultSecrets
from vault_simulator import VaultSimulator

from scanguard.hooks import SecretStore
from scanguard.testing.contracts import CANARY, SecretStoreContract

VAULT = "kv-security"


class TestKeyvaultContract(SecretStoreContract):
    plugin = "scanguard_azure.plugin"
    name = "keyvault"

    @pytest.fixture(autouse=True)
    def _azure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        authority = Authority(tmp_path, "*.vault.azure.net")
        monkeypatch.setattr(store_module, "ANSWER_TIMEOUT_S", 1.5)
        with (
            in_a_thread(VaultSimulator(authority.tls)) as self.vault,
            in_a_thread(ManagedIdentity()) as identity,
        ):
            for name, value in identity.environment.items():
                monkeypatch.setenv(name, value)
            self.vault.put(VAULT, "token", CANARY)
            self.vault.put(VAULT, "disabled", CANARY, enabled=False)
            self.vault.put(VAULT, "ended", CANARY, exp=1_000_000_000)
            self.vault.put(VAULT, "early", CANARY, nbf=4_000_000_000)
            self.vault.hangs.add("slow")
            self.transport: Any = loopback_transport(authority.ca_file, self.vault.server.port)
            yield
            assert self.vault.violations == []

    def store(self) -> SecretStore:
        return KeyVaultSecrets(KeyVaultConfig(), self.context(), self.transport)

    @pytest.fixture
    def known(self) -> str:
        return f"{VAULT}/token"

    @pytest.fixture
    def unknown(self) -> str:
        return f"{VAULT}/scanguard-no-such-secret"

    @pytest.fixture
    def unusable(self) -> Sequence[str]:
        return [f"{VAULT}/{name}" for name in ("disabled", "ended", "early")]

    @pytest.fixture
    def hanging(self) -> str:
        return f"{VAULT}/slow"
