"""Area ``secrets``: every reference in the configuration resolves. Neither values nor their lengths are told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from scanguard.doctor.check import Check, fail, ok
from scanguard.doctor.host import DoctorHost
from scanguard.doctor.remedies import remedy_for
from scanguard.doctor.situation import Situation
from scanguard.errors import SecretError
from scanguard.model.secret import SecretRef

AREA: Final = "secrets"
MAX_DEPTH: Final = 20


def secret_references(situation: Situation) -> Mapping[SecretRef, Sequence[str]]:
    """Each reference of the configuration, and the key paths it stands at."""
    found: dict[SecretRef, list[str]] = defaultdict(list)
    if situation.loaded is not None:
        settings = situation.loaded.settings
        for name, section in (("server", settings.server), ("registries", settings.registries)):
            for reference, path in references_in(section, name):
                found[reference].append(path)
    if situation.bound is not None:
        configs: dict[str, BaseModel] = {
            **{f"instances.{name}": one.config for name, one in situation.bound.instances.items()},
            **situation.bound.policies,
        }
        if situation.bound.backend is not None:
            configs["backend"] = situation.bound.backend.config
        for prefix, config in configs.items():
            for reference, path in references_in(config, prefix):
                found[reference].append(path)
    return found


def references_in(value: Any, path: str, depth: int = 0) -> Iterator[tuple[SecretRef, str]]:  # noqa: ANN401  # any option
    """References at any depth of a model, with their key paths."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, SecretRef):
        yield value, path
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from references_in(getattr(value, name), f"{path}.{name}", depth + 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from references_in(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield from references_in(item, f"{path}.{index}", depth + 1)


async def check_secret(make: Callable[[], DoctorHost], reference: SecretRef, paths: Sequence[str]) -> list[Check]:
    """Resolve one; the value is dropped at once."""
    used = f"used by {', '.join(paths)}"
    host = make()
    try:
        await host.secret(reference)
    except SecretError as exc:
        return [fail(AREA, str(reference), f"{exc.message} ({used})", remedy_for(exc))]
    finally:
        await host.aclose()
    return [ok(AREA, str(reference), f"resolves ({used})")]
