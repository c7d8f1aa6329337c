"""Every vector of distribution/reference, and what its tables leave out."""

from __future__ import annotations

import json
import pickle
import timeit
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from scanguard.errors import InvalidReferenceError
from scanguard.model import reference as grammar
from scanguard.model.reference import REFERENCE_PATTERN, ImageReference, split_reference

CASES: dict[str, list[Any]] = json.loads((Path(__file__).parent / "data/image-references.json").read_bytes())["cases"]
PARTS = {
    "ErrNameEmpty": {"empty"},
    "ErrReferenceInvalidFormat": {"name", "tag", "digest", "registry"},
    "ErrDigestInvalidLength": {"digest"},
    "ErrDigestUnsupported": {"digest"},
    "ErrNameContainsUppercase": {"name"},
    "ErrNameTooLong": {"length"},
}
SHA = "sha256:" + "a" * 64


def vectors(group: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=str(case)[:80]) for case in CASES[group]])


@vectors("parse")
def test_the_grammar_splits_and_refuses_as_the_reference_implementation_does(case: dict[str, Any]) -> None:
    if case["error"] and "implementation that supports sha512" not in case.get("note", ""):
        with pytest.raises(InvalidReferenceError) as caught:
            split_reference(case["input"])
        assert caught.value.part in PARTS[case["error"]]
        return
    parts = split_reference(case["input"])
    if not case["error"]:
        assert (parts.name, parts.domain, parts.tag, parts.digest) == tuple(
            case[key] for key in ("name", "domain", "tag", "digest")
        )


@vectors("serialization")
def test_serialised_references_parse(case: dict[str, Any]) -> None:
    if case["error"]:
        with pytest.raises(InvalidReferenceError):
            split_reference(case["input"])
    else:
        parts = split_reference(case["input"])
        assert (parts.name, parts.tag, parts.digest) == (case["name"], case["tag"], case["digest"])


@vectors("with_name_failure")
def test_what_is_no_plain_name_is_refused_or_has_more_parts(case: dict[str, Any]) -> None:
    try:
        parts = split_reference(case["input"])
    except InvalidReferenceError:
        return
    assert parts.name != case["input"]


@vectors("domain_and_path")
def test_domain_and_path_are_told_apart(case: dict[str, Any]) -> None:
    parts = split_reference(case["input"])
    assert (parts.domain, parts.path) == (case["domain"], case["path"])


@vectors("parse_named_canonical")
def test_only_canonical_names_parse_unchanged(case: dict[str, Any]) -> None:
    try:
        parsed = ImageReference.parse(case["input"])
    except InvalidReferenceError:
        assert case["error"]
        return
    if case["error"]:
        assert parsed.name != case["input"]
    else:
        assert (parsed.registry, parsed.repository) == (case["domain"], case["path"])


@vectors("with_tag")
def test_a_tag_is_added_where_it_belongs(case: dict[str, Any]) -> None:
    parts = split_reference(case["combined"].partition("@")[0])
    assert (parts.name, parts.tag) == (case["name"], case["tag"])


@vectors("with_digest")
def test_a_digest_is_the_last_part(case: dict[str, Any]) -> None:
    # The table's digests are too short for sha256, which the grammar alone does not see.
    found = REFERENCE_PATTERN.fullmatch(case["combined"])
    assert found is not None
    assert found.groups(default="") == (case["name"], case["tag"], case["digest"])


@pytest.mark.parametrize("name", CASES["normalized_valid_names"] + CASES["normalized_valid_remote_names"])
def test_valid_names_normalise_and_come_back_from_their_familiar_form(name: str) -> None:
    parsed = ImageReference.parse(name)
    assert ImageReference.parse(str(parsed)) == parsed
    if len(name) < 64:
        assert ImageReference.parse(parsed.familiar) == parsed


@pytest.mark.parametrize("name", CASES["normalized_invalid_names"] + CASES["normalized_invalid_remote_names"])
def test_invalid_names_are_refused_with_the_text_as_it_was_written(name: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        ImageReference.parse(name)
    assert name[:60] in caught.value.message


@vectors("invalid_components")
def test_invalid_components_are_refused(case: dict[str, Any]) -> None:
    text = {
        "parse_normalized": case.get("input", ""),
        "with_tag": f"{case.get('name')}:{case.get('tag')}",
        "with_digest": f"{case.get('name')}@{case.get('digest')}",
    }[case["op"]]
    with pytest.raises(InvalidReferenceError):
        ImageReference.parse(text)


@vectors("normalized_split_hostname")
def test_the_registry_is_found_by_dockers_rule(case: dict[str, Any]) -> None:
    parsed = ImageReference.parse(case["input"])
    assert (parsed.registry, parsed.repository) == (case["domain"], case["path"])


@vectors("familiar_match")
def test_patterns_match_the_familiar_form(case: dict[str, Any]) -> None:
    assert ImageReference.parse(case["reference"]).matches(case["pattern"]) is case["expected"]


@vectors("familiar_match_bad_pattern")
def test_a_broken_pattern_is_an_error(case: str) -> None:
    with pytest.raises(ValueError, match="no pattern"):
        ImageReference.parse("foo").matches(case)


@vectors("regexp_domain")
def test_domains(case: dict[str, Any]) -> None:
    assert (grammar._DOMAIN_PATTERN.fullmatch(case["input"]) is not None) is case["match"]


@vectors("regexp_identifier")
def test_image_ids(case: dict[str, Any]) -> None:
    assert (grammar._IMAGE_ID.fullmatch(case["input"]) is not None) is case["match"]


def test_every_group_of_vectors_is_used() -> None:
    source = Path(__file__).read_text()
    assert [group for group in CASES if f'"{group}"' not in source] == []


@pytest.mark.parametrize(
    ("text", "normal", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        (" nginx:1 ", "docker.io/library/nginx:1", "nginx:1"),
        ("ubuntu:22.04", "docker.io/library/ubuntu:22.04", "ubuntu:22.04"),
        ("index.docker.io/acme/api:1", "docker.io/acme/api:1", "acme/api:1"),
        ("docker.io/library/foo/bar", "docker.io/library/foo/bar:latest", "library/foo/bar:latest"),
        ("localhost/api", "localhost/api:latest", "localhost/api:latest"),
        ("myhost:5000/a/b", "myhost:5000/a/b:latest", "myhost:5000/a/b:latest"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        (f"acme.azurecr.io/shop/api:1.4@{SHA}", f"acme.azurecr.io/shop/api:1.4@{SHA}", None),
        (f"repo@{SHA}", f"docker.io/library/repo@{SHA}", f"repo@{SHA}"),
        ("repo@sha384:" + "b" * 96, "docker.io/library/repo@sha384:" + "b" * 96, "repo@sha384:" + "b" * 96),
        ("repo@sha512:" + "c" * 128, "docker.io/library/repo@sha512:" + "c" * 128, "repo@sha512:" + "c" * 128),
    ],
)
def test_what_people_write_is_normalised(text: str, normal: str, familiar: str | None) -> None:
    parsed = ImageReference.parse(text)
    assert str(parsed) == normal
    assert parsed.familiar == (familiar or normal)


@pytest.mark.parametrize(
    ("text", "part", "says"),
    [
        ("", "empty", "it is empty"),
        ("   ", "empty", "it is empty"),
        ("https://acme.azurecr.io/a", "scheme", "leave out the scheme"),
        ("acme.azurecr.io/", "name", "repository"),
        ("acme.azurecr.io/a:", "tag", "'' is no tag"),
        ("acme.azurecr.io/a:-x", "tag", "'-x' is no tag"),
        ("acme.azurecr.io/a:" + "t" * 129, "tag", "up to 128"),
        ("acme.azurecr.io/A:1", "name", "lower case"),
        ("acme.azurecr.io/a@sha256:abc", "digest", "64 hex digits"),
        ("a@md5:" + "a" * 32, "digest", "none of sha256, sha384, sha512"),
        ("a@sha256:" + "A" * 64, "digest", "lower case"),
        ("a@sha512:" + "a" * 64, "digest", "128 hex digits"),
        ("a.b..c/d", "registry", "no host name"),
        ("[fe80::1]", "name", "add /repository"),
        ("a/" * 600, "length", "more than 1024"),
        ("nginx\x1b[31m", "name", "\\x1b"),
        ("nginx:1\n2", "tag", "\\n"),
        ("--help", "name", "lower-case letters"),
    ],
)
def test_a_refusal_names_the_part_and_says_what_would_be_right(text: str, part: str, says: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        ImageReference.parse(text)
    assert caught.value.part == part
    assert says in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


@given(st.text(max_size=200) | st.from_regex(REFERENCE_PATTERN, fullmatch=True))
@example("a" * 64 + ":x")
@example("docker.io/" + "a" * 250)
def test_any_text_is_a_reference_that_round_trips_or_a_refusal(text: str) -> None:
    try:
        parsed = ImageReference.parse(text)
    except InvalidReferenceError as exc:
        refusal = exc.message
        assert refusal.isprintable()
        return
    assert ImageReference.parse(str(parsed)) == parsed
    assert parsed.registry
    assert parsed.tag or parsed.digest


def test_a_reference_is_a_value() -> None:
    one, same = ImageReference.parse("nginx"), ImageReference.parse("docker.io/library/nginx:latest")
    assert {one: 1}[same] == 1
    assert one != ImageReference.parse("nginx:1")
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301  # our own bytes
    assert str(one.with_digest(SHA)) == f"docker.io/library/nginx@{SHA}"
    with pytest.raises(AttributeError, match="does not change"):
        one.tag = "2"
    with pytest.raises(InvalidReferenceError):
        one.with_digest("sha256:1")


def test_keys_that_look_alike_never_meet() -> None:
    assert ImageReference.parse("acr.io/foo/bar:1") != ImageReference.parse("acr.io/foo_bar:1")


class Holder(BaseModel):
    image: ImageReference


def test_a_model_holds_a_reference_as_text() -> None:
    held = Holder.model_validate({"image": "nginx"})
    assert held.model_dump(mode="json") == {"image": "docker.io/library/nginx:latest"}
    assert Holder.model_validate_json(held.model_dump_json()) == held
    assert Holder.model_json_schema()["properties"]["image"]["type"] == "string"
    with pytest.raises(ValueError, match="lower case"):
        Holder.model_validate({"image": "a/B"})


def _best(call: Any, number: int = 30) -> float:
    return min(timeit.repeat(call, number=number, repeat=7))


def test_parsing_costs_at_most_four_times_the_bare_regular_expression() -> None:
    names = CASES["normalized_valid_names"] + CASES["normalized_valid_remote_names"]
    texts = names + [f"{name}:1.2@{SHA}" for name in names if "/" in name]
    match = REFERENCE_PATTERN.fullmatch
    ratios = []
    for _ in range(5):
        bare = _best(lambda: [match(text) for text in texts])
        ratios.append(_best(lambda: [ImageReference.parse(text) for text in texts]) / bare)
    assert min(ratios) <= 4


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(lambda n: "a-" * n, id="dashes"),
        pytest.param(lambda n: "a." * n, id="dots"),
        pytest.param(lambda n: "a__" * n + "!", id="underscores"),
        pytest.param(lambda n: "A." * n + "/b", id="labels"),
        pytest.param(lambda n: "a/" * n, id="slashes"),
        pytest.param(lambda n: "a" + "-" * n + "a" * n + "!", id="long dash run"),
        pytest.param(lambda n: "x@" + "a+" * n, id="digest algorithm"),
    ],
)
def test_the_grammar_is_linear_on_hostile_text(hostile: Any) -> None:
    small, large = hostile(2_000), hostile(20_000)
    once = _best(lambda: REFERENCE_PATTERN.fullmatch(small), 3)
    assert _best(lambda: REFERENCE_PATTERN.fullmatch(large), 3) < once * 10 * 4


def test_a_huge_text_is_refused_at_once() -> None:
    with pytest.raises(InvalidReferenceError, match="more than 1024"):
        ImageReference.parse("a" * 10_000_000)
