"""Scoring through the real SDK, against a loopback API: asked once, paid once, never guessed."""

from __future__ import annotations

import dataclasses
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_collection.recordings.errors import ItemError, RecordingError, SetupError, WorldError
from data_collection.sample.teacher_api import ApiFault, Outcome, TeacherApi, serve_teacher
from data_collection.teacher import batches, scoring
from data_collection.teacher.ledger import Caps, Ledger
from data_collection.teacher.messages import client
from data_collection.teacher.plans import COUNTED_AT_LEAST
from data_collection.teacher.questions import (
    MAX_PACKET_BYTES,
    Question,
    Teacher,
    check,
    custom_id,
)
from data_collection_tests.teacher.made_questions import (
    CAPS,
    KEY,
    MODEL,
    PRICES,
    PROMPT,
    TEACHER,
    TIER,
    ledger_in,
    plan_of,
    questions,
    run,
    scores,
    validate,
)

BATCHES = "/v1/messages/batches"
POST_BATCH = f"POST {BATCHES}"
POST_MESSAGE = "POST /v1/messages"

pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.fixture(scope="module")
def served() -> Iterator[TeacherApi]:
    """One teacher for all tests."""
    with serve_teacher(scores, key=KEY) as running:
        yield running


@pytest.fixture
def api(served: TeacherApi) -> TeacherApi:
    """As if it had just started."""
    served.begin_anew(scores)
    served.key = KEY
    return served


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return ledger_in(tmp_path)


def billed_usd(api: TeacherApi) -> Decimal:
    return sum(
        (PRICES.cost(bill.usage, bill.model, batched=bool(bill.batch_id)) for bill in api.bills),
        Decimal(0),
    )


def packet(number: int) -> str:
    return questions(1, number)[0].packet_text


# What is asked, and what it costs


def test_what_is_paid_is_what_was_used(api: TeacherApi, ledger: Ledger) -> None:
    """Answers' costs, the ledger's, and the API's bill agree, below what was told before.

    Guards prices that forget the cache or the batch.
    """
    plan = plan_of(api.url, ledger, questions(12))
    done = run(api.url, ledger, questions(12))
    assert done.is_complete
    assert done.counts == {"scored": 12}
    assert done.cost_usd == billed_usd(api) == ledger.spending()[TIER].settled_usd
    assert done.usage.cache_read_tokens
    assert 0 < done.cost_usd <= plan.expected_usd <= plan.upper_usd
    assert plan.is_batched
    assert plan.fits
    assert [answer.segment_id for answer in done.answers] == [
        question.segment_id for question in questions(12)
    ]
    for question, answer in zip(questions(12), done.answers, strict=True):
        assert answer.content == scores(question.packet_text, 0)


def test_nothing_is_asked_twice(api: TeacherApi, ledger: Ledger) -> None:
    """A second run, with questions of the first among its own, pays for the new ones only."""
    first = run(api.url, ledger, questions(8))
    api.requests.clear()
    again = run(api.url, ledger, questions(8))
    assert again == first
    assert not api.requests
    more = run(api.url, ledger, questions(16))
    assert more.counts == {"scored": 16}
    assert len(api.bills) == 16
    assert not api.billed_twice


def test_equal_evidence_is_asked_once_and_answers_both(api: TeacherApi, ledger: Ledger) -> None:
    """Two segments, one packet: one question; guards a batch that the API refuses for its ids."""
    asked = [*questions(7), dataclasses.replace(questions(1)[0], segment_id="yt_other_seg0001")]
    done = run(api.url, ledger, [*asked, asked[0]])
    assert len(api.bills) == 7
    assert len(done.answers) == 8
    assert done.answers[0].content == done.answers[-1].content
    assert done.cost_usd == billed_usd(api)


def test_repeats_are_questions_of_their_own(api: TeacherApi, ledger: Ledger) -> None:
    """Guards a test-retest agreement of 1 because the first answer was used again."""
    asked = [
        dataclasses.replace(question, repeat=repeat)
        for question in questions(4)
        for repeat in (0, 1)
    ]
    done = run(api.url, ledger, asked)
    assert len(api.bills) == 8
    assert done.answers[0].content != done.answers[1].content
    assert [answer.repeat for answer in done.answers[:2]] == [0, 1]


@given(
    text=st.text(min_size=1, max_size=20),
    other=st.text(min_size=1, max_size=20),
    repeat=st.integers(0, 3),
)
@settings(max_examples=30)
def test_an_id_tells_questions_apart(text: str, other: str, repeat: int) -> None:
    """Equal for equal questions whatever their segment, 64 safe characters; unequal otherwise."""
    try:
        question = Question("a", text, repeat)
        check(question)
        check(Question("b", other, repeat))
    except ItemError:
        return
    id_ = custom_id(TEACHER, PROMPT, question)
    assert len(id_) == 64
    assert id_.isalnum()
    assert id_ == custom_id(TEACHER, PROMPT, Question("b", text, repeat))
    assert (id_ == custom_id(TEACHER, PROMPT, Question("a", other, repeat))) == (text == other)
    changed = [
        (dataclasses.replace(TEACHER, model="claude-haiku-5-5"), PROMPT),
        (dataclasses.replace(TEACHER, effort="high"), PROMPT),
        (TEACHER, dataclasses.replace(PROMPT, system_text="other")),
        (TEACHER, dataclasses.replace(PROMPT, rubric_sha256="1" * 64)),
        (TEACHER, dataclasses.replace(PROMPT, output_schema={})),
    ]
    assert id_ not in {custom_id(teacher, prompt, question) for teacher, prompt in changed}
    assert id_ == custom_id(dataclasses.replace(TEACHER, max_tokens=9), PROMPT, question)


def test_a_handful_is_asked_one_by_one(api: TeacherApi, ledger: Ledger) -> None:
    """At the full price, and no batch; guards a demo that waits for one."""
    done = run(api.url, ledger, questions(3))
    assert done.counts == {"scored": 3}
    assert api.requests[POST_MESSAGE] == 3
    assert not api.batches
    assert done.cost_usd == billed_usd(api) == ledger.spending()[TIER].settled_usd
    assert all(answer.batch_id is None for answer in done.answers)


def test_a_run_is_cut_into_batches(
    api: TeacherApi, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number and by size; guards a request that the API refuses whole."""
    monkeypatch.setattr(scoring, "MOST_REQUESTS", 5)
    run(api.url, ledger, questions(12))
    assert [len(batch.results) for batch in api.batches] == [5, 5, 2]
    monkeypatch.setattr(scoring, "MOST_BYTES", 8000)
    run(api.url, ledger, questions(7, first=100))
    assert sum(len(batch.results) for batch in api.batches[3:]) == 7
    assert all(len(batch.results) < 5 for batch in api.batches[3:])


def test_tokens_are_counted_on_real_requests(api: TeacherApi, ledger: Ledger) -> None:
    """On fifty of many, all of few, for free; the bound holds for one ten times as long."""
    long = Question("yt_long_seg0000", packet(0) * 10)
    plan = plan_of(api.url, ledger, [*questions(70), long])
    assert plan.tokens is not None
    assert plan.tokens.counted == COUNTED_AT_LEAST
    assert plan.facts()["to_ask"] == 71
    assert not api.bills
    upper = {planned.question: planned.ask.upper_usd for planned in plan.to_ask}
    assert upper[long] > upper[questions(1)[0]]
    done = run(api.url, ledger, [*questions(70), long])
    for answer, question in zip(done.answers, plan.questions, strict=True):
        assert answer.cost_usd <= upper[question]
    few = plan_of(api.url, ledger, questions(3, first=100))
    assert few.tokens is not None
    assert few.tokens.counted == 3


# Caps


@pytest.mark.parametrize("cap", ["0", "0.001"])
def test_a_cap_stops_before_anything_is_asked(api: TeacherApi, tmp_path: Path, cap: str) -> None:
    """Nothing is posted, nothing stays reserved, and the plan had said so."""
    ledger = ledger_in(tmp_path, Caps(Decimal(cap), {TIER: Decimal(5)}))
    assert not plan_of(api.url, ledger, questions(12)).fits
    with pytest.raises(SetupError, match="TEACHER_CAP_USD") as told:
        run(api.url, ledger, questions(12))
    assert told.value.reason == "teacher_cap_reached"
    assert not api.bills
    assert not api.requests[POST_BATCH]
    assert not ledger.intents("reserved")


# Answers that are none


def test_what_is_no_score_is_counted_and_kept(api: TeacherApi, ledger: Ledger) -> None:
    """Refused, cut off, torn JSON, off the scale: paid, kept as they are, not asked again."""
    kinds: dict[int, Outcome] = {0: "refusal", 1: "cut_off", 2: "broken_json"}
    for number, kind in kinds.items():
        api.outcomes[packet(number)].append(kind)
    fair = api.scores
    api.scores = lambda text, repeat: {"dynamics": 6} if text == packet(3) else fair(text, repeat)
    done = run(api.url, ledger, questions(9))
    assert done.counts == {"refused": 1, "cut_off": 1, "invalid": 2, "scored": 5}
    assert done.cost_usd == billed_usd(api)
    for answer in done.answers[:4]:
        assert answer.content is None
        assert answer.because
        assert answer.cost_usd > 0
    assert done.answers[3].text == '{"dynamics": 6}'
    assert run(api.url, ledger, questions(9)) == done
    assert len(api.bills) == 9


def test_a_person_may_ask_again(api: TeacherApi, ledger: Ledger) -> None:
    """What was cut off, once more, and once only; its cost is added to the first."""
    api.outcomes[packet(0)].append("cut_off")
    first = run(api.url, ledger, questions(7))
    plan = plan_of(api.url, ledger, questions(7), ask_again=["cut_off"])
    assert [planned.question for planned in plan.to_ask] == questions(1)
    done = run(api.url, ledger, questions(7), ask_again=["cut_off"])
    assert done.counts == {"scored": 7}
    assert len(api.bills) == 8
    assert done.cost_usd == billed_usd(api) > first.cost_usd
    stale = scoring.score(client(KEY, api.url), plan, ledger=ledger, validate=validate, poll_s=0.01)
    assert stale == done
    assert len(api.bills) == 8


def test_what_expired_or_failed_is_asked_again_a_few_times(api: TeacherApi, ledger: Ledger) -> None:
    """Such requests cost nothing; guards an endless loop, and a request that can never be right."""
    api.outcomes[packet(0)] += ["expired"]
    api.outcomes[packet(1)] += ["errored", "expired"]
    api.outcomes[packet(2)] += ["expired"] * 9
    api.outcomes[packet(3)] += ["invalid_request"] * 9
    api.outcomes[packet(4)] += ["canceled"] * 9
    done = run(api.url, ledger, questions(8))
    assert done.counts == {"scored": 5, "expired": 1, "errored": 2}
    assert [answer.tries for answer in done.answers] == [2, 3, 3, 1, 1, 1, 1, 1]
    assert "made to be invalid" in str(done.answers[3].because)
    assert done.cost_usd == billed_usd(api) == ledger.spending()[TIER].committed_usd
    assert not api.billed_twice
    posted = api.requests[POST_BATCH]
    run(api.url, ledger, questions(8))
    assert api.requests[POST_BATCH] == posted


# The network


def test_a_batch_that_runs_is_no_fault(api: TeacherApi, ledger: Ledger) -> None:
    """The first run says what it waits for, the next reads it; guards hours of sleep in a run."""
    api.polls_until_ended = 3
    first = run(api.url, ledger, questions(8), wait_s=0)
    assert not first.is_complete
    assert first.waiting == 8
    plan = plan_of(api.url, ledger, questions(9))
    assert (len(plan.on_their_way), len(plan.to_ask)) == (8, 1)
    done = run(api.url, ledger, questions(8))
    assert done.counts == {"scored": 8}
    assert len(api.batches) == 1


@pytest.mark.parametrize("still_runs", [0, 3])
@pytest.mark.parametrize(
    "fault",
    [ApiFault(torn=True), ApiFault(status=500, accepted=True), ApiFault(504, is_gateways=True)],
    ids=["torn", "error behind it", "gateway"],
)
def test_a_lost_answer_makes_no_second_batch(
    api: TeacherApi, ledger: Ledger, fault: ApiFault, still_runs: int
) -> None:
    """A batch was made, its id was not read: it is found by its questions, others' are left.

    Guards the SDK's own retries, and the adoption of somebody else's batch of the same size.
    """
    fault = dataclasses.replace(fault, accepted=True)
    api.polls_until_ended = still_runs
    other = ledger_in(ledger.folder / "other")
    run(api.url, other, questions(8, first=200), wait_s=0)
    api.faults[POST_BATCH].append(fault)
    first = run(api.url, ledger, questions(8), wait_s=0, appears_within_s=600)
    assert first.waiting == 8
    run(api.url, other, questions(8, first=300), wait_s=0)
    for batch in api.batches:
        batch.polls_left = 0
    done = run(api.url, ledger, questions(8), appears_within_s=600)
    assert done.counts == {"scored": 8}
    assert {answer.batch_id for answer in done.answers} == {api.batches[1].id}
    assert len(api.batches) == 3
    assert not api.billed_twice
    assert done.cost_usd == ledger.spending()[TIER].committed_usd


def test_two_lost_batches_of_one_size_are_told_apart(
    api: TeacherApi, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each intent finds its own; guards one that is taken for somebody else's, and posted again."""
    monkeypatch.setattr(scoring, "MOST_REQUESTS", 4)
    api.faults[POST_BATCH] += [ApiFault(torn=True)] * 2
    assert run(api.url, ledger, questions(8), wait_s=0).waiting == 8
    done = run(api.url, ledger, questions(8))
    assert done.counts == {"scored": 8}
    assert len({answer.batch_id for answer in done.answers}) == len(api.batches) == 2
    assert not api.billed_twice


def test_a_lost_batch_is_looked_for_on_every_page(
    api: TeacherApi, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards one that others' newer batches have pushed off the first page."""
    monkeypatch.setattr(batches, "LISTED_AT_ONCE", 2)
    api.faults[POST_BATCH].append(ApiFault(torn=True))
    run(api.url, ledger, questions(8), wait_s=0)
    other = ledger_in(ledger.folder / "other")
    for first in (100, 200, 300):
        run(api.url, other, questions(7, first=first))
    assert run(api.url, ledger, questions(8)).counts == {"scored": 8}
    assert len(api.batches) == 4


def test_a_batch_at_another_address_is_left_alone(api: TeacherApi, ledger: Ledger) -> None:
    """It is named, and waited for; guards asking again because the address was changed."""
    api.polls_until_ended = 10**6
    run(api.url, ledger, questions(8), wait_s=0)
    elsewhere = api.url.replace("127.0.0.1", "localhost")
    waiting = run(elsewhere, ledger, questions(8), wait_s=0)
    assert waiting.because == (f"batch msgbatch_0000 runs at {api.url}",)
    assert waiting.waiting == 8
    assert len(api.batches) == 1


def test_a_running_batch_of_the_right_size_is_waited_for(api: TeacherApi, ledger: Ledger) -> None:
    """A listing does not tell whose it is, so nothing is posted before it has ended."""
    api.polls_until_ended = 10**6
    api.faults[POST_BATCH].append(ApiFault(torn=True))
    run(api.url, ledger, questions(8), wait_s=0)
    waiting = run(api.url, ledger, questions(8), wait_s=0)
    assert "still running" in waiting.because[0]
    assert len(api.batches) == 1
    assert ledger.spending()[TIER].reserved_usd > 0


def test_a_post_that_never_arrived_is_made_again_after_a_while(
    api: TeacherApi, ledger: Ledger
) -> None:
    """Not before a batch would have appeared; guards paying twice, and waiting for ever."""
    api.faults[POST_BATCH].append(ApiFault(status=500))
    first = run(api.url, ledger, questions(8), wait_s=0, appears_within_s=600)
    assert first.waiting == 8
    waiting = run(api.url, ledger, questions(8), wait_s=0, appears_within_s=600)
    assert "may appear until" in waiting.because[0]
    assert not api.batches
    later = dataclasses.replace(ledger, clock=lambda: datetime.now(UTC) + timedelta(seconds=601))
    again = run(api.url, later, questions(8), wait_s=0, appears_within_s=600)
    assert again.waiting == 8
    done = run(api.url, later, questions(8), appears_within_s=600)
    assert done.counts == {"scored": 8}
    assert len(api.batches) == 1


def test_a_lost_batch_is_not_given_up_by_another_workspace(api: TeacherApi, ledger: Ledger) -> None:
    """Its newest batch before the post has to be listed; guards paying twice by another key."""
    run(api.url, ledger, questions(7, first=100))
    api.faults[POST_BATCH].append(ApiFault(torn=True))
    run(api.url, ledger, questions(8), wait_s=0, appears_within_s=600)
    held, api.batches[:] = list(api.batches), []
    with pytest.raises(SetupError, match="key of the workspace") as told:
        run(api.url, ledger, questions(8))
    assert told.value.reason == "teacher_other_workspace"
    api.batches[:] = held
    assert run(api.url, ledger, questions(8)).counts == {"scored": 8}
    assert not api.billed_twice


def test_results_that_are_no_longer_kept_count_in_full(api: TeacherApi, ledger: Ledger) -> None:
    """Paid for and lost, for a batch that ran and for one that was never found."""
    api.polls_until_ended = 1
    run(api.url, ledger, questions(8), wait_s=0)
    api.faults[POST_BATCH].append(ApiFault(torn=True))
    run(api.url, ledger, questions(9, first=100), wait_s=0)
    reserved = ledger.spending()[TIER].reserved_usd
    for batch in api.batches:
        batch.polls_left, batch.archived = 0, True
    done = run(api.url, ledger, [*questions(8), *questions(9, first=100)])
    assert done.counts == {"errored": 17}
    assert "lost on the way" in str(done.answers[0].because)
    assert ledger.spending()[TIER].settled_usd == reserved
    assert len(api.batches) == 2


def test_a_cut_results_stream_is_read_again(api: TeacherApi, ledger: Ledger) -> None:
    """In no order, and cut: nothing is lost or counted twice; what was read before is kept."""
    results = f"GET {BATCHES}/msgbatch_0000/results"
    api.faults[results] += [ApiFault(torn=True), ApiFault(torn=True)]
    done = run(api.url, ledger, questions(8))
    assert done.counts == {"scored": 8}
    assert done.cost_usd == billed_usd(api)
    api.faults[results.replace("0000", "0001")] += [ApiFault(torn=True)] * batches.READS
    with pytest.raises(WorldError, match="could not be read") as told:
        run(api.url, ledger, questions(8, first=100))
    assert told.value.reason == "teacher_results_cut"
    settled = ledger.spending()[TIER].settled_usd
    assert done.cost_usd < settled < billed_usd(api)
    assert run(api.url, ledger, questions(8, first=100)).counts == {"scored": 8}
    assert ledger.spending()[TIER].settled_usd == billed_usd(api)
    assert not api.billed_twice


@pytest.mark.parametrize("status", [429, 529])
def test_a_busy_api_is_asked_again_and_no_batch_is_made_twice(
    api: TeacherApi, ledger: Ledger, status: int
) -> None:
    """With its pause, a few times; then the reservation is given back and the run says so."""
    api.faults[POST_BATCH] += [ApiFault(status, retry_after="1")] * 2
    assert run(api.url, ledger, questions(8)).counts == {"scored": 8}
    assert len(api.batches) == 1
    api.faults[POST_BATCH] += [ApiFault(status, retry_after="3600")] * 9
    before = api.requests[POST_BATCH]
    with pytest.raises(WorldError, match="again in 3600 s") as told:
        run(api.url, ledger, questions(8, first=100))
    assert api.requests[POST_BATCH] == before + 1
    assert told.value.stops_batch
    assert ledger.spending()[TIER].reserved_usd == 0


def test_a_lost_single_message_is_not_asked_again_unbidden(api: TeacherApi, ledger: Ledger) -> None:
    """It was paid for and cannot be had: counted in full, and asked again by a person only."""
    api.faults[POST_MESSAGE] += [ApiFault(529), ApiFault(500), ApiFault(torn=True)]
    done = run(api.url, ledger, questions(2))
    assert done.counts == {"errored": 1, "scored": 1}
    assert len(api.bills) == 2
    assert ledger.spending()[TIER].committed_usd > billed_usd(api)
    assert run(api.url, ledger, questions(2)) == done
    assert len(api.bills) == 2
    assert run(api.url, ledger, questions(2), ask_again=["errored"]).counts == {"scored": 2}


# Bad input


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        (ApiFault(400, message="schema is no schema"), SetupError, "teacher_request_refused"),
        (ApiFault(400, message="Your credit balance is low"), SetupError, "teacher_not_paid"),
        (ApiFault(402), SetupError, "teacher_not_paid"),
        (ApiFault(403), SetupError, "teacher_key_refused"),
        (ApiFault(404), SetupError, "teacher_not_found"),
        (ApiFault(413), SetupError, "teacher_request_refused"),
        (ApiFault(429, retry_after="9999"), WorldError, "teacher_rate_limited"),
        (ApiFault(529, retry_after="9999"), WorldError, "teacher_overloaded"),
    ],
)
def test_a_refusal_says_who_is_at_fault(
    api: TeacherApi, ledger: Ledger, fault: ApiFault, kind: type[RecordingError], reason: str
) -> None:
    """Nothing stays reserved; guards a retry of what can never work."""
    api.faults[POST_BATCH].append(fault)
    with pytest.raises(kind) as told:
        run(api.url, ledger, questions(8))
    assert told.value.reason == reason
    assert api.requests[POST_BATCH] == 1
    assert ledger.spending()[TIER].committed_usd == 0


def test_a_wrong_key_is_told_without_the_key(
    api: TeacherApi, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the message, its causes, a log or the ledger's file, though the API repeats it."""
    caplog.set_level(logging.DEBUG)
    secret = "sk-secret-987654"  # noqa: S105
    with pytest.raises(SetupError) as told:
        run(api.url, ledger, questions(8), key=secret)
    assert told.value.reason == "teacher_key_refused"
    api.key = secret
    api.faults["POST /v1/messages/count_tokens"].append(ApiFault(403, message=f"no {secret}!"))
    with pytest.raises(SetupError, match="no <key>!") as repeated:
        run(api.url, ledger, questions(8), key=secret)
    run(api.url, ledger, questions(8), key=secret)
    said = [
        *("".join(traceback.format_exception(each.value)) for each in (told, repeated)),
        caplog.text,
        *(str(error.value.__context__) for error in (told, repeated)),
    ]
    assert not any(secret in text for text in said)
    assert secret.encode() not in ledger.path.read_bytes()


@pytest.mark.parametrize("key", [None, "", "  \n", "sk-a b", "sk-é", "sk-a\nb"])
def test_without_a_key_nothing_is_tried(key: str | None) -> None:
    """Guards a key that the HTTP library refuses by printing it."""
    with pytest.raises(SetupError, match="ANTHROPIC_API_KEY") as told:
        client(key, "http://127.0.0.1:9")
    assert told.value.reason == "teacher_key_missing"
    assert "sk-" not in str(told.value)


def test_the_environment_does_not_steer_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and address are those that were given; guards a test that asks the real API."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://elsewhere.invalid")
    made = client("sk-given")
    assert made.auth_headers == {"Authorization": "Bearer sk-given"}
    assert str(made.base_url).startswith("https://api.anthropic.com")
    for address in ("api.anthropic.com", "http://[::1", "file:///teacher"):
        with pytest.raises(SetupError, match="no web address"):
            client("sk-given", address)


def test_a_model_that_is_gone_is_named(api: TeacherApi, ledger: Ledger) -> None:
    """Before anything is posted; a model without a price is not even asked for."""
    api.models = ["claude-haiku-5-5"]
    with pytest.raises(SetupError, match=MODEL) as told:
        run(api.url, ledger, questions(8))
    assert told.value.reason == "teacher_not_found"
    api.requests.clear()
    with pytest.raises(SetupError, match="no price"):
        run(api.url, ledger, questions(8), teacher=Teacher("claude-unheard-of"))
    assert not api.requests


def test_no_network_is_the_worlds_fault(ledger: Ledger) -> None:
    """Guards a fault that is taken for the segment's."""
    with pytest.raises(WorldError, match=r"127\.0\.0\.1:9") as told:
        run("http://127.0.0.1:9", ledger, questions(8))
    assert told.value.reason == "teacher_unreachable"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * (MAX_PACKET_BYTES + 1), "packet_too_large"),
        (" \n", "packet_empty"),
        ("half a pair \ud800", "packet_unreadable"),
    ],
)
def test_a_packet_that_cannot_be_asked_stops_no_other(
    api: TeacherApi, ledger: Ledger, text: str, reason: str
) -> None:
    """It is named with its segment, in the plan; guards a batch that is refused for one."""
    plan = plan_of(api.url, ledger, [Question("yt_bad_seg0003", text), *questions(7)])
    ((segment_id, error),) = plan.refused
    assert segment_id == "yt_bad_seg0003"
    assert error.reason == reason
    assert segment_id in error.detail
    assert len(plan.to_ask) == 7


def test_two_packets_for_one_repeat_are_a_mistake(api: TeacherApi, ledger: Ledger) -> None:
    """Guards two answers for one segment, of which the last wins."""
    first = questions(1)[0]
    other = dataclasses.replace(first, packet_text="other")
    with pytest.raises(SetupError, match=first.segment_id):
        plan_of(api.url, ledger, [first, other])


def test_no_questions_cost_nothing(api: TeacherApi, ledger: Ledger) -> None:
    """Neither a plan nor a run asks anybody."""
    done = run(api.url, ledger, [])
    assert done.is_complete
    assert done.cost_usd == 0
    assert not api.requests


def test_caps_of_the_tests_are_not_in_the_way() -> None:
    """Guards tests that pass because a cap stopped them."""
    assert CAPS.of_tier(TIER) == 10
