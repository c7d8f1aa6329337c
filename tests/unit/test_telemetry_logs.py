"""Log lines: correlated, one line each whatever they hold, and never with a secret."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanguard.telemetry.correlation import correlating, correlation_id
from scanguard.telemetry.logs import CHATTY, configure_logs, log_handler
from scanguard.telemetry.records import MAX_EXTRAS, MAX_MESSAGE, MAX_TRACEBACK
from scanguard.telemetry.redact import LONGEST_READ, redact
from scanguard.telemetry.secrets import MIN_LENGTH, ResolvedSecrets, conceal

CANARY = 'C4n/ry+"\\ <0123>&é=='
log = logging.getLogger("scanguard.plugin.acme-test")


@contextmanager
def logged(form: str = "json") -> Iterator[list[str]]:
    """What a handler of ours writes, line by line, once the block is left."""
    lines: list[str] = []
    stream = io.StringIO()
    handler = log_handler(form, stream)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        lines.extend(stream.getvalue().split("\n")[:-1])


class Refused(Exception):
    pass


def one(lines: list[str]) -> dict[str, Any]:
    assert len(lines) == 1, lines
    found: dict[str, Any] = json.loads(lines[0])
    return found


def test_a_json_line_says_when_where_what_and_for_which_work() -> None:
    with logged() as lines, correlating("4b5e57f6"):
        log.warning("could not read %s", "web:1", extra={"attempt": 2, "registry": "r.example", "is_last": False})
    found = one(lines)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found.pop("time"))
    assert found == {
        "level": "warning",
        "logger": "scanguard.plugin.acme-test",
        "message": "could not read web:1",
        "correlation_id": "4b5e57f6",
        "attempt": 2,
        "is_last": False,
        "registry": "r.example",
    }


def test_a_text_line_is_one_line_of_pairs_with_its_correlation_id() -> None:
    with logged("text") as lines, correlating("4b5e57f6"):
        log.warning('a "quoted"\nline\x1b[31m')
    assert len(lines) == 1
    assert "level=warning logger=scanguard.plugin.acme-test" in lines[0]
    assert r'msg="a \"quoted\" line\\x1b[31m"' in lines[0]
    assert lines[0].endswith("correlation_id=4b5e57f6")


async def test_each_piece_of_work_logs_under_its_own_id_even_from_threads_and_tasks_it_starts() -> None:
    async def work(id: str) -> None:
        with correlating(id):
            await asyncio.sleep(0)
            await asyncio.to_thread(log.info, id)
            await asyncio.create_task(asyncio.to_thread(log.info, id))

    with logged() as lines:
        await asyncio.gather(work("a"), work("b"))
        log.info("")
    found = [json.loads(line) for line in lines]
    assert sorted(one["correlation_id"] for one in found[:-1]) == ["a", "a", "b", "b"]
    assert all(one["correlation_id"] == one["message"] for one in found[:-1])
    assert "correlation_id" not in found[-1]
    assert correlation_id() == ""


def test_a_record_that_names_its_work_itself_keeps_that_name() -> None:
    with logged() as lines, correlating("outer"):
        log.info("x", extra={"correlation_id": "its own"})
    assert one(lines)["correlation_id"] == "its own"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "break_",
    ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "\x00", "\ud800"],
    ids=ascii,
)
def test_no_break_in_a_message_a_field_or_an_exception_starts_a_line_of_its_own(form: str, break_: str) -> None:
    forged = f'ok{break_}{{"level": "info", "message": "forged"}}'
    with logged(form) as lines:
        try:
            raise Refused(forged)
        except Refused:
            log.exception("%s", forged, extra={"field": forged, f"key{break_}x": 1})
    assert len(lines) == 1
    assert len(lines[0].splitlines()) == 1
    assert lines[0].isprintable()


def test_an_exception_has_its_type_and_a_traceback_of_bounded_size() -> None:
    with logged() as lines:
        try:
            raise Refused("first, " + "many words, " * 9_000 + "last") from ValueError("the cause")
        except Refused:
            log.exception("gave up")
    found = one(lines)
    assert found["exception.type"] == f"{Refused.__module__}.Refused"
    assert found["exception.stacktrace"].startswith("ValueError: the cause")
    assert "test_telemetry_logs.py" in found["exception.stacktrace"]
    assert len(found["exception.stacktrace"]) < MAX_TRACEBACK + 200


def test_a_huge_message_and_many_fields_are_cut() -> None:
    with logged() as lines:
        log.info("many words, " * 100_000, extra={f"field{number}": "other words, " * 9_000 for number in range(1_000)})
    found = one(lines)
    assert len(found["message"]) == MAX_MESSAGE
    assert len(found) == MAX_EXTRAS + 4
    assert max(map(len, map(str, found.values()))) == MAX_MESSAGE


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        pytest.param(("%d", "no number"), {}, id="arguments that do not fit"),
        pytest.param(("%s %s", 1), {}, id="too few arguments"),
        pytest.param(("%s", Hostile()), {}, id="an argument without text"),
        pytest.param(("x",), {"field": Hostile()}, id="a field without text"),
        pytest.param(("x",), {"field": float("nan"), "other": float("inf")}, id="numbers JSON does not know"),
        pytest.param(("x",), {"time": "forged", "level": "forged", "logger": "forged"}, id="fields of our own names"),
    ],
)
def test_whatever_a_plugin_logs_is_one_readable_line(arguments: tuple[Any, ...], extra: dict[str, Any]) -> None:
    with logged() as lines:
        log.error(*arguments, extra=extra)
    found = one(lines)
    assert "forged" not in (found["time"], found["level"], found["logger"])
    assert found["level"] == "error"


# --- secrets ----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True, scope="module")
def _resolved() -> None:
    conceal(CANARY)


FORMS = [
    pytest.param(CANARY, id="plain"),
    pytest.param(quote(CANARY), id="URL path"),
    pytest.param(quote(CANARY, safe=""), id="URL"),
    pytest.param(re.sub("%..", lambda match: match[0].lower(), quote(CANARY, safe="")), id="URL, lower case"),
    pytest.param(quote_plus(CANARY), id="form"),
    pytest.param(quote(quote(CANARY, safe=""), safe=""), id="URL in a URL"),
    pytest.param(urlencode({"q": f"before {CANARY} after"}), id="URL query"),
    pytest.param(json.dumps({"value": CANARY}), id="JSON"),
    pytest.param(json.dumps(json.dumps([CANARY])), id="JSON in JSON"),
    pytest.param(json.dumps(CANARY, ensure_ascii=False), id="JSON, not ASCII"),
    pytest.param(repr({"value": CANARY}), id="repr"),
    pytest.param(ascii([CANARY]), id="ascii"),
    pytest.param("&quot;".join(["x", CANARY.replace("&", "&amp;").replace('"', "&quot;")]), id="HTML"),
    *(
        pytest.param(encode(("u" * lead + ":" + CANARY + ":tail").encode()).decode(), id=f"{name} after {lead + 1}")
        for lead in range(3)
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode))
    ),
    pytest.param(quote(base64.b64encode(CANARY.encode()).decode(), safe=""), id="base64 in a URL"),
    pytest.param(CANARY.encode().hex(), id="hex"),
]


def holds_the_canary(text: str) -> bool:
    """Whether somebody could read eight characters of the secret, plain or decoded."""
    encoded = quote(CANARY, safe="")
    known = [CANARY, encoded, quote(encoded, safe=""), CANARY.encode().hex(), repr(CANARY)[1:-1], ascii(CANARY)[1:-1]]
    known += [
        base64.b64encode(b"\0" * lead + CANARY.encode()).decode()[4:-4].translate(table)
        for lead in range(3)
        for table in ({}, str.maketrans("+/", "-_"))
    ]
    parts = {one[start : start + 8] for one in known for start in range(len(one) - 7)}
    return any(part in text or part.lower() in text for part in parts)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["message", "argument", "exception", "cause", "field", "key", "logger", "stack"])
def test_a_resolved_secret_shows_nowhere_in_no_form(how: str, form: str) -> None:
    assert holds_the_canary(form)
    for style in ("json", "text"):
        with logged(style) as lines:
            logs_it(how, form)
        assert lines
        assert not holds_the_canary("\n".join(lines))
        assert "***" in "\n".join(lines)


def logs_it(how: str, text: str) -> None:
    match how:
        case "message":
            log.warning(text)
        case "argument":
            log.warning("asked with %s: %r", {"value": text}, text)
        case "exception":
            try:
                raise Refused(f"refused: {text}")
            except Refused:
                log.exception("failed")
        case "cause":
            log.error("failed", exc_info=caused(text))
        case "field":
            log.warning("failed", extra={"header": text, "nested": [{"deep": text}]})
        case "key":
            log.warning("failed", extra={text: 1})
        case "logger":
            child = log.getChild(text.replace(".", "_"))
            child.warning("failed")
        case "stack":
            log.handle(log.makeRecord("x", logging.INFO, "", 1, "failed", (), None, sinfo=f"Stack:\n  {text}"))


def caused(text: str) -> Exception:
    try:
        try:
            raise ValueError(text)
        except ValueError as cause:
            raise Refused("no") from cause
    except Refused as exc:
        return exc


def test_a_secret_at_the_edge_of_what_is_read_is_not_shown_by_half() -> None:
    for shift in range(-len(CANARY), 3):
        with logged() as lines:
            log.warning(("many words, " * LONGEST_READ)[: LONGEST_READ + shift] + CANARY)
            # so much is hidden before it that the rest of the text comes into view
            log.warning((CANARY + " ") * 1_600 + "y" * shift + CANARY)
        assert not any(holds_the_canary(line) for line in lines)


def test_each_line_of_a_key_file_is_hidden_and_its_frame_is_not() -> None:
    secrets = ResolvedSecrets()
    secrets.add("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n")
    assert secrets.hide("-----BEGIN PRIVATE KEY-----, kqhkiG9w0BAQEF!") == "-----BEGIN PRIVATE KEY-----, ***!"


def test_a_long_value_is_hidden_piece_by_piece() -> None:
    secrets = ResolvedSecrets()
    value = "".join(f"{number:05}" for number in range(1_000))
    secrets.add(value)
    assert secrets.hide(f"a {value} b").replace("*", "") == "a  b"


def test_a_value_that_holds_another_is_hidden_whole() -> None:
    secrets = ResolvedSecrets()
    secrets.add("hunter2")
    secrets.add("hunter2-and-more")
    assert secrets.hide("x hunter2-and-more y hunter2") == "x *** y ***"


def test_a_value_too_short_to_be_a_secret_hides_no_word() -> None:
    secrets = ResolvedSecrets()
    secrets.add("x" * (MIN_LENGTH - 1))
    assert secrets.hide("xxx and xxxx") == "xxx and xxxx"


def test_a_process_that_resolves_without_end_keeps_the_newest() -> None:
    secrets = ResolvedSecrets()
    for number in range(1_100):
        secrets.add(f"value-{number:05}")
    assert secrets.hide("value-00000 value-01099") == "value-00000 ***"


@given(st.text(min_size=MIN_LENGTH).filter(lambda text: len(text.strip()) >= MIN_LENGTH), st.text(), st.text())
def test_any_value_is_hidden_wherever_it_stands(value: str, before: str, after: str) -> None:
    secrets = ResolvedSecrets()
    secrets.add(value)
    lines = [line.strip() for line in value.splitlines() if len(line.strip()) >= MIN_LENGTH]
    for line in (line for line in lines if not line.startswith("-----")):
        for text in (f"{before}{line}{after}", json.dumps(line)[1:-1], quote(line, safe="", errors="surrogatepass")):
            assert "***" in secrets.hide(text)
            assert line not in secrets.hide(text).replace("***", "\0")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        pytest.param("Authorization: Bearer abcdef123456", "abcdef123456", id="bearer"),
        pytest.param("Authorization: Digest username=u, response=abcdef", "abcdef", id="a whole header"),
        pytest.param("[(b'Authorization', b'Basic dXNlcjpodW50ZXIy')]", "dXNlcjpodW50ZXIy", id="raw headers"),
        pytest.param("{'authorization': 'opaque1', 'a': 'kept'}", "opaque1", id="a mapping of headers"),
        pytest.param('{"X-Functions-Key": "opaque2"}', "opaque2", id="a key's header"),
        pytest.param("Set-Cookie: session=opaque3; Secure", "opaque3", id="a cookie"),
        pytest.param("token is bearer abcdefghijklmnopqrst", "abcdefghijklmnopqrst", id="a bearer in a sentence"),
        pytest.param("GET https://user:hunter2@r.example/v2/", "hunter2", id="user info"),
        pytest.param("GET https://user:hun@ter2@r.example/v2/", "ter2", id="user info with an at sign"),
        pytest.param("https://h.example/hook?sig=SECRETSIG&x=1", "SECRETSIG", id="a signature"),
        pytest.param("https://f.example/api/events?code=Kq81&x=1", "Kq81", id="a function's key"),
        pytest.param("code=abcdefghijklmnop0123456789==", "abcdefghijklmnop", id="a function's key alone"),
        pytest.param('{"routing_key": "R0123", "event_action": "trigger"}', "R0123", id="a routing key"),
        pytest.param("routing_key=R0123", "R0123", id="a routing key as a pair"),
        pytest.param("password=hunter2 x", "hunter2", id="a password"),
        pytest.param("password='hunter two' x", "hunter two", id="a quoted password"),
        pytest.param("DefaultEndpointsProtocol=https;AccountKey=abc/def==;X=y", "abc/def", id="a connection string"),
        pytest.param("got eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl back", "eyJzdWIiOiIx", id="a JWT"),
        pytest.param("refresh_token: abcdef", "abcdef", id="a token by name"),
    ],
)
def test_what_looks_like_a_credential_is_hidden_though_nobody_resolved_it(text: str, gone: str) -> None:
    with logged() as lines:
        log.warning("failed: %s", text)
    assert gone not in lines[0]
    assert "***" in lines[0]
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "exit code=1, status_code=200",
        "sha256:8441edda2be6 has the digest sha256:8441edda2be6a3d6f0c4",
        "basic authentication failed for r.example",
        "https://r.example/v2/library/web/manifests/1.4@sha256",
        "3 tokens: none fits; see design: section 2",
        "env:QUALYS_USER cannot be read",
    ],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    ["eyJ" * 30_000, "eyJ-" * 20_000, "://" * 30_000, "password" * 10_000, "a" * 90_000, "authorization'," * 6_000,
     "bearer " * 10_000, "%25" * 30_000, "\\" * 90_000],
    ids=lambda text: text[:12],
)  # fmt: skip
@pytest.mark.timeout(5)
def test_no_text_makes_redaction_slow(text: str) -> None:
    redact(text)


def test_libraries_that_log_addresses_and_headers_are_kept_quiet() -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:], {name: logging.getLogger(name).level for name in CHATTY})
    try:
        configure_logs("debug", "json")
        for name in ("httpx", "httpcore.http11", "azure.core.pipeline", "urllib3.connectionpool", "asyncio"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)
        assert logging.getLogger("scanguard.anything").isEnabledFor(logging.DEBUG)
    finally:
        root.handlers[:] = before[1]
        root.setLevel(before[0])
        for name, level in before[2].items():
            logging.getLogger(name).setLevel(level)
        logging.raiseExceptions = True
