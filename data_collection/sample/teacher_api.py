"""A loopback teacher: the Messages, Message Batches, token-count and Models API, and its faults.

What belongs here: HTTP as the real API speaks it, and a bill of what it did, so that a demo has a
teacher without a key, and a test can hold what was paid against what was asked. What does not:
which scores it gives, which a callable says, and what they cost (`teacher.prices`).
"""

from __future__ import annotations

import json
import math
import re
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from data_collection.teacher.prices import Usage

START_TIMEOUT_S = 20.0
CHARACTERS_PER_TOKEN = 4
CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
REFUSED_PARAMETERS = ("temperature", "top_p", "top_k")
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

Json = dict[str, object]
Scores = Callable[[str, int], Mapping[str, object]]
Outcome = Literal[
    "refusal", "cut_off", "broken_json", "expired", "errored", "invalid_request", "canceled"
]  # fmt: skip
"""What may become of a question other than an answer; the last four only in a batch, and free."""


@dataclass(frozen=True, slots=True)
class ApiFault:
    """One answer that is not as it should be.

    Attributes:
        status: of the answer; 200 for a good one that is torn.
        retry_after: the header, as it is sent.
        accepted: the request is carried out, and billed, before.
        torn: half of the answer is sent, then the connection ends.
        message: of the error.
        is_gateways: the body is a gateway's page and not the API's JSON.
    """

    status: int = 200
    retry_after: str | None = None
    accepted: bool = False
    torn: bool = False
    message: str = "made to fail"
    is_gateways: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """One answer that the API charges for."""

    packet_text: str
    model: str
    usage: Usage
    custom_id: str | None = None
    batch_id: str | None = None


@dataclass(slots=True)
class StoredBatch:
    """A batch on the API's side.

    Attributes:
        polls_left: how often it is asked for before it has ended.
        archived: its results are no longer kept.
    """

    id: str
    created_at: datetime
    results: list[Json]
    polls_left: int
    archived: bool = False

    @property
    def custom_ids(self) -> list[str]:
        """Of its requests, in the order of the results."""
        return [str(result["custom_id"]) for result in self.results]


@dataclass(slots=True)
class TeacherApi:
    """A running API; what it holds may be changed while it runs.

    Attributes:
        url: its address, `http://127.0.0.1:<port>`.
        key: that it takes.
        scores: what it says of a packet; the second argument is how often it said so before.
        models: that it knows.
        polls_until_ended: how often a batch is asked for before it has ended.
        faults: by method and path such as `POST /v1/messages/batches`, one after the other.
        outcomes: by packet, what becomes of it, one asking after the other.
        bills: every answer that is charged for.
        batches: the newest last.
        requests: how often each method and path was asked for.
    """

    url: str
    key: str
    scores: Scores
    models: Sequence[str] = MODELS
    polls_until_ended: int = 0
    faults: dict[str, list[ApiFault]] = field(default_factory=lambda: defaultdict(list))
    outcomes: dict[str, list[Outcome]] = field(default_factory=lambda: defaultdict(list))
    bills: list[Bill] = field(default_factory=list)
    batches: list[StoredBatch] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    _asked: Counter[str] = field(default_factory=Counter)
    _cached: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin_anew(self, scores: Scores) -> None:
        """Forget everything but address and key."""
        with self._lock:
            self.scores, self.models, self.polls_until_ended = scores, MODELS, 0
            for held in (self.faults, self.outcomes, self.bills, self.batches):
                held.clear()
            for counted in (self.requests, self._asked, self._cached):
                counted.clear()

    @property
    def billed_twice(self) -> list[str]:
        """Custom ids that were charged for more than once."""
        times = Counter(bill.custom_id for bill in self.bills if bill.custom_id)
        return [custom_id for custom_id, number in times.items() if number > 1]


class _ApiError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@contextmanager
def serve_teacher(scores: Scores, *, key: str = "sk-sample", port: int = 0) -> Iterator[TeacherApi]:
    """Serve a teacher on 127.0.0.1 for the while.

    Args:
        scores: what it says of a packet, and at which repeat of it.
        key: that it takes.
        port: 0 for a free one.

    Raises:
        RuntimeError: the server did not start.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        api = TeacherApi(f"http://127.0.0.1:{listener.getsockname()[1]}", key, scores)
        server = uvicorn.Server(uvicorn.Config(_app(api), log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RuntimeError("the loopback teacher did not start")
            time.sleep(0.01)
        try:
            yield api
        finally:
            server.should_exit = True
            thread.join(timeout=START_TIMEOUT_S)


def _app(api: TeacherApi) -> Starlette:
    def route(path: str, method: str, answer: Callable[[Request, Json], object]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.json() if method == "POST" else {}
            return await run_in_threadpool(_answered, api, request, lambda: answer(request, body))

        return Route(path, endpoint, methods=[method])

    def of_path(request: Request, name: str) -> str:
        return str(request.path_params[name])

    return Starlette(
        routes=[
            route("/v1/messages", "POST", lambda _, body: _message(api, body)),
            route("/v1/messages/count_tokens", "POST", lambda _, body: _count(api, body)),
            route("/v1/messages/batches", "POST", lambda _, body: _new_batch(api, body)),
            route("/v1/messages/batches", "GET", lambda request, _: _listing(api, request)),
            route(
                "/v1/messages/batches/{id}",
                "GET",
                lambda request, _: _polled(api, of_path(request, "id")),
            ),
            route(
                "/v1/messages/batches/{id}/results",
                "GET",
                lambda request, _: _results(api, of_path(request, "id")),
            ),
            route("/v1/models", "GET", lambda _, __: _models(api)),
            route("/v1/models/{id}", "GET", lambda request, _: _model(api, of_path(request, "id"))),
        ]
    )


def _answered(api: TeacherApi, request: Request, answer: Callable[[], object]) -> Response:
    """One answer, or the fault that stands in its place."""
    with api._lock:
        asked = f"{request.method} {request.url.path}"
        api.requests[asked] += 1
        try:
            _check_key(api, request)
            fault = api.faults[asked].pop(0) if api.faults[asked] else ApiFault()
            content = answer() if fault.status == 200 or fault.accepted else None
        except _ApiError as error:
            return _error(error.status, error.message)
        if fault.status != 200:
            return _error(fault.status, fault.message, fault)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        if not fault.torn:
            return Response(body, media_type="application/json")
        headers = {"content-length": str(len(body))}
        return Response(body[: len(body) // 2], headers=headers, media_type="application/json")


def _check_key(api: TeacherApi, request: Request) -> None:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if api.key not in (given, request.headers.get("x-api-key")):
        raise _ApiError(401, "invalid x-api-key")


def _error(status: int, message: str, fault: ApiFault | None = None) -> Response:
    retry_after = fault.retry_after if fault else None
    headers = {"retry-after": retry_after} if retry_after is not None else {}
    if fault and fault.is_gateways:
        return Response(f"<h1>{status}</h1>", status, headers, media_type="text/html")
    kind = ERROR_TYPES.get(status, "api_error")
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return Response(json.dumps(body), status, headers, media_type="application/json")


def _model(api: TeacherApi, name: object) -> Json:
    if name not in api.models:
        raise _ApiError(404, f"model: {name}")
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
    }


def _models(api: TeacherApi) -> Json:
    data = [_model(api, name) for name in api.models]
    return {
        "data": data,
        "has_more": False,
        "first_id": api.models[0] if data else None,
        "last_id": api.models[-1] if data else None,
    }


def _tokens(text: str) -> int:
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def _prompt(params: Json) -> tuple[str, str]:
    """The part that is cached and the packet."""
    system = params.get("system") or []
    cached = system if isinstance(system, str) else "".join(block["text"] for block in system)  # type: ignore[attr-defined]
    messages = params.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _ApiError(400, "messages: at least one message is required")
    packet = messages[-1]["content"]
    if not isinstance(packet, str) or not packet:
        raise _ApiError(400, "messages.0: user messages must have non-empty content")
    output = json.dumps(params.get("output_config") or {})
    return cached + output, packet


def _check_params(api: TeacherApi, params: Json) -> None:
    _model(api, params.get("model"))
    for name in REFUSED_PARAMETERS:
        if name in params:
            raise _ApiError(400, f"{name}: not supported by this model")
    if not isinstance(params.get("max_tokens"), int):
        raise _ApiError(400, "max_tokens: Field required")
    _prompt(params)


def _count(api: TeacherApi, params: Json) -> Json:
    _model(api, params.get("model"))
    cached, packet = _prompt(params)
    return {"input_tokens": _tokens(cached) + _tokens(packet)}


def _message(api: TeacherApi, params: Json) -> Json:
    _check_params(api, params)
    _, packet = _prompt(params)
    outcomes = api.outcomes[packet]
    message, usage = _said(api, params, outcomes.pop(0) if outcomes else None)
    api.bills.append(Bill(packet, str(params["model"]), usage))
    return message


def _said(api: TeacherApi, params: Json, outcome: Outcome | None) -> tuple[Json, Usage]:
    """An answer, and what it used."""
    cached, packet = _prompt(params)
    model = str(params["model"])
    text = json.dumps(api.scores(packet, api._asked[packet]))
    api._asked[packet] += 1
    stop_reason = "end_turn"
    most = int(cast("int", params["max_tokens"]))
    if outcome == "refusal":
        text, stop_reason = "", "refusal"
    elif outcome == "broken_json":
        text = text[: len(text) // 2]
    elif outcome == "cut_off" or _tokens(text) > most:
        text, stop_reason = text[: len(text) // 2][: most * CHARACTERS_PER_TOKEN], "max_tokens"
    key = (model, cached)
    is_hit = key in api._cached
    api._cached.add(key)
    usage = Usage(
        input_tokens=_tokens(packet),
        cache_read_tokens=_tokens(cached) if is_hit else 0,
        cache_write_1h_tokens=0 if is_hit else _tokens(cached),
        output_tokens=most if stop_reason == "max_tokens" else _tokens(text),
    )
    message: Json = {
        "id": f"msg_{len(api.bills):04d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_input_tokens": usage.cache_read_tokens,
            "cache_creation_input_tokens": usage.cache_write_1h_tokens,
            "cache_creation": {
                "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
                "ephemeral_5m_input_tokens": 0,
            },
            "service_tier": "standard",
        },
    }
    return message, usage


def _new_batch(api: TeacherApi, body: Json) -> Json:
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise _ApiError(400, "requests: at least one request is required")
    ids = [str(request.get("custom_id")) for request in requests]
    if len(set(ids)) < len(ids) or not all(CUSTOM_ID.fullmatch(id_) for id_ in ids):
        raise _ApiError(400, "requests: custom_id must be unique, of 1 to 64 safe characters")
    for request in requests:
        _model(api, request["params"].get("model"))
    batch_id = f"msgbatch_{len(api.batches):04d}"
    results = [_result(api, batch_id, request) for request in requests]
    # Nobody may rely on the order.
    batch = StoredBatch(batch_id, datetime.now(UTC), results[::-1], api.polls_until_ended)
    api.batches.append(batch)
    return _described(api, batch)


def _result(api: TeacherApi, batch_id: str, request: Json) -> Json:
    custom_id = str(request["custom_id"])
    params = cast("Json", request["params"])
    return {"custom_id": custom_id, "result": _result_of(api, batch_id, custom_id, params)}


def _result_of(api: TeacherApi, batch_id: str, custom_id: str, params: Json) -> Json:
    try:
        _check_params(api, params)
        _, packet = _prompt(params)
        outcomes = api.outcomes[packet]
        outcome = outcomes.pop(0) if outcomes else None
        if outcome in ("expired", "canceled"):
            return {"type": outcome}
        if outcome == "errored":
            raise _ApiError(500, "internal error")
        if outcome == "invalid_request":
            raise _ApiError(400, "made to be invalid")
    except _ApiError as error:
        kind = ERROR_TYPES[error.status]
        return {
            "type": "errored",
            "error": {"type": "error", "error": {"type": kind, "message": error.message}},
        }
    message, usage = _said(api, params, outcome)
    api.bills.append(Bill(packet, str(params["model"]), usage, custom_id, batch_id))
    return {"type": "succeeded", "message": message}


def _described(api: TeacherApi, batch: StoredBatch) -> Json:
    has_ended = batch.polls_left <= 0
    types = Counter(str(cast("Json", result["result"])["type"]) for result in batch.results)
    counts = {
        name: types[name] if has_ended else 0
        for name in ("succeeded", "errored", "canceled", "expired")
    }
    results_url = f"{api.url}/v1/messages/batches/{batch.id}/results"
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if has_ended else "in_progress",
        "request_counts": {"processing": 0 if has_ended else len(batch.results), **counts},
        "created_at": batch.created_at.isoformat(),
        "expires_at": (batch.created_at + timedelta(hours=24)).isoformat(),
        "ended_at": batch.created_at.isoformat() if has_ended else None,
        "archived_at": batch.created_at.isoformat() if batch.archived else None,
        "cancel_initiated_at": None,
        "results_url": results_url if has_ended and not batch.archived else None,
    }


def _batch(api: TeacherApi, batch_id: str) -> StoredBatch:
    for batch in api.batches:
        if batch.id == batch_id:
            return batch
    raise _ApiError(404, f"batch {batch_id} not found")


def _polled(api: TeacherApi, batch_id: str) -> Json:
    batch = _batch(api, batch_id)
    described = _described(api, batch)
    batch.polls_left -= 1
    return described


def _results(api: TeacherApi, batch_id: str) -> bytes:
    batch = _batch(api, batch_id)
    if batch.polls_left > 0 or batch.archived:
        raise _ApiError(404, f"batch {batch_id} has no results")
    return "".join(f"{json.dumps(result)}\n" for result in batch.results).encode()


def _listing(api: TeacherApi, request: Request) -> Json:
    limit = int(request.query_params.get("limit", 20))
    newest_first = api.batches[::-1]
    ids = [batch.id for batch in newest_first]
    after, before = request.query_params.get("after_id"), request.query_params.get("before_id")
    if after is not None:
        rest = newest_first[_place(ids, after) + 1 :]
    elif before is not None:
        rest = newest_first[: _place(ids, before)][-limit:]
    else:
        rest = newest_first
    page = rest[:limit]
    return {
        "data": [_described(api, batch) for batch in page],
        "has_more": len(rest) > len(page),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _place(ids: Sequence[str], wanted: str) -> int:
    if wanted not in ids:
        raise _ApiError(404, f"batch {wanted} not found")
    return ids.index(wanted)
