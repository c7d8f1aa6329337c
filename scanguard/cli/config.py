"""``scanguard config``: write, check and explain the configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import note, show, write
from scanguard.cli.params import format_option
from scanguard.errors import ConfigError

if TYPE_CHECKING:
    from scanguard.settings.describe import ChainExplanation
    from scanguard.settings.load import Loaded


@click.group()
def config() -> None:
    """Write, check and explain the configuration.

    It is read from the files given with --config, else from $SCANGUARD_CONFIG, else from scanguard.yaml in the
    working folder; without any, built-in defaults apply.
    """


@config.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("scanguard.yaml"))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.pass_context
def init(ctx: click.Context, /, *, file: Path, force: bool) -> None:
    """Write a commented configuration to FILE (scanguard.yaml), with the best scanner that is installed."""
    from scanguard.settings.describe import first_config

    text = first_config(ctx.ensure_object(CliContext).catalog())
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as exc:
        raise ConfigError(f"{file} is there already; --force replaces it", target=str(file)) from exc
    except OSError as exc:
        raise ConfigError(f"cannot write {file}: {exc.strerror}", target=str(file)) from exc
    note(f"Wrote {file}. Next: scanguard config check")


@config.command()
@click.pass_context
def check(ctx: click.Context, /) -> None:
    """Check everything that can be checked without any work: grammar, names, plugins, every plugin's options."""
    from scanguard.settings.bind import bind

    context = ctx.ensure_object(CliContext)
    loaded = _load(context)
    plugins = context.plugins()
    bound = bind(loaded, plugins.catalog, plugins.problem)
    where = ", ".join(map(str, loaded.files)) or "built-in defaults"
    kept = f" Backend {bound.backend.spec.name}." if bound.backend else ""
    note(f"{where}: good. {len(bound.instances)} instances, {len(loaded.settings.chains)} chains.{kept}")


@config.command()
@click.pass_context
def schema(ctx: click.Context, /) -> None:
    """Print a JSON Schema for editors, with the options of every installed plugin."""
    from scanguard.settings.describe import json_schema

    write(json.dumps(json_schema(ctx.ensure_object(CliContext).catalog()), indent=2))


@config.command()
@click.option("--subscription", default="", help="Subscription id of the deployment.")
@click.option("--resource-group", default="", help="Its resource group.")
@click.option("--kind", default="", help="container_group, container_app, container_app_job or image.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag of the workload; repeatable.")
@format_option("table", "json")
@click.pass_context
def explain(
    ctx: click.Context, /, *, subscription: str, resource_group: str, kind: str, tags: tuple[str, ...], form: str
) -> None:
    """Show which chain applies to a deployment, why, and where each value was written."""
    from scanguard.settings.chains import Facts, effective_chain
    from scanguard.settings.describe import explain_backend, explain_chain

    loaded = _load(ctx.ensure_object(CliContext))
    facts = Facts(subscription, resource_group, kind, dict(_tag(text) for text in tags))
    explanation = explain_chain(effective_chain(loaded.settings, loaded.document, facts))
    explanation = replace(explanation, values=(*explanation.values, explain_backend(loaded)))
    if form == "json":
        write(json.dumps(_as_json(explanation), indent=2))
    else:
        from scanguard.render.chain import chain_document

        show(chain_document(explanation))


def _load(context: CliContext) -> Loaded:
    from scanguard.settings.load import load_settings

    return load_settings(context.config_paths, context.environ)


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r}: write KEY=VALUE", param_hint="--tag")
    return name, value


def _as_json(explanation: ChainExplanation) -> dict[str, object]:
    return {
        "schema_version": 1,
        "chain": explanation.chain,
        "why": list(explanation.why),
        "values": [{"key": v.key, "value": v.value, "origin": v.origin} for v in explanation.values],
    }
