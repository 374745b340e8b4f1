"""Every figure of the card is counted a second time, from the plain files on the disk."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from selectolax.lexbor import LexborHTMLParser

from data_collection.recordings.store import Store
from data_collection.training_set.card import (
    HTML,
    StoredCard,
    card_html,
    card_markdown,
    card_metadata,
    number,
    plain,
    write_card,
)
from data_collection.training_set.card_figures import CARD, card_figures, read_last_card
from data_collection.training_set.card_rows import CardFigures, totals
from data_collection.training_set.external import observe
from data_collection.training_set.tier_states import Teaching, TierState
from data_collection_tests.training_set.collected_tiers import (
    AT,
    FOLDERS,
    HOSTILE,
    Disk,
    collect,
    put_receipt,
    rewrite_rows,
    river,
    states,
    write_the_manifest,
)
from data_collection_tests.training_set.made_collection import T2, T3, T4, Sizes, make

STAGES = ("audio", "segments", "muq_embeddings")
SEEDS = {"augmentation": 7}
FINISHED = ("done", "filtered")


@dataclass(frozen=True)
class Carded:
    """A collection that no test changes, its card and its plain files."""

    store: Store
    disk: Disk
    card: CardFigures

    @property
    def manifest(self) -> list[dict[str, Any]]:
        """Rows of the manifest."""
        path = self.disk.root / "training_set/manifest.parquet"
        return pl.read_parquet(path).to_dicts()


@pytest.fixture(scope="module")
def carded(tmp_path_factory: pytest.TempPathFactory) -> Carded:
    root = tmp_path_factory.mktemp("carded")
    store = Store.at(str(root))
    collect(store)
    return Carded(store, Disk(root), figures(store))


@pytest.fixture(scope="module")
def written(carded: Carded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, StoredCard]:
    """The card's files, in a root of their own."""
    store = Store.at(str(tmp_path_factory.mktemp("written")))
    return store, write_card(store, carded.card)


@pytest.fixture(scope="module")
def page(written: tuple[Store, StoredCard]) -> LexborHTMLParser:
    """The HTML as it was written."""
    return LexborHTMLParser(written[0].path(HTML).read_text(encoding="utf-8"))


@pytest.fixture
def damaged(carded: Carded, tmp_path: Path) -> Store:
    """The collection again, for a test that changes it."""
    shutil.copytree(carded.disk.root, tmp_path / "damaged")
    return Store.at(str(tmp_path / "damaged"))


def figures(
    store: Store, tiers: Sequence[TierState] | None = None, at: datetime = AT
) -> CardFigures:
    external = [observe(store, "percepiano_cache"), observe(store, "pretrain_cache")]
    return card_figures(store, tiers or states(), at=at, seeds=SEEDS, external=external)


def keep(store: Store, card: CardFigures) -> None:
    """Leave a card for the next one, without its pages."""
    store.write_bytes(CARD, card.model_dump_json().encode())


def text_of(value: object) -> str:
    assert isinstance(value, str)
    return value


def hours(rows: Iterable[dict[str, Any]], start: str, end: str) -> float:
    return sum(float(row[end] - row[start]) for row in rows) / 3600


def test_what_each_tier_holds_is_what_its_files_hold(carded: Carded) -> None:
    """A count that is read from one place and never held against another drifts unseen."""
    for row in carded.card.collections:
        folder, disk = row.collection, carded.disk
        listed = [one["recording_id"] for one in disk.lines(f"{folder}/recordings.jsonl")]
        metadata, clips = disk.lines(f"{folder}/metadata.jsonl"), disk.clips(folder)
        audio = [one for one in disk.receipts(f"{folder}/audio") if one["state"] == "done"]
        embedded = {one["recording_id"] for one in disk.receipts(f"{folder}/muq_embeddings")}
        copies = {
            one["recording_id"]
            for path in (disk.root / folder).glob("duplicates.jsonl")
            for one in disk.lines(f"{folder}/{path.name}")
        }
        kept = [clip for clip in clips if clip["state"] == "kept"]
        assert (row.tier, row.recordings) == (FOLDERS[folder], len(listed))
        assert row.done == len(embedded - copies)
        assert (row.filtered, row.failed, row.blocked) == (1 + len(copies), 3, 1)
        assert row.not_tried == 1
        assert row.done + row.filtered + row.failed + row.blocked + row.not_tried == len(listed)
        assert row.audio_hours == pytest.approx(
            sum(one["facts"]["duration_s"] for one in audio) / 3600,
            abs=1e-6,
        )
        assert row.audio_bytes == sum(out["size_bytes"] for one in audio for out in one["outputs"])
        assert (row.clips, row.clips_kept) == (len(clips), len(kept))
        assert row.clips_kept_hours == pytest.approx(hours(kept, "start_s", "end_s"), abs=1e-6)
        assert row.segments == len(metadata)
        assert row.segment_hours == pytest.approx(
            hours(metadata, "segment_start", "segment_end"), abs=1e-6
        )
        twins = disk.lines(f"{folder}/pairs.jsonl") if folder == T4 else []
        assert row.twins == len(twins)
        assert row.embedding_bytes == sum(
            out["size_bytes"]
            for one in disk.receipts(f"{folder}/muq_embeddings")
            for out in one["outputs"]
        )
        assert set(carded.card.recording_ids[folder]) == {one["recording_id"] for one in metadata}


def test_splits_terms_and_targets_are_the_manifests(carded: Carded) -> None:
    """What a trainer will meet: the card must not count rows that are excluded as used."""
    splits: Counter[tuple[object, object]] = Counter()
    seconds: defaultdict[tuple[object, object], float] = defaultdict(float)
    terms: Counter[tuple[object, ...]] = Counter()
    targets: Counter[tuple[object, ...]] = Counter()
    keys: defaultdict[tuple[object, object, str], set[object]] = defaultdict(set)
    for row in carded.manifest:
        at = (row["tier"], row["split"])
        splits[at] += 1
        if row["segment_start"] is not None and row["segment_end"] is not None:
            seconds[at] += row["segment_end"] - row["segment_start"]
        else:
            seconds[at] += row["frames"] / 25
        terms.update((*at, term) for term in row["loss_terms"])
        if row["regression_from"]:
            targets[*at, row["regression_from"], row["confidence_weight"]] += 1
        keys[*at, "recordings"].add(row["recording"])
        keys[*at, "performers"] |= {row["performer"]} - {None}
        keys[*at, "pieces"] |= set(row["pieces"])
    assert {(row.tier, row.split): row.segments for row in carded.card.splits} == splits
    of_tier: defaultdict[object, float] = defaultdict(float)
    for (tier, _), value in seconds.items():
        of_tier[tier] += value
    for split in carded.card.splits:
        at = (split.tier, split.split)
        assert split.hours == pytest.approx(seconds[at] / 3600, abs=1e-6)
        assert split.share == pytest.approx(seconds[at] / of_tier[split.tier], abs=1e-6)
        for name in ("recordings", "performers", "pieces"):
            assert getattr(split, name) == len(keys[*at, name])
    assert {(r.tier, r.split, r.term): r.segments for r in carded.card.loss_terms} == terms
    assert {
        (r.tier, r.split, r.regression_from, r.confidence_weight): r.segments
        for r in carded.card.targets
    } == targets


def values_on_disk(carded: Carded) -> dict[tuple[str, str], list[float | None]]:
    """The values of each measure and tier, unknown ones as None."""
    found: defaultdict[tuple[str, str], list[float | None]] = defaultdict(list)
    disk = carded.disk
    for folder, tier in FOLDERS.items():
        metadata = disk.lines(f"{folder}/metadata.jsonl")
        for row in metadata:
            start, end = row["segment_start"], row["segment_end"]
            found["segment_duration_s", tier].append(end - start)
            for name in ("loudness_lufs", "source_bandwidth_hz"):
                found[name, tier].append(row[name])
        places = {(row["performer"], row["placement"]) for row in metadata if "placement" in row}
        found["placement", tier] += [place for _, place in places]
        for receipt in disk.receipts(f"{folder}/audio"):
            if receipt["state"] == "done":
                duration_s = receipt["facts"]["duration_s"]
                found["recording_duration_s", tier].append(duration_s)
    found["twin_cosine", "t4"] += [row["cosine"] for row in disk.lines(f"{T4}/pairs.jsonl")]
    players: defaultdict[tuple[object, object], set[object]] = defaultdict(set)
    for row in carded.manifest:
        if row["performer"] is not None:
            for piece in row["pieces"]:
                players[row["tier"], piece].add(row["performer"])
    for (of_tier, _), people in players.items():
        found["performers_per_piece", str(of_tier)].append(len(people))
    return found


def quantile(ordered: Sequence[float], share: float) -> float:
    at = share * (len(ordered) - 1)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


def test_every_distribution_is_that_of_its_values(carded: Carded) -> None:
    """Quantiles, means and columns, and how many values are not known."""
    on_disk = values_on_disk(carded)
    known = {key: [v for v in values if v is not None] for key, values in on_disk.items()}
    spreads = {(one.measure, one.tier): one for one in carded.card.distributions}
    assert set(spreads) == {key for key, values in known.items() if values}
    assert {measure for measure, _ in spreads} >= {"twin_cosine", "placement", "loudness_lufs"}
    for key, one in spreads.items():
        values = sorted(known[key])
        assert (one.count, one.unknown) == (len(values), len(on_disk[key]) - len(values))
        for name, share in {"low": 0, "p5": 0.05, "median": 0.5, "p95": 0.95, "high": 1}.items():
            assert getattr(one, name) == pytest.approx(quantile(values, share), abs=2e-6)
        assert one.mean == pytest.approx(sum(values) / len(values), abs=2e-6)
        columns = Counter(math.floor(value / one.bin_width) for value in values)
        assert {round(b.start / one.bin_width): b.count for b in one.bins} == columns
        assert [b.start for b in one.bins] == sorted(b.start for b in one.bins)


def test_everything_left_out_is_counted_once_with_its_reason(carded: Carded) -> None:
    """An exclusion that no list shows is data that vanished."""
    expected: Counter[tuple[object, ...]] = Counter()
    disk = carded.disk
    for folder, tier in FOLDERS.items():
        for receipt in [*disk.receipts(f"{folder}/audio"), *disk.receipts(f"{folder}/segments")]:
            if receipt["state"] != "done":
                stage = text_of(receipt["stage"]).rsplit("/", 1)[1]
                expected[tier, "recording", stage, f"{receipt['state']}: {receipt['reason']}"] += 1
        expected[tier, "recording", "audio", "missing: not_tried"] += 1
        expected.update(
            (tier, "segment", "segments", clip["reason"])
            for clip in disk.clips(folder)
            if clip["state"] == "filtered"
        )
    expected["t2", "video", "catalogue", "not_a_round"] = 3
    expected["t3", "recording", "pairs", "works_not_known"] = 1
    expected["t4", "video", "channels", "left_out: short"] = 1
    expected["t4", "video", "channels", "pending: live"] = 1
    expected["t4", "recording", "duplicates", "excerpt of competition"] = 1
    flags = Counter(row["flag"] for row in disk.lines(f"{T4}/pairs.jsonl"))
    expected["t4", "twin", "pairs", "destroyed"] = flags["destroyed"]
    for row in carded.manifest:
        if row["split"] == "excluded":
            reason = text_of(row["excluded_because"])
            reason = "copy" if reason.startswith("copy of") else reason
            expected[row["tier"], "segment", "split", reason] += 1
    problems = pl.read_parquet(disk.root / "training_set/problems.parquet").to_dicts()
    expected.update((row["tier"], "problem", "manifest", row["kind"]) for row in problems)
    found = {(r.tier, r.what, r.stage, r.reason): r.count for r in carded.card.exclusions}
    assert found == expected
    assert len(found) == len(carded.card.exclusions)


def test_dead_links_have_the_day_on_which_they_were_found(carded: Carded) -> None:
    """Who is to look for another source needs to know what was there, and until when."""
    found = {(r.collection, r.recording_id): r for r in carded.card.dead_links}
    assert len(found) == len(carded.card.dead_links) == 9
    for folder in FOLDERS:
        unlisted = [
            row["recording_id"]
            for row in carded.disk.lines(f"{folder}/recordings.jsonl")
            if not row["listed"]
        ]
        assert {name for at, name in found if at == folder} == {
            "zz_removed",
            "zz_private",
            *unlisted,
        }
        removed, gone = found[folder, "zz_removed"], found[folder, str(unlisted[0])]
        assert (removed.reason, removed.found_at, removed.is_collected) == ("removed", AT, False)
        assert (gone.reason, gone.is_collected) == ("no_longer_listed", True)
        seen = datetime.fromisoformat("2026-02-03T04:05:06Z") if folder == T4 else None
        assert gone.found_at == seen


def test_licences_sources_and_versions_are_those_of_rows_and_receipts(carded: Carded) -> None:
    """On whose terms, from where, and made with what."""
    licences: Counter[tuple[object, ...]] = Counter()
    users: defaultdict[tuple[object, ...], set[object]] = defaultdict(set)
    hosts: Counter[object] = Counter()
    versions: Counter[tuple[object, ...]] = Counter()
    for folder, tier in FOLDERS.items():
        for row in carded.disk.lines(f"{folder}/metadata.jsonl"):
            key = (tier, row["licence"], row.get("licence_note"))
            licences[key] += 1
            users[key].add(row["recording_id"])
            hosts[tier] += 1
        for stage in (*STAGES, "augmented_muq_embeddings"):
            for receipt in carded.disk.receipts(f"{folder}/{stage}"):
                if receipt["state"] not in FINISHED:
                    continue
                made_with = {**receipt["parameters"]}
                made_with.pop("source_start_s", None)
                of = {"version": receipt["versions"], "parameter": made_with}
                for kind, facts in of.items():
                    versions.update(
                        (tier, stage, kind, name, str(value)) for name, value in facts.items()
                    )
    card = carded.card
    assert {(r.tier, r.licence, r.note): r.segments for r in card.licences} == licences
    for stated in card.licences:
        assert stated.recordings == len(users[stated.tier, stated.licence, stated.note])
    assert {r.tier: r.segments for r in card.sources} == hosts
    assert {r.host for r in card.sources} == {"127.0.0.1"}
    for source in card.sources:
        folder = next(name for name, tier in FOLDERS.items() if tier == source.tier)
        assert source.recordings == len(card.recording_ids[folder])
    assert {
        (r.tier, r.stage, r.kind, r.name, r.value): r.recordings for r in card.versions
    } == versions


def test_hashes_seeds_teachers_twins_and_folders_are_as_on_the_disk(carded: Carded) -> None:
    """What tells two training sets apart."""
    card, root = carded.card, carded.disk.root
    for file in card.files:
        content = (root / file.path).read_bytes()
        assert (file.sha256, file.size_bytes) == (
            hashlib.sha256(content).hexdigest(),
            len(content),
        )
    there = {str(at.relative_to(root)) for at in root.glob("training_set/*") if at.suffix != ".tmp"}
    there |= {f"{folder}/metadata.jsonl" for folder in FOLDERS}
    assert {file.path for file in card.files} >= there - {CARD}
    rules = json.loads((root / "training_set/split_keys.json").read_text())["rules"]
    assert card.seeds == {
        "augmentation": "7",
        **{f"split {name}": json.dumps(value) for name, value in rules.items()},
    }
    labels = json.loads((root / T2 / "teacher_labels.json").read_text())
    (teacher,) = card.teachers
    assert (teacher.segments, teacher.teacher_model) == (len(labels), labels[0]["teacher_model"])
    assert teacher.cost_usd == pytest.approx(sum(float(row["cost_usd"]) for row in labels))
    assert teacher.verdict is None
    recipes = Counter(row["recipe"] for row in carded.disk.lines(f"{T4}/pairs.jsonl"))
    assert {(r.recipe, r.recipe_version, r.seed): r.twins for r in card.twin_recipes} == {
        ("default", "1", 7): recipes["default"]
    }
    percepiano, pretrain = card.external
    files = [at for at in (root / "percepiano_cache").rglob("*") if at.is_file()]
    assert percepiano.files == len(files)
    assert percepiano.size_bytes == sum(at.stat().st_size for at in files)
    assert (pretrain.files, pretrain.listing_sha256) == (0, None)
    assert card.leaks == ()
    unknown: Counter[tuple[object, ...]] = Counter()
    for row in carded.manifest:
        if row["split"] != "excluded":
            unknown.update((row["tier"], row["split"], key) for key in row["unknown_keys"])
    assert {(r.tier, r.split, r.key): r.segments for r in card.unknown_keys} == unknown


def test_totals_are_sums_of_the_rows_and_stand_on_the_assets_page(carded: Carded) -> None:
    """The history that the UI plots must be that of the card."""
    found = totals(carded.card)
    segments = dict.fromkeys(FOLDERS.values(), 0)
    for folder, tier in FOLDERS.items():
        segments[tier] += len(carded.disk.lines(f"{folder}/metadata.jsonl"))
    assert {tier: found[f"{tier}_segments"] for tier in segments} == segments
    assert found["manifest_segments"] == len(carded.manifest)
    ranked = sum("ranking" in row["loss_terms"] for row in carded.manifest)
    assert found["term_ranking_segments"] == ranked
    assert found["dead_links"] == 9
    metadata = card_metadata(carded.card)
    assert metadata.items() >= found.items()
    assert all(isinstance(value, float | int | str) for value in metadata.values())


def test_equal_figures_give_equal_bytes_and_are_read_back(
    carded: Carded, written: tuple[Store, StoredCard], store: Store
) -> None:
    """A card that changes by itself hides what changed."""
    assert write_card(store, carded.card) == written[1]
    assert read_last_card(store) == carded.card
    assert figures(carded.store) == carded.card


def test_the_page_loads_nothing_and_text_from_the_web_stays_text(
    carded: Carded, page: LexborHTMLParser
) -> None:
    """A title or a licence may hold markup; whoever opens the card must not meet it as such."""
    assert page.css("script, iframe, object, embed, link, base, form") == []
    for node in page.css("*"):
        for name, value in node.attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "action", "data", "poster", "background"):
                assert (value or "").startswith(("data:image/svg+xml;base64,", "#"))
    assert re.search(r"url\(|@import", page.css("style")[0].text()) is None
    images = page.css("img")
    assert len(images) == len({one.measure for one in carded.card.distributions})
    assert "default-src 'none'" in str(page.css("meta[http-equiv]")[0].attributes["content"])
    cells = [cell.text() for cell in page.css("td")]
    assert cells.count(HOSTILE) >= 7  # titles of dead links, and a licence
    anchors = {node.attributes["href"] for node in page.css("a")}
    assert anchors == {f"#{node.attributes['id']}" for node in page.css("section")}


def test_text_from_the_web_makes_no_markup_in_markdown(carded: Carded) -> None:
    """Where the Markdown is shown, a title must not become a link, an image or a column."""
    markdown = card_markdown(carded.card)
    assert "<script" not in markdown
    assert "](" not in markdown
    assert "http:" not in markdown.replace("&#58;", "")
    tables = [block for block in markdown.split("\n\n") if block.startswith("|")]
    assert len(tables) > 15
    for table in tables:
        assert len({line.count("|") for line in table.strip().split("\n")}) == 1


def test_every_figure_of_the_pages_is_one_of_the_json(
    carded: Carded, page: LexborHTMLParser
) -> None:
    """A page that rounds or adds for itself could say something else than the figures."""
    markdown = card_markdown(carded.card)
    for row in carded.card.splits:
        cells = [row.tier, row.split, number(row.segments), number(row.hours)]
        lines = [[td.text() for td in tr.css("td")] for tr in page.css("#splits tr")]
        assert any(line[:4] == cells for line in lines)
        assert f"| {' | '.join(cells)} |" in markdown
    counts = [tr.css("td")[-1].text() for tr in page.css("#exclusions tbody tr")]
    assert counts == [number(row.count) for row in carded.card.exclusions]


def test_what_came_and_went_stands_on_the_next_card(damaged: Store) -> None:
    """Nobody compares two cards by eye, and an idle run must not wipe out what one said."""
    first = figures(damaged)
    assert first.changes is None
    keep(damaged, first)
    idle = figures(damaged, at=AT + timedelta(days=1))
    assert idle.changes is not None
    assert idle.changes.is_empty
    assert "Nothing since the card of 2026-03-01" in card_markdown(idle)
    disk = Disk(Path(str(damaged.root)))
    rows = disk.lines(f"{T4}/metadata.jsonl")
    names = sorted({str(row["recording_id"]) for row in rows})
    moved = [{**row, "recording_id": f"new_{row['recording_id']}"} for row in rows[:2]]
    rewrite_rows(damaged, T4, [row for row in rows if row["recording_id"] != names[0]] + moved)
    write_the_manifest(damaged)
    second = figures(damaged, at=AT + timedelta(days=2))
    changes = second.changes
    assert changes is not None
    (recordings,) = changes.recordings
    assert (recordings.collection, recordings.new, recordings.gone) == (T4, 1, 1)
    assert recordings.first_gone == (names[0],)
    assert recordings.first_new == (f"new_{rows[0]['recording_id']}",)
    assert f"{T4}/metadata.jsonl" in changes.files
    before, after = totals(first), totals(second)
    assert {row.name: (row.before, row.after) for row in changes.totals} == {
        name: (before.get(name, 0.0), after.get(name, 0.0))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }
    keep(damaged, second)
    assert figures(damaged, at=AT + timedelta(days=3)).changes == changes


def test_a_last_card_that_cannot_be_read_is_a_note(store: Store) -> None:
    """A torn or older card must not stop the next one."""
    store.write_bytes(CARD, b'{"schema_version": 0, "torn')
    card = figures(store)
    assert card.changes is None
    assert any("the last card cannot be compared with" in note for note in card.notes)
    keep(store, card)
    assert read_last_card(store) == card


def test_an_empty_root_gives_a_card_that_says_so(store: Store) -> None:
    """The first thing that somebody does is to open it before anything is collected."""
    card = figures(store)
    assert (*card.distributions, *card.splits, *card.exclusions) == ()
    assert [row.recordings for row in card.collections] == [0, 0, 0]
    notes = " ".join(card.notes)
    for folder in FOLDERS:
        assert f"{folder}/recordings.jsonl is not there" in notes
        assert f"{folder}/metadata.jsonl is not there" in notes
    assert "manifest.parquet is not there" in notes
    assert "There is no manifest" in card_html(card)
    assert "Data card" in card_markdown(card)


def test_a_tier_that_is_off_or_half_collected_is_named(store: Store) -> None:
    """A count of zero must not look like a tier without music."""
    make(store, Sizes(percepiano=1, competitors=4, maestro=6, videos=5, clips=2))
    store.path(f"{T2}/metadata.jsonl").unlink()
    store.path(f"{T4}/metadata.jsonl").write_text('{"segment_id": ')
    off = TierState("t3", river(T3), off_because="no disk for it <yet>")
    card = figures(store, states(t3=off))
    by_tier = {row.tier: row for row in card.collections}
    assert by_tier["t3"].off_because == "no disk for it <yet>"
    assert [row.segments for row in card.collections] == [0, 0, 0]
    assert any(note.startswith("t2") and "materialize" in note for note in card.notes)
    assert any(note.startswith("t4") and "rows_unreadable" in note for note in card.notes)
    assert "(off: no disk for it &lt;yet&gt;)" in card_html(card)


def test_damaged_files_beside_the_rows_are_notes(damaged: Store) -> None:
    """One bad file must not take the whole card with it."""
    clips = next(Path(str(damaged.path(f"{T3}/segments"))).glob("*.parquet"))
    clips.write_bytes(b"torn")
    damaged.write_bytes(f"{T2}/teacher_labels.json", b'{"not": "rows"}')
    damaged.write_bytes("training_set/problems.parquet", b"torn")
    damaged.write_bytes("training_set/split_keys.json", b"[]")
    damaged.write_bytes(f"{T4}/pairs.jsonl", b'{"cosine": "much"}\n')
    notes = " ".join(figures(damaged).notes)
    for name in ("tables of clips", "teacher_labels", "problems.parquet", "split_keys", "pairs"):
        assert name in notes


def test_a_manifest_of_an_older_form_is_a_note(damaged: Store) -> None:
    """A column that was added since must not stop the card of what lies there."""
    path = Path(str(damaged.path("training_set/manifest.parquet")))
    pl.read_parquet(path).drop("unknown_keys").write_parquet(path)
    card = figures(damaged)
    assert card.splits == ()
    assert any("no column unknown_keys" in note for note in card.notes)
    assert "There is no manifest" in card_markdown(card)


def test_leaks_and_the_gates_verdict_are_on_the_card(damaged: Store) -> None:
    """The two figures by which somebody decides not to train."""
    path = Path(str(damaged.path("training_set/manifest.parquet")))
    table = pl.read_parquet(path)
    used = table.filter((pl.col("split") != "excluded") & pl.col("performer").is_not_null())
    name = used["segment_id"][0]
    moved = {"train": "test"}.get(used["split"][0], "train")
    changed = pl.when(pl.col("segment_id") == name).then(pl.lit(moved)).otherwise("split")
    table.with_columns(split=changed).write_parquet(path)
    taught = Teaching(True, "go", verdict="closed")
    card = figures(damaged, states(t2=TierState("t2", river(T2), teaching=taught)))
    assert {row.kind for row in card.leaks} >= {"performer", "recording"}
    assert "do not train on this set" in card_markdown(card)
    assert card.teachers[0].verdict == "closed"


def test_a_purged_recording_is_counted_nowhere_but_as_purged(damaged: Store) -> None:
    """After a takedown the card must not go on naming what was taken down as missing or dead."""
    tombstone = {
        "source_id": "zz_removed",
        "recording_ids": ["zz_removed"],
        "source_urls": ["https://made.test/zz_removed"],
        "purged_at": "2026-02-01T00:00:00Z",
        "reason": "asked for",
    }
    damaged.write_bytes("tombstones.jsonl", (json.dumps(tombstone) + "\n").encode())
    card = figures(damaged)
    assert "zz_removed" not in {link.recording_id for link in card.dead_links}
    purged = [row.count for row in card.exclusions if row.reason == "blocked: purged"]
    assert purged == [1, 1, 1]


def test_an_odd_address_or_duration_does_not_stop_the_card(damaged: Store) -> None:
    """What the web calls an address, and what a receipt forgot to say."""
    disk = Disk(Path(str(damaged.root)))
    rows = disk.lines(f"{T3}/metadata.jsonl")
    odd = ("http://[broken", None, "file:///x.wav")
    urls = {str(row["recording_id"]): odd[at % 3] for at, row in enumerate(rows)}
    rewrite_rows(
        damaged, T3, [{**row, "source_url": urls[str(row["recording_id"])]} for row in rows]
    )
    put_receipt(damaged, T3, "audio", str(rows[0]["recording_id"]), facts={"duration_s": None})
    card = figures(damaged)
    hosts = {row.host for row in card.sources if row.tier == "t3"}
    assert hosts <= {"not an address", "not known", "file:"}
    unknown = {one.tier: one.unknown for one in card.distributions if "recording" in one.measure}
    assert unknown == {"t2": 0, "t3": 1, "t4": 0}


def test_characters_that_nobody_sees_are_gone_from_the_pages() -> None:
    """A mark that turns the direction of text makes a row read as another."""
    assert plain("a\u202eb\x00c\nd\u2066") == "a b c d"
    assert plain("x" * 1000, 10) == "x" * 9 + "…"
