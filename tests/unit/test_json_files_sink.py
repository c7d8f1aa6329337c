"""The JSON files: where they go, what is in them, what happens twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanguard.builtin.json_files import JsonFilesConfig, JsonFilesSink
from scanguard.errors import SinkError
from scanguard.hooks import Notice
from scanguard.model.merged import MergedReport
from scanguard.model.verdict import ImageVerdict, Outcome
from scanguard.render.safe_names import safe_key, safe_name
from scanguard.render.stored import StoredResult, results_of
from scanguard.testing.contexts import make_context
from scanguard.testing.samples import sample_image_verdict, sample_report, sample_verdict

KEY = "0123456789abcdef"


def sink(config_dir: Path, **config: object) -> JsonFilesSink:
    return JsonFilesSink(JsonFilesConfig.model_validate(config), make_context(config_dir))


def notice(*images: ImageVerdict, key: str = KEY) -> Notice:
    reports: dict[str, MergedReport] = {image.merged: sample_report() for image in images if image.merged}
    return Notice(key=key, verdict=sample_verdict(images=images), reports=reports)


def image(name: str = "shop.example/web:1.4") -> ImageVerdict:
    return sample_image_verdict(sample_report(), Outcome.FAIL, name=name)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_an_image_gets_a_folder_and_each_scan_a_file_named_by_its_time(tmp_path: Path) -> None:
    receipt = await sink(tmp_path).write(notice(image()))
    (name,) = files(tmp_path / "data/results")
    folder, _, file = name.partition("/")
    assert folder == safe_name("shop.example/web:1.4")
    assert folder.startswith("shop.example_web_1.4-")
    assert file == f"scan-20261123-115800-{KEY}.json"
    assert receipt.reference == name


async def test_the_file_holds_the_verdict_and_what_was_found_and_can_be_read_back(tmp_path: Path) -> None:
    sent = notice(image())
    await sink(tmp_path).write(sent)
    text = next((tmp_path / "data/results").rglob("*.json")).read_text()
    assert json.loads(text)["schema_version"] == 1
    stored = StoredResult.model_validate_json(text)
    assert (stored.image, stored.verdict, stored.report) == ("shop.example/web:1.4", sent.verdict, sample_report())


async def test_an_image_that_nobody_reported_on_goes_to_the_errors(tmp_path: Path) -> None:
    failed = sample_image_verdict(None, Outcome.UNKNOWN, image=None, error="no such tag")
    await sink(tmp_path).write(notice(image("a.example/b:1"), failed))
    errors = [name for name in files(tmp_path / "data/results") if name.startswith("errors/")]
    assert errors == [f"errors/{safe_name('shop.example/web:1.4')}-20261123-115800-{KEY}.json"]
    assert len(files(tmp_path / "data/results")) == 2


async def test_a_deployment_without_an_image_is_kept_too(tmp_path: Path) -> None:
    await sink(tmp_path).write(notice())
    (name,) = files(tmp_path / "data/results")
    assert name.startswith("errors/")


async def test_the_same_delivery_twice_is_one_file_and_another_is_another(tmp_path: Path) -> None:
    writer = sink(tmp_path)
    for key in (KEY, KEY, "another"):
        await writer.write(notice(image(), key=key))
    assert len(files(tmp_path / "data/results")) == 2


async def test_two_containers_of_one_image_share_a_file_that_has_the_report(tmp_path: Path) -> None:
    unreported = image().model_copy(update={"container": "init", "init": True, "merged": None})
    await sink(tmp_path).write(notice(unreported, image()))
    (name,) = files(tmp_path / "data/results")
    assert "/scan-" in name


async def test_a_relative_folder_starts_at_the_configuration_file(tmp_path: Path) -> None:
    await sink(tmp_path, folder="kept/here").write(notice(image()))
    assert len(files(tmp_path / "kept/here")) == 1


async def test_no_half_written_file_stays_behind(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    blocked = tmp_path / "results" / safe_name("shop.example/web:1.4")
    blocked.write_text("a file where the folder should be")
    with pytest.raises(SinkError) as caught:
        await sink(tmp_path, folder="results").write(notice(image()))
    assert str(blocked) in caught.value.message
    assert files(tmp_path / "results") == [blocked.name]


def test_images_that_a_sink_names_alike_are_one_result_that_has_the_report() -> None:
    unreported = image("nginx").model_copy(update={"merged": None})
    (result,) = results_of(notice(unreported, image("nginx:latest")), lambda name: f"{name.partition(':')[0]}:latest")
    assert (result.image, result.report) == ("nginx:latest", sample_report())


def test_a_name_may_carry_more_of_its_hash() -> None:
    short, long = safe_name("shop.example/web:1.4"), safe_name("shop.example/web:1.4", 32)
    assert long.startswith(short)
    assert len(long) == len(short) + 16


HOSTILE = [
    "../../etc/passwd", "/etc/passwd", "..", ".", "", "\x00", "a\nb", "CON", "con.example/x", "errors", "🐳",
    "x" * 5000, "\ud800", "C:\\windows", "-rf", ".tmp-x", "~root", "$(reboot)",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_a_hostile_name_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "results"
    path = folder / safe_name(name)
    assert path.parent == folder
    assert path.resolve().parent == folder.resolve()
    assert path.name != "errors"
    path.mkdir(parents=True)


@given(st.text(max_size=300), st.text(max_size=300))
def test_two_names_never_share_a_folder_even_where_case_does_not_count(one: str, other: str) -> None:
    assert (safe_name(one).lower() == safe_name(other).lower()) == (one == other)
    assert len(safe_name(one).encode()) <= 120


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("acr.io/foo/bar:1", "acr.io/foo_bar:1", id="slash-or-underscore"),
        pytest.param("acr.io/Foo", "acr.io/foo", id="case"),
        pytest.param("a" * 200 + "b", "a" * 200 + "c", id="beyond-the-length-shown"),
    ],
)
def test_names_that_look_alike_are_kept_apart(one: str, other: str) -> None:
    assert safe_name(one).lower() != safe_name(other).lower()


def test_a_key_that_is_no_plain_word_is_hashed() -> None:
    assert safe_key("ab-12") == "ab-12"
    assert safe_key("../x") != safe_key("../y")
    assert "/" not in safe_key("../x")


async def test_notices_of_a_burst_written_at_once_are_all_kept(tmp_path: Path) -> None:
    writer = sink(tmp_path)
    for number in range(20):
        await writer.write(replace(notice(image()), key=f"k{number}"))
    assert len(files(tmp_path / "data/results")) == 20
