"""The loopback teacher itself: what the tests of spending and the demo stand on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from data_collection.sample.teacher_api import ApiFault, TeacherApi, serve_teacher

KEY = "sk-sample"


@pytest.fixture(scope="module")
def served() -> Iterator[TeacherApi]:
    """One teacher for all tests."""
    with serve_teacher(lambda packet, repeat: {"packet": packet, "repeat": repeat}) as running:
        yield running


@pytest.fixture
def api(served: TeacherApi) -> TeacherApi:
    """As if it had just started."""
    served.begin_anew(served.scores)
    return served


def body(packet: str = "packet", **more: object) -> dict[str, object]:
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "rubric " * 10}],
        "messages": [{"role": "user", "content": packet}],
        **more,
    }


def asked(
    api: TeacherApi, path: str, sent: object = None, key: str = KEY, **query: str
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    url = f"{api.url}/v1/{path}"
    if sent is None:
        return httpx.get(url, headers=headers, params=query)
    return httpx.post(url, headers=headers, json=sent)


def batch(*packets: str, **more: object) -> dict[str, object]:
    return {"requests": [{"custom_id": each, "params": body(each, **more)} for each in packets]}


def test_an_answer_is_the_callables_and_is_billed(api: TeacherApi) -> None:
    """With packet and repeat; the prompt is written into the cache once, then read.

    Guards a demo whose teacher says the same of everybody, and a bill that forgets the cache.
    """
    said = [asked(api, "messages", body()).json() for _ in range(2)]
    assert [json.loads(each["content"][0]["text"]) for each in said] == [
        {"packet": "packet", "repeat": 0},
        {"packet": "packet", "repeat": 1},
    ]
    first, second = (bill.usage for bill in api.bills)
    assert first.cache_write_1h_tokens == second.cache_read_tokens > 0
    assert second.cache_write_1h_tokens == 0
    assert said[0]["usage"]["output_tokens"] == first.output_tokens


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("messages", body(model="claude-gone"), 404),
        ("messages", body(temperature=0), 400),
        ("messages", {"model": "claude-haiku-5-5", "messages": []}, 400),
        ("messages/count_tokens", body(model="claude-gone"), 404),
        ("messages/batches", {"requests": []}, 400),
        ("messages/batches", batch("a", "a"), 400),
        ("messages/batches", batch("ä"), 400),
        ("messages/batches", batch("a", model="claude-gone"), 404),
        ("messages/batches/none", None, 404),
        ("models/claude-gone", None, 404),
    ],
)
def test_it_refuses_what_the_real_one_refuses(
    api: TeacherApi, path: str, sent: object, status: int
) -> None:
    """With the API's form of an error, unbilled; guards code that works on loopback only."""
    answer = asked(api, path, sent)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert not api.bills
    assert asked(api, path, sent, key="sk-wrong").status_code == 401


def test_a_batch_tells_nothing_before_it_has_ended(api: TeacherApi) -> None:
    """No counts, no results, and never its questions; then results in another order.

    Guards code that recognises its batch by what the real listing does not say.
    """
    api.polls_until_ended = 1
    made = asked(api, "messages/batches", batch("a", "b", "c")).json()
    path = f"messages/batches/{made['id']}"
    assert made["request_counts"]["processing"] == 3
    assert asked(api, f"{path}/results").status_code == 404
    assert asked(api, path).json()["results_url"] is None
    ended = asked(api, path).json()
    assert ended["processing_status"] == "ended"
    assert ended["request_counts"]["succeeded"] == 3
    assert "custom_id" not in asked(api, "messages/batches").text
    lines = asked(api, f"{path}/results").text.splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == ["c", "b", "a"]
    assert len(api.bills) == 3


def test_requests_of_a_batch_fail_one_by_one(api: TeacherApi) -> None:
    """Expired, failed and canceled ones are free; guards a bill of what nobody got."""
    api.outcomes.update({"a": ["expired"], "b": ["errored"], "c": ["canceled"], "d": ["refusal"]})
    made = asked(api, "messages/batches", batch("a", "b", "c", "d", "e")).json()
    lines = asked(api, f"messages/batches/{made['id']}/results").text.splitlines()
    types = {row["custom_id"]: row["result"]["type"] for row in map(json.loads, lines)}
    assert types == {
        "a": "expired",
        "b": "errored",
        "c": "canceled",
        "d": "succeeded",
        "e": "succeeded",
    }
    assert {bill.custom_id for bill in api.bills} == {"d", "e"}


def test_the_listing_is_cut_into_pages(api: TeacherApi) -> None:
    """The newest first, both ways; guards a search that ends with the first page."""
    for name in "abcde":
        asked(api, "messages/batches", batch(name))
    ids = [held.id for held in api.batches[::-1]]

    def listed(**query: str) -> tuple[list[str], bool]:
        page = asked(api, "messages/batches", **query).json()
        return [each["id"] for each in page["data"]], page["has_more"]

    assert listed() == (ids, False)
    assert listed(limit="2") == (ids[:2], True)
    assert listed(limit="2", after_id=ids[1]) == (ids[2:4], True)
    assert listed(limit="2", after_id=ids[3]) == (ids[4:], False)
    assert listed(limit="2", before_id=ids[3]) == (ids[1:3], False)


def test_a_fault_comes_once_and_may_come_after_the_deed(api: TeacherApi) -> None:
    """Status and header as told; torn in the middle; guards a fault that changes what is billed."""
    api.faults["POST /v1/messages"] += [
        ApiFault(429, retry_after="7"),
        ApiFault(500, accepted=True),
        ApiFault(torn=True),
        ApiFault(504, is_gateways=True),
    ]
    refused = asked(api, "messages", body())
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert not api.bills
    assert asked(api, "messages", body()).status_code == 500
    assert len(api.bills) == 1
    with pytest.raises(httpx.RemoteProtocolError):
        asked(api, "messages", body())
    assert len(api.bills) == 2
    assert asked(api, "messages", body()).headers["content-type"].startswith("text/html")
    assert asked(api, "messages", body()).status_code == 200


def test_models_are_listed(api: TeacherApi) -> None:
    """Guards a doctor that cannot tell a key that works."""
    listed = asked(api, "models").json()["data"]
    assert [model["id"] for model in listed] == list(api.models)
    assert asked(api, f"models/{api.models[0]}").json()["id"] == api.models[0]
