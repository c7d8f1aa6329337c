"""Builds the zip that is deployed to a function app: ``package_function.py --help``.

What is inside: the triggers, and below ``.python_packages`` every library for Linux and one version of Python, in the
versions of constraints.txt, our own built from this tree, all compiled: a function app is mounted read-only, and what
is not compiled there is compiled anew at every cold start.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from workspace import ROOT, Member, members

ADAPTER = ROOT / "adapters" / "azure_function"
SITE = Path(".python_packages", "lib", "site-packages")
VERSION = (3, 13)
"""What is deployed: the version of which Azure's own runtime is the one that the tests load."""
ALWAYS = "functions"
LEFT_OUT = ("bin", "scanguard/testing")
NOT_DEPLOYED = ("direct_url.json", "uv_cache.json", "REQUESTED", "INSTALLER")
"""Notes of installers: where a wheel lay on this machine."""
MOMENT = (1980, 1, 1, 0, 0, 0)
CHECK = """
import json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from scanguard.errors import ScanguardError
from scanguard.loader import load_plugins
plugins = load_plugins({})
found = {info.name: info.error for info in plugins.plugins}
for name in json.loads(sys.argv[2]):
    if name not in found:
        raise SystemExit(f"the entry point of the plugin {name!r} is not in the package")
    if found[name]:
        raise SystemExit(f"the plugin {name!r} cannot be loaded from the package: {found[name]}")
if sys.argv[3]:
    from scanguard_function.configuration import load_app
    from scanguard_function.index import Index, write_stamp
    folder, environ = Path(sys.argv[3]), json.loads(sys.argv[4])
    try:
        loaded = load_app(environ, folder)
    except ScanguardError as exc:
        problems = "; ".join(getattr(exc, "problems", ()))
        raise SystemExit(f"the configuration does not work with what is in the package: {exc} {problems}")
    write_stamp(folder, environ, Index.of(loaded.bound.settings))
"""


class PackageError(Exception):
    """The package cannot be built; the text says why."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Build it and say where it is."""
    asked = _parser().parse_args(arguments)
    python = asked.python or find_python()
    try:
        settings = read_settings(asked.settings) if asked.settings else {}
        target = build(asked.out, asked.extras.split(","), python, asked.config, settings)
    except PackageError as exc:
        raise SystemExit(f"error: {exc}") from None
    print(f"{target}  ({target.stat().st_size / 1e6:.1f} MB, Python {_version(python)})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extras", default="azure,azure-monitor,qualys", help="Extras of scanguard, comma-separated.")
    parser.add_argument("--config", type=Path, help="Goes into the package as scanguard.yaml, and is checked.")
    parser.add_argument(
        "--settings", type=Path, help="The app settings beside the configuration, NAME=VALUE a line: checked with it."
    )
    parser.add_argument("--python", help="Interpreter of the version to build for. Default: a Python 3.13.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "scanguard-function.zip")
    return parser


def find_python() -> str:
    """A Python of the deployed version; where there is none, the one that runs, and a warning."""
    wanted = ".".join(map(str, VERSION))
    for candidate in (sys.executable, f"python{wanted}", *_by_pyenv(wanted)):
        if _runs(candidate, wanted):
            return candidate
    print(
        f"warning: there is no Python {wanted} here (PYTHON= names one), so the package is for Python "
        f"{platform.python_version()}: good for tests, not what is deployed",
        file=sys.stderr,
    )
    return sys.executable


def _by_pyenv(version: str) -> Iterator[str]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True))


def _runs(python: str, version: str) -> bool:
    try:
        return _version(python).startswith(f"{version}.")
    except (OSError, subprocess.CalledProcessError):
        return False


def _version(python: str) -> str:
    code = "import platform; print(platform.python_version())"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def read_settings(file: Path) -> dict[str, str]:
    """App settings from a file."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, _, value in pairs}


def build(
    target: Path,
    extras: Sequence[str],
    python: str,
    config: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Path:
    """Build the zip.

    Errors:
        PackageError: an extra is unknown, something cannot be installed, or a plugin is missing in the result.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        app = work / "app"
        assemble(app, config)
        _install(app / SITE, extras, python, work / "wheels")
        check(app, extras, python, settings or {})
        _compile(app, python)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        _zip(app, partial)
        partial.replace(target)
    return target


def assemble(app: Path, config: Path | None) -> None:
    """The adapter's own files, and the configuration."""
    ignored = (ADAPTER / ".funcignore").read_text(encoding="utf-8").split()
    shutil.copytree(ADAPTER, app, ignore=shutil.ignore_patterns(".funcignore", *ignored))
    if config is not None:
        shutil.copy(config, app / "scanguard.yaml")


def _needed(extras: Sequence[str]) -> list[Member]:
    """The core and our own distributions that these extras ask for."""
    core, *plugins = members()
    known = core.pyproject["project"]["optional-dependencies"]
    for extra in extras:
        if extra not in known:
            raise PackageError(f"scanguard has no extra {extra!r}; there are {', '.join(sorted(known))}")
    asked = [requirement for extra in extras for requirement in known[extra]]
    return [core, *(one for one in plugins if any(Requirement(text).name == one.name for text in asked))]


def _install(site: Path, extras: Sequence[str], python: str, wheels: Path) -> None:
    ours = []
    for member in _needed(extras):
        _uv("build", "--wheel", "--python", sys.executable, "--out-dir", str(wheels), str(member.folder))
        (wheel,) = wheels.glob(f"{member.package}-*.whl")
        chosen = ",".join(sorted({*extras, ALWAYS}))
        ours.append(f"{wheel}[{chosen}]" if member.name == "scanguard" else str(wheel))
    version = ".".join(_version(python).split(".")[:2])
    for_linux = ["--python-platform", f"{platform.machine()}-manylinux_2_28", "--only-binary", ":all:"]
    constraints = str(ROOT / "constraints.txt")
    _uv(
        "pip", "install", "--python", python, "--python-version", version, *for_linux,
        "--target", str(site), "--constraint", constraints, "--no-config", "--link-mode", "copy", *ours,
    )  # fmt: skip
    for name in LEFT_OUT:
        shutil.rmtree(site / name, ignore_errors=True)
    for note in NOT_DEPLOYED:
        for file in site.glob(f"*.dist-info/{note}"):
            file.unlink()
    (site / ".lock").unlink(missing_ok=True)


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", *arguments, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_quiet())
    if done.returncode:
        raise PackageError(f"uv {arguments[0]} failed:\n{done.stderr[-3000:]}")


def _quiet() -> dict[str, str]:
    return {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}


def check(app: Path, extras: Sequence[str], python: str, settings: Mapping[str, str]) -> None:
    """Load every plugin, and the configuration if there is one, with nothing but what is in the package; stamp it."""
    projects = [member.pyproject["project"] for member in _needed(extras)[1:]]
    plugins = [name for project in projects for name in project["entry-points"]["scanguard"]]
    paths = json.dumps([str(app), str(app / SITE)])
    folder = str(app) if (app / "scanguard.yaml").exists() else ""
    command = [python, "-I", "-S", "-B", "-c", CHECK, paths, json.dumps(plugins), folder, json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(done.stderr.strip()[-3000:])


def _compile(app: Path, python: str) -> None:
    """Bytecode that is believed without a look at the source: nobody writes to a mounted package."""
    command = [python, "-m", "compileall", "-q", "-f", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, "-s", str(app), str(app)], check=False, capture_output=True)


def _zip(app: Path, target: Path) -> None:
    """The same tree gives the same bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in app.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(path.relative_to(app).as_posix(), MOMENT)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())


if __name__ == "__main__":
    main()
