"""Every request that goes out is a span that says where it went and what came of it, and holds no secret."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from traced import collecting_spans, said

from scanguard import http
from scanguard.http import HttpFactory
from scanguard.telemetry.http_spans import HttpSpans
from scanguard.telemetry.traces import span
from scanguard.testing.answering import unreachable_url
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

SECRET = "T0ken-canary-9"


async def ok(_: ReceivedRequest) -> Answer:
    return Answer(200, b"{}")


async def test_a_request_is_a_span_below_what_made_it_and_tells_the_other_side_nothing() -> None:
    factory = HttpFactory(watch=HttpSpans("acme"))
    with collecting_spans() as spans:
        async with LoopbackServer(ok) as server, factory.client(base_url=server.url) as client:
            with span("outer"):
                await client.get("/v2/app/manifests/1?sig=" + SECRET, headers={"Authorization": f"Bearer {SECRET}"})
        (sent,) = server.requests
    (made,), (outer,) = spans.named("GET"), spans.named("outer")
    assert made.kind is SpanKind.CLIENT
    assert made.parent is not None
    assert outer.context is not None
    assert made.parent.span_id == outer.context.span_id
    assert dict(made.attributes or {}) == {
        "scanguard.component": "acme",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.full": f"{server.url}/v2/app/manifests/1",
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rpartition(":")[2]),
    }
    assert SECRET not in made.to_json()
    assert not {"traceparent", "tracestate", "baggage", "x-ms-request-id"} & set(sent.headers)


@pytest.mark.parametrize("path", ["/services/" + SECRET, "/" + SECRET + "?code=" + SECRET + "#" + SECRET])
async def test_of_a_service_whose_path_is_the_secret_only_the_server_is_shown(path: str) -> None:
    factory = HttpFactory().watched(HttpSpans("ops", shows_paths=False))
    with collecting_spans() as spans:
        async with LoopbackServer(ok) as server, factory.client() as client:
            await client.post(server.url.replace("://", f"://user:{SECRET}@") + path, json={})
    (made,) = spans.named("POST")
    assert said(made, "url.full") == server.url
    assert SECRET not in made.to_json()


async def test_a_request_that_is_sent_again_is_a_span_again() -> None:
    answers = [Answer(503), Answer(503), Answer(200)]

    async def flaky(_: ReceivedRequest) -> Answer:
        return answers.pop(0)

    factory = HttpFactory(watch=HttpSpans("acme"))
    with collecting_spans() as spans:
        async with LoopbackServer(flaky) as server, factory.client(base_url=server.url) as client:
            await client.get("/")
    made = spans.named("GET")
    assert [said(one, "http.request.resend_count") for one in made] == [None, 1, 2]
    assert [said(one, "http.response.status_code") for one in made] == [503, 503, 200]
    assert [said(one, "error.type") for one in made] == ["503", "503", None]
    assert [one.status.status_code for one in made] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]


async def test_a_server_that_is_not_there_is_a_failed_span_without_an_answer() -> None:
    factory = HttpFactory(watch=HttpSpans("acme"))
    with collecting_spans() as spans:
        async with factory.client(base_url=unreachable_url(), attempts=1) as client:
            with pytest.raises(http.TransportError):
                await client.get("/")
    (made,) = spans.named("GET")
    assert said(made, "error.type") == "ConnectError"
    assert said(made, "http.response.status_code") is None
    assert made.status.status_code is StatusCode.ERROR
    assert made.events == ()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://host/a", {"url.full": "https://host/a", "server.address": "host", "server.port": 443}),
        ("http://u:p@[::1]:81/a?b#c", {"url.full": "http://[::1]:81/a", "server.address": "::1", "server.port": 81}),
        ("http://host:99999/", {}),
        ("http://[::1/", {}),
    ],
)
def test_a_url_is_shown_without_user_query_and_fragment(url: str, place: Mapping[str, object]) -> None:
    with collecting_spans() as spans, HttpSpans().request("BREW", url, 0) as exchange:
        exchange.answered(418)
    (made,) = spans.named("HTTP")
    assert {**dict(made.attributes or {})} == {
        **place,
        "http.request.method": "_OTHER",
        "http.response.status_code": 418,
        "error.type": "418",
    }
