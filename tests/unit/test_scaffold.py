from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import scanguard
from scanguard.errors import PluginError, ScanguardError
from scanguard.scaffold.files import import_line, render_files, requirement_for
from scanguard.scaffold.folder import write_folder
from scanguard.scaffold.names import Kind, names_for
from scanguard.settings.load import parse_settings
from scanguard.settings.source import read_text

LONGEST = "a-" + "very-" * 12 + "x"
KINDS = [pytest.param(kind, id=str(kind)) for kind in Kind]


@pytest.mark.parametrize(
    ("kind", "name", "distribution", "package", "prefix"),
    [
        pytest.param(Kind.SCANNER, "acme", "scanguard-acme", "scanguard_acme", "Acme", id="scanner"),
        pytest.param(Kind.NOTIFIER, "acme", "scanguard-notify-acme", "scanguard_notify_acme", "Acme", id="notifier"),
        pytest.param(Kind.SINK, "acme", "scanguard-sink-acme", "scanguard_sink_acme", "Acme", id="sink"),
        pytest.param(Kind.POLICY, "acme", "scanguard-policy-acme", "scanguard_policy_acme", "Acme", id="policy"),
        pytest.param(Kind.SCANNER, "acme_2-eu", "scanguard-acme-2-eu", "scanguard_acme_2_eu", "Acme2Eu", id="words"),
        pytest.param(Kind.SCANNER, "a--b_", "scanguard-a-b", "scanguard_a_b", "AB", id="odd separators"),
    ],
)
def test_the_name_of_a_plugin_gives_every_other_name(
    kind: Kind, name: str, distribution: str, package: str, prefix: str
) -> None:
    names = names_for(kind, name)

    assert (names.plugin, names.distribution, names.package, names.prefix) == (name, distribution, package, prefix)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("Acme", id="capital"),
        pytest.param("1acme", id="digit first"),
        pytest.param("-acme", id="dash first"),
        pytest.param("ac me", id="space"),
        pytest.param("acme\n", id="line break"),
        pytest.param("../acme", id="path"),
        pytest.param("{{ 7 }}", id="template"),
        pytest.param("acmé", id="not ASCII"),
        pytest.param("a" * 64, id="too long"),
    ],
)
def test_what_is_no_name_of_a_plugin_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match="is no name for a plugin: a small letter first"):
        names_for(Kind.SCANNER, name)


@pytest.mark.parametrize("name", ["plugin", "scan", "image", "policy", "scanner"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_class_hides_one_of_scanguard(kind: Kind, name: str) -> None:
    texts = render_files(names_for(kind, name)).values()
    defined = {line.split("(")[0].split()[1].rstrip(":") for text in texts for line in text.splitlines()
               if line.startswith("class ")}  # fmt: skip

    assert defined
    assert not defined & set(scanguard.__all__)


@pytest.mark.parametrize(
    ("version", "requirement"),
    [
        pytest.param("0.1.0", "scanguard>=0.1,<0.2", id="before 1.0 a minor version may break it"),
        pytest.param("0.3.1.dev4", "scanguard>=0.3,<0.4", id="in development"),
        pytest.param("2.5.1", "scanguard>=2.5,<3", id="from 1.0 on a major version may"),
    ],
)
def test_a_plugin_asks_for_the_version_it_was_written_for(version: str, requirement: str) -> None:
    assert requirement_for(version) == requirement


def test_a_long_import_is_written_over_several_lines() -> None:
    assert import_line("a", "b", "c") == "from a import b, c"
    assert import_line("a" * 120, "b", "c") == f"from {'a' * 120} import (\n    b,\n    c,\n)"


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_in_the_order_they_are_read(kind: Kind) -> None:
    names = names_for(kind, "acme")
    modules = [Path(path).stem for path in render_files(names) if path.startswith(names.package)]
    expected = {
        Kind.SCANNER: ["plugin", "config", "client", "report", "mapping", "scanner"],
        Kind.SINK: ["plugin", "config", "record", "sink"],
        Kind.NOTIFIER: ["plugin", "config", "message", "notifier"],
        Kind.POLICY: ["plugin", "config", "rules", "policy"],
    }

    assert modules[2:] == expected[kind], "after __init__ and py.typed"


@pytest.mark.parametrize("kind", KINDS)
def test_the_project_offers_the_plugin_and_cannot_be_published_by_accident(kind: Kind) -> None:
    names = names_for(kind, "acme-eu")
    project = tomllib.loads(render_files(names)["pyproject.toml"])["project"]

    assert project["name"] == names.distribution
    assert project["entry-points"]["scanguard"] == {"acme-eu": f"{names.package}.plugin"}
    assert [Requirement(one).name for one in project["dependencies"]] == ["scanguard", "pydantic"]
    assert "Private :: Do Not Upload" in project["classifiers"]
    assert "license" not in project


@pytest.mark.parametrize("kind", KINDS)
def test_the_contract_test_is_about_ten_lines(kind: Kind) -> None:
    text = render_files(names_for(kind, "acme"))["tests/test_acme_contract.py"]

    assert len([line for line in text.splitlines() if line]) <= 15


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_shows_a_configuration_that_is_accepted(kind: Kind) -> None:
    readme = render_files(names_for(kind, "acme-eu"))["README.md"]
    shown = yaml.safe_load(readme.split("```yaml\n")[1].split("```")[0])
    settings = parse_settings(read_text(yaml.safe_dump({"version": 1, **shown}), "README.md"))

    assert "acme-eu" in yaml.safe_dump(shown)
    assert "default" in settings.chains


@pytest.mark.parametrize("name", [pytest.param("a", id="shortest"), pytest.param("acme", id="usual"),
                                  pytest.param(LONGEST, id="longest")])  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_linted_and_formatted(tmp_path: Path, kind: Kind, name: str) -> None:
    assert len(LONGEST) == 63
    write_folder(tmp_path / "new", render_files(names_for(kind, name)))

    for check in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache", "."]
        done = subprocess.run(command, cwd=tmp_path / "new", capture_output=True, text=True, check=False)  # noqa: S603  # our own command
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_is_written_whole(tmp_path: Path) -> None:
    write_folder(tmp_path / "new", {"a": "1", "b/c/d": "2 €\n"})

    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        "new/a", "new/b/c/d",
    }  # fmt: skip
    assert (tmp_path / "new/b/c/d").read_text(encoding="utf-8") == "2 €\n"


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_is_there_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    there = tmp_path / "new"
    if kind == "folder":
        there.mkdir()
    elif kind == "file":
        there.write_text("mine")
    else:
        there.symlink_to("nowhere")

    with pytest.raises(PluginError, match=r"is there already .* move it away, choose another name"):
        write_folder(there, {"a": "1"})

    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert not list(there.glob("*"))


def test_a_folder_that_cannot_be_finished_is_not_left_behind(tmp_path: Path) -> None:
    with pytest.raises(ScanguardError, match=r"cannot write .*new"):
        write_folder(tmp_path / "new", {"a": "1", "a/b": "a file cannot be a folder too"})

    assert not list(tmp_path.iterdir())


def test_the_scaffold_costs_nothing_until_it_is_used() -> None:
    code = (
        "import sys, scanguard.cli.root, scanguard.cli.plugin, scanguard.scaffold.files; "
        "print([m for m in ('jinja2', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own code

    assert done.stdout == "[]\n"
