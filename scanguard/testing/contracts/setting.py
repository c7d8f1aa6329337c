"""What every suite of a plugin is set up with: the module, the record, configurations and the context."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from scanguard.errors import ScanguardError
from scanguard.hooks import PluginContext
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts.probes import CANARY

CANARY_REFERENCE: Final = "env:SCANGUARD_CANARY"
"""What a configuration under test writes for a secret."""
MAX_IMPORT_S: Final = 0.5
"""CPU seconds that importing a plugin may cost beyond scanguard's own modules."""


@dataclass(frozen=True)
class Broken:
    """One way in which the other side fails, and the error that must come of it.

    Attributes:
        id: What is broken, in a word or two.
        config: The configuration that leads there.
        error: The exact error class, or a tuple of those allowed.
        retry_after_s: Seconds to wait that the error must carry on.
        context: Another context than the suite's own.
    """

    id: str
    config: Mapping[str, Any]
    error: type[ScanguardError] | tuple[type[ScanguardError], ...]
    retry_after_s: float | None = None
    context: PluginContext | None = None


class PluginSetting:
    """The plugin under test, and what its author gives to make it work and fail."""

    plugin: ClassVar[str]
    """The module with the hooks, such as ``scanguard_acme.plugin``."""
    name: ClassVar[str]
    """The name of the record under test."""
    hook: ClassVar[str]
    spec_type: ClassVar[type]
    timeout_error: ClassVar[type[ScanguardError]]
    """What a call becomes that takes too long."""
    error_family: ClassVar[type[ScanguardError]]
    """What every failure of the other side becomes, or a class below it."""
    max_import_s: ClassVar[float] = MAX_IMPORT_S

    # --- what a plugin's test overrides -------------------------------------------------------------------

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        """A configuration that works, as it would be written in the file; use ``CANARY_REFERENCE`` for secrets."""
        return {}

    @pytest.fixture
    def bad_config(self, config: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """A configuration that does not, and the key that is wrong."""
        return {**config, "no_such_option": 1}, "no_such_option"

    @pytest.fixture
    def context(self, tmp_path: Path) -> PluginContext:
        """What the engine lends; knows the canary."""
        return make_context(tmp_path, secrets={CANARY_REFERENCE: CANARY})

    @pytest.fixture
    def hanging(self) -> Mapping[str, Any] | None:
        """A configuration whose other side never answers.

        Without it every request through ``context.http`` goes to a server of the suite that never answers; a plugin
        that talks to something in another way must give one.
        """
        return None

    @pytest.fixture
    def hanging_context(self, context: PluginContext) -> PluginContext:
        """The context that goes with ``hanging``, where it is another one."""
        return context

    @pytest.fixture
    def broken(self) -> Sequence[Broken]:
        """How the other side can fail."""
        return ()

    async def use(self, plugin: Any) -> object:  # noqa: ANN401  # each suite knows its own kind
        """Do the plugin's one job, once."""
        raise NotImplementedError

    # --- helpers ------------------------------------------------------------------------------------------

    def spec(self) -> Any:  # noqa: ANN401  # each suite knows its own kind
        """The record under test."""
        records = [*getattr(importlib.import_module(self.plugin), self.hook)()]
        found = [record for record in records if record.name == self.name]
        assert len(found) == 1, f"{self.plugin}.{self.hook} offers {[one.name for one in records]}, not one {self.name}"
        return found[0]

    def build(self, config: Mapping[str, Any], context: PluginContext) -> Any:  # noqa: ANN401  # as above
        """An instance, built as the engine builds it."""
        spec = self.spec()
        return spec.build(spec.config.model_validate(dict(config)), context)
