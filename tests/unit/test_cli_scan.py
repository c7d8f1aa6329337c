from __future__ import annotations

import json
from datetime import timedelta

import pytest

from scanguard.app import Progress
from scanguard.cli.exit_codes import ExitCode, code_of, worst_code
from scanguard.errors import ConfigError, RegistryUnavailableError
from scanguard.model.verdict import Outcome, Verdict
from scanguard.testing.commands import FakeApplication, invoke
from scanguard.testing.samples import (
    NOW,
    sample_image_verdict,
    sample_report,
    sample_scanner,
    sample_verdict,
)

REPORT = sample_report()
IMAGE = sample_image_verdict(REPORT, Outcome.FAIL)
MERGED = {str(IMAGE.merged): REPORT}


def judged(outcome: Outcome, name: str = "web") -> Verdict:
    return sample_verdict(outcome, name=name, kind="image", images=[sample_image_verdict(REPORT, outcome)])


def test_a_scan_shows_findings_gaps_and_the_verdict_on_standard_output() -> None:
    app = FakeApplication([judged(Outcome.FAIL)], MERGED)
    result = invoke(["scan", "shop.example/web:1.4"], app)
    assert result.exit_code == 10
    assert "CVE-2021-3711" in result.stdout
    assert "NOT LOOKED AT" in result.stdout
    assert "FAIL  threshold: 2 findings" in result.stdout
    assert result.stderr == ""
    assert app.images == [(("shop.example/web:1.4",), False)]
    assert app.worked == [((judged(Outcome.FAIL).id,), False)]
    assert not app.is_open


def test_every_option_reaches_the_application() -> None:
    app = FakeApplication([judged(Outcome.PASS)])
    arguments = ["--data-dir", "/nowhere", "scan", "--force", "--offline", "--scanner", "osv", "--scanner", "trivy",
                 "--platform", "linux/arm64/v8", "--insecure-registry", "localhost:5000", "x:1", "oci:dir"]  # fmt: skip
    assert invoke(arguments, app).exit_code == 0
    assert app.images == [(("x:1", "oci:dir"), True)]
    options = app.options
    assert options is not None
    assert options.offline
    assert options.scanners == ("osv", "trivy")
    assert str(options.platform) == "linux/arm64/v8"
    assert options.insecure_registries == ("localhost:5000",)
    assert str(options.data_dir) == "/nowhere"
    assert options.config is None


@pytest.mark.parametrize(
    ("outcomes", "dead", "code"),
    [
        pytest.param([Outcome.PASS], 0, 0, id="pass"),
        pytest.param([Outcome.WARN], 0, 0, id="warn"),
        pytest.param([Outcome.FAIL], 0, 10, id="fail"),
        pytest.param([Outcome.UNKNOWN], 0, 11, id="unknown"),
        pytest.param([Outcome.UNKNOWN, Outcome.FAIL], 0, 10, id="fail before unknown"),
        pytest.param([Outcome.PASS], 1, 11, id="a dead letter is unknown"),
        pytest.param([Outcome.FAIL, Outcome.PASS], 1, 10, id="fail before a dead letter"),
    ],
)
def test_the_exit_code_says_the_worst(outcomes: list[Outcome], dead: int, code: int) -> None:
    verdicts = [judged(outcome, f"deployment-{position}") for position, outcome in enumerate(outcomes)]
    app = FakeApplication(verdicts, MERGED, letters={f"dead-{number}": "gave up" for number in range(dead)})
    result = invoke(["scan", *(["x:1"] * (len(outcomes) + dead))], app)
    assert result.exit_code == code
    assert result.stderr.count("No verdict for dead-0: gave up") == dead


@pytest.mark.parametrize("first", list(ExitCode))
@pytest.mark.parametrize("second", list(ExitCode))
def test_of_two_codes_the_first_in_the_documented_order_wins(first: ExitCode, second: ExitCode) -> None:
    order = [130, 70, 2, 10, 11, 12, 0]
    assert worst_code([first, second]) == min(first, second, key=order.index)


def test_an_outcome_nobody_knows_is_unknown() -> None:
    assert code_of("splendid") is ExitCode.UNKNOWN


def test_an_assessment_that_is_not_finished_is_unknown_and_says_what_goes_on() -> None:
    class Unfinished(FakeApplication):
        @property
        def _ids(self) -> tuple[str, ...]:
            return ("later",)

    result = invoke(["scan", "x:1"], Unfinished())
    assert result.exit_code == 11
    assert "No verdict yet for later; `scanguard worker` goes on" in result.stderr


def test_several_images_end_in_a_summary() -> None:
    app = FakeApplication([judged(Outcome.FAIL, "one"), judged(Outcome.PASS, "two")], MERGED)
    lines = invoke(["scan", "x:1", "x:2"], app).stdout.splitlines()
    assert lines[-3].startswith("VERDICT")
    assert lines[-1].startswith("PASS")


def test_json_is_one_document_with_every_finding() -> None:
    app = FakeApplication([judged(Outcome.FAIL)], MERGED, letters={"dead": "gave up"})
    result = invoke(["scan", "--format", "json", "--limit", "1", "x:1", "y:1"], app)
    document = json.loads(result.stdout)
    assert set(document) == {"schema_version", "verdicts", "reports", "dead", "unfinished"}
    assert len(document["reports"][str(IMAGE.merged)]["findings"]) == 9
    assert document["dead"] == {"dead": "gave up"}


def test_limit_cuts_the_table_and_zero_shows_all() -> None:
    app = FakeApplication([judged(Outcome.FAIL)], MERGED)
    assert "8 more" in invoke(["scan", "--limit", "1", "x:1"], app).stdout
    assert "more, none" not in invoke(["scan", "--limit", "0", "x:1"], app).stdout


def test_a_reused_scan_is_said() -> None:
    scanner = sample_scanner(reused=True, scanned_at=NOW - timedelta(hours=2))
    image = sample_image_verdict(REPORT, Outcome.FAIL, scanners=(scanner,))
    result = invoke(["scan", "x:1"], FakeApplication([sample_verdict(images=[image])], MERGED))
    assert "reused: an earlier scan of this digest" in result.stdout
    assert "fresh for another 22 h; --force scans again" in result.stdout


def test_progress_is_a_line_per_step_on_standard_error_when_nobody_watches() -> None:
    steps = [
        Progress("a", "nginx:1", "", "resolving"),
        Progress("a", "nginx:1", "osv", "scanning", "layer 1 of 2"),
        Progress("a", "nginx:1", "osv", "scanning", "layer 2 of 2"),
        Progress("a", "evil\x1b[2J", "osv", "failed", "no\x07"),
    ]
    result = invoke(["scan", "x:1"], FakeApplication([judged(Outcome.PASS)], steps=steps))
    assert result.stderr.splitlines() == [
        "nginx:1: resolving",
        "nginx:1: scanning with osv (layer 1 of 2)",
        r"evil\x1b[2J: failed with osv (no\x07)",
    ]


def test_hostile_names_do_not_reach_the_terminal() -> None:
    image = sample_image_verdict(None, Outcome.UNKNOWN, name="x\x1b[2J:\u202e1", error="\x1b]0;owned\x07", image=None)
    verdict = sample_verdict(Outcome.UNKNOWN, images=[image])
    for form in ("table", "json"):
        result = invoke(["scan", "--format", form, "x:1"], FakeApplication([verdict]))
        assert not set("\x1b\x07\u202e") & set(result.output)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        pytest.param(ConfigError("scanguard.yaml cannot be used", problems=("line 3: chains.x: unknown key",)), 2,
                     "  line 3: chains.x: unknown key", id="configuration"),
        pytest.param(RegistryUnavailableError("r.example answered 503\x1b[0m", plugin="osv"), 70,
                     r"Error: r.example answered 503\x1b[0m (plugin osv)", id="registry"),
        pytest.param(ZeroDivisionError("secret detail"), 70, "Internal error: ZeroDivisionError.", id="unexpected"),
        pytest.param(KeyboardInterrupt(), 130, "`scanguard worker` goes on with it", id="ctrl-c"),
    ],
)  # fmt: skip
def test_errors_are_told_on_standard_error_with_their_code(error: BaseException, code: int, told: str) -> None:
    result = invoke(["scan", "x:1"], FakeApplication(raises=error, letters={"a": ""}))
    assert result.exit_code == code
    assert result.stdout == ""
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert "secret detail" not in result.stderr


def test_a_traceback_is_shown_only_when_debugging() -> None:
    app = FakeApplication(raises=ZeroDivisionError("boom\x1b[31m"), letters={"a": ""})
    result = invoke(["--log-level", "debug", "scan", "x:1"], app)
    assert result.exit_code == 70
    assert "Traceback" in result.stderr
    assert r"ZeroDivisionError: boom\x1b[31m" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["scan"], "Missing argument", id="no image"),
        pytest.param(["scan", "--platform", "linux", "x"], "os/architecture[/variant]", id="platform"),
        pytest.param(["scan", "--format", "xml", "x"], "xml", id="format"),
        pytest.param(["scan", "--limit", "-1", "x"], "-1", id="limit"),
        pytest.param(["scna", "x"], "Did you mean 'scan'?", id="command"),
        pytest.param(["--config", "/no/such/file", "scan", "x"], "/no/such/file", id="configuration file"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments: list[str], told: str) -> None:
    result = invoke(arguments, FakeApplication())
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""
