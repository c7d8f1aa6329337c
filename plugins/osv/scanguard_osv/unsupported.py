"""Content that is recognised by its path and not looked into."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

_KINDS = {
    "RPM packages": r"(?:var|usr)/lib/(?:sysimage/)?rpm/(?:Packages(?:\.db)?|rpmdb\.sqlite)|var/lib/rpmmanifest/.+",
    "pacman packages": r"var/lib/pacman/local/.+/desc",
    "opkg packages": r"(?:usr/lib|var/lib)/opkg/(?:status|info/.+)",
    "Gentoo packages": r"var/db/pkg/.+/PF",
    "Nix store": r"nix/store/.+",
    "Ubuntu chisel slices": r"var/lib/chisel/manifest\.wall",
    "Snap packages": r"var/lib/snapd/snaps/.+\.snap",
    "Conda packages": r"(?:.*/)?conda-meta/[^/]+\.json",
    "npm packages": r"(?:.*/)?(?:node_modules/(?:@[^/]+/)?[^/]+/package\.json|(?:package-lock|npm-shrinkwrap)\.json)"
    r"|(?:.*/)?(?:yarn\.lock|pnpm-lock\.yaml)",
    "Java archives": r".+\.(?:jar|war|ear|par|jpi|hpi|nar)",
    "Ruby gems": r"(?:.*/)?(?:specifications/(?:default/)?[^/]+\.gemspec|Gemfile\.lock)",
    "PHP packages": r"(?:.*/)?(?:composer\.lock|vendor/composer/installed\.json)",
    ".NET packages": r".+\.(?:deps\.json|nupkg)|(?:.*/)?packages\.lock\.json",
    "Rust crates": r"(?:.*/)?Cargo\.lock",
    "Go modules": r"(?:.*/)?go\.(?:mod|sum)",
    "Elixir and Erlang packages": r"(?:.*/)?(?:mix\.lock|rebar\.lock)",
    "Dart packages": r"(?:.*/)?pubspec\.lock",
    "Swift packages": r"(?:.*/)?(?:Package\.resolved|Podfile\.lock)",
    "Haskell packages": r"(?:.*/)?(?:stack\.yaml\.lock|cabal\.project\.freeze)",
    "R packages": r"(?:.*/)?(?:R/(?:site-)?library/[^/]+/DESCRIPTION|renv\.lock)",
    "Julia packages": r"(?:.*/)?Manifest\.toml",
    "Lua rocks": r".+\.rockspec",
    "Homebrew packages": r"(?:.*/)?Cellar/[^/]+/[^/]+/INSTALL_RECEIPT\.json",
    "WordPress": r"(?:.*/)?wp-includes/version\.php",
    # The wheel that ensurepip carries is a seed that cannot be imported from; installed, it has metadata.
    "Python archives": r"(?!.*/ensurepip/_bundled/).+\.(?:whl|pex|pyz)",
}
_PATTERN = re.compile("|".join(f"(?P<k{number}>{pattern})" for number, pattern in enumerate(_KINDS.values())))
_NAMES = tuple(_KINDS)


def kind_of(path: str) -> str | None:
    """What a path shows to be there, when that is content this scanner cannot look into."""
    found = _PATTERN.fullmatch(path)
    return _NAMES[int((found.lastgroup or "k0")[1:])] if found else None


@dataclass(slots=True)
class Unsupported:
    """How often each kind was seen, and one path of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def see(self, path: str) -> None:
        """Note a path if it shows unsupported content."""
        kind = kind_of(path)
        if kind is not None:
            self.counts[kind] += 1
            self.examples.setdefault(kind, path)
