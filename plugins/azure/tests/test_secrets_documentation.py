"""The page about secrets and registries says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from scanguard_azure.plugin import scanguard_registry_credentials, scanguard_secret_stores
from scanguard_azure.registry.config import AcrConfig
from scanguard_azure.vault.config import KeyVaultConfig

from scanguard.oci.settings import RegistrySettings

PAGE = (Path(__file__).parents[3] / "docs" / "azure" / "secrets-and-registries.md").read_text(encoding="utf-8")
CONFIGS = {
    **{spec.name: spec.config for spec in scanguard_secret_stores()},
    **{spec.name: spec.config for spec in scanguard_registry_credentials()},
}


def rows(heading: str) -> dict[str, str]:
    """Keys of the table of options under a heading, and their defaults."""
    part = PAGE.split(f"{heading}\n")[1].split("\n#")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", part, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "config"),
    [
        pytest.param("### Options", KeyVaultConfig, id="keyvault"),
        pytest.param("## Azure container registries", AcrConfig, id="azure_acr"),
    ],
)
def test_every_option_is_in_its_table_with_its_default(heading: str, config: type[BaseModel]) -> None:
    listed = rows(heading)
    assert set(listed) == set(config.model_fields)
    for name, field in config.model_fields.items():
        default = field.default
        expected = {"none", "the cloud's"} if default in (None, ()) else {str(default).removesuffix(".0")}
        assert listed[name].strip("`") in expected, name


def test_every_example_is_accepted() -> None:
    seen: set[str] = set()
    for text in re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL):
        document: dict[str, Any] = yaml.safe_load(text)
        RegistrySettings.model_validate(document.get("registries", {}))
        for instance in document["instances"].values():
            plugin = instance.pop("plugin")
            if plugin in CONFIGS:
                CONFIGS[plugin].model_validate(instance)
                seen.add(plugin)
    assert seen == {"keyvault", "azure_acr"}
