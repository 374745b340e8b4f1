"""What the graph looks like from outside: names, descriptions, policies, and what loading costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from data_collection.build import build_defs
from data_collection.competition.editions import EditionError, read_edition
from data_collection.settings import Settings
from data_collection_tests.river import write_edition

FEED = "http://127.0.0.1:9/feed.rss"
ROSTER = "performer,country,reached_stage,prize\nAda Quill,,final,1\n"
PREFIX = "competition_cache/chopin2021"
MAESTRO = "maestro_cache"
YOUTUBE = "youtube_piano_cache"
NO_TABLES = {
    "audio",
    "data_card",
    "augmented_muq_embeddings",
    "fingerprints",
    "gate",
    "muq_embeddings",
    "pilot",
    "piece_performer_map",
    "teacher_guess_control",
    "teacher_plan",
}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    """The definitions with nothing set in the environment."""
    return build_defs(settings=Settings())


def test_names_are_kept(defs: dg.Definitions) -> None:
    """Keys, jobs, checks and sensors are as they were; guards a rename, which loses its history."""
    graph = defs.resolve_asset_graph()
    assert sorted(key.to_user_string() for key in graph.get_all_asset_keys()) == [
        f"{PREFIX}/audio",
        f"{PREFIX}/fingerprints",
        f"{PREFIX}/metadata",
        f"{PREFIX}/muq_embeddings",
        f"{PREFIX}/preferences",
        f"{PREFIX}/programmes",
        f"{PREFIX}/recordings",
        f"{PREFIX}/results",
        f"{PREFIX}/segments",
        f"{PREFIX}/teacher_evidence",
        f"{PREFIX}/teacher_guess_control",
        f"{PREFIX}/teacher_labels",
        f"{PREFIX}/teacher_packets",
        f"{PREFIX}/teacher_plan",
        "composite_labels",
        f"{MAESTRO}/alignments",
        f"{MAESTRO}/audio",
        f"{MAESTRO}/fingerprints",
        f"{MAESTRO}/metadata",
        f"{MAESTRO}/muq_embeddings",
        f"{MAESTRO}/pairs",
        f"{MAESTRO}/piece_performer_map",
        f"{MAESTRO}/recordings",
        f"{MAESTRO}/segments",
        f"{MAESTRO}/teacher_evidence",
        f"{MAESTRO}/teacher_labels",
        f"{MAESTRO}/teacher_packets",
        f"{MAESTRO}/teacher_plan",
        "masterclass_cache",
        "percepiano_cache",
        "pretrain_cache",
        "teacher/pilot",
        "training_set/data_card",
        "training_set/manifest",
        f"{YOUTUBE}/audio",
        f"{YOUTUBE}/augmented_muq_embeddings",
        f"{YOUTUBE}/breaker",
        f"{YOUTUBE}/channels",
        f"{YOUTUBE}/duplicates",
        f"{YOUTUBE}/fingerprints",
        f"{YOUTUBE}/gate",
        f"{YOUTUBE}/metadata",
        f"{YOUTUBE}/muq_embeddings",
        f"{YOUTUBE}/pairs",
        f"{YOUTUBE}/recordings",
        f"{YOUTUBE}/segments",
        f"{YOUTUBE}/teacher_evidence",
        f"{YOUTUBE}/teacher_labels",
        f"{YOUTUBE}/teacher_packets",
        f"{YOUTUBE}/teacher_plan",
    ]
    assert sorted(key.to_user_string() for key in graph.asset_check_keys) == [
        f"{PREFIX}/metadata:every_segment_has_its_embedding",
        f"{PREFIX}/metadata:rows_have_the_schema",
        f"{PREFIX}/preferences:preferences_follow_the_places",
        f"{PREFIX}/programmes:programmes_are_known",
        f"{PREFIX}/recordings:every_performer_is_found",
        f"{PREFIX}/results:names_in_one_source",
        f"{PREFIX}/results:prizes_have_no_hole",
        f"{PREFIX}/results:results_add_up",
        f"{PREFIX}/results:sources_agree",
        f"{PREFIX}/results:sources_were_read",
        f"{PREFIX}/teacher_labels:labels_follow_the_places",
        f"{MAESTRO}/alignments:aligned_recordings_are_the_same_music",
        f"{MAESTRO}/metadata:every_segment_has_its_embedding",
        f"{MAESTRO}/metadata:pieces_have_two_performers",
        f"{MAESTRO}/metadata:rows_have_the_schema",
        f"{MAESTRO}/metadata:segments_are_as_many_as_promised",
        f"{MAESTRO}/pairs:no_pair_by_one_performer",
        f"{MAESTRO}/pairs:no_pair_of_different_works",
        f"{MAESTRO}/pairs:pairs_fit_the_catalogue",
        f"{MAESTRO}/pairs:pairs_stay_within_a_split",
        f"{MAESTRO}/pairs:segments_have_positives",
        f"{MAESTRO}/recordings:every_performer_is_known",
        f"{MAESTRO}/recordings:every_work_is_known",
        f"{MAESTRO}/recordings:no_work_crosses_the_split",
        f"{MAESTRO}/recordings:the_release_is_whole",
        "training_set/data_card:the_collection_is_complete",
        "training_set/manifest:every_split_says_something",
        "training_set/manifest:nothing_crosses_the_split",
        f"{YOUTUBE}/metadata:every_segment_has_its_embedding",
        f"{YOUTUBE}/metadata:no_recording_is_also_in_the_competition",
        f"{YOUTUBE}/metadata:rows_have_the_schema",
        f"{YOUTUBE}/pairs:twins_are_neither_identical_nor_destroyed",
    ]
    assert sorted(job.name for job in defs.jobs or ()) == [
        "competition_cache_chopin2021_catalogue",
        "competition_cache_chopin2021_metadata",
        "maestro_cache_catalogue",
        "maestro_cache_metadata",
        "training_set",
        "youtube_piano_cache_catalogue",
        "youtube_piano_cache_metadata",
        "youtube_piano_cache_repair",
    ]
    assert sorted(schedule.name for schedule in defs.schedules or ()) == [
        "youtube_breaker_watch",
        "youtube_nights",
        "youtube_retries",
    ]
    assert sorted(sensor.name for sensor in defs.sensors or ()) == [
        "competition_cache_chopin2021_fingerprints_sensor",
        "competition_cache_chopin2021_metadata_sensor",
        "competition_cache_chopin2021_muq_embeddings_sensor",
        "competition_cache_chopin2021_segments_sensor",
        "maestro_cache_fingerprints_sensor",
        "maestro_cache_metadata_sensor",
        "maestro_cache_muq_embeddings_sensor",
        "maestro_cache_segments_sensor",
        "youtube_discovery",
        "youtube_piano_cache_augmented_muq_embeddings_sensor",
        "youtube_piano_cache_fingerprints_sensor",
        "youtube_piano_cache_metadata_sensor",
        "youtube_piano_cache_muq_embeddings_sensor",
        "youtube_piano_cache_segments_sensor",
    ]


def test_lineage_is_the_river(defs: dg.Definitions) -> None:
    """Each stage depends on the one before; guards an edge that is lost."""
    graph = defs.resolve_asset_graph()

    def parents(prefix: str) -> dict[str, set[str]]:
        return {
            key.path[-1]: {parent.path[-1] for parent in graph.get(key).parent_keys}
            for key in graph.get_all_asset_keys()
            if key.path[0] == prefix
        }

    teacher = {
        "teacher_evidence": {"audio", "segments"},
        "teacher_packets": {"metadata", "teacher_evidence"},
        "teacher_plan": {"teacher_packets", "pilot", "teacher_labels"},
        "teacher_labels": {"teacher_plan"},
    }
    river = {
        **teacher,
        "audio": {"recordings"},
        "fingerprints": {"audio"},
        "segments": {"audio"},
        "muq_embeddings": {"audio", "segments"},
    }
    assert parents("competition_cache") == {
        **river,
        "teacher_plan": {"teacher_packets", "pilot"},
        "teacher_guess_control": {"teacher_packets", "pilot"},
        "results": set(),
        "recordings": {"results"},
        "programmes": {"recordings", "audio"},
        "metadata": {"recordings", "programmes", "muq_embeddings"},
        "preferences": {"results", "recordings", "programmes"},
    }
    assert parents("maestro_cache") == {
        **river,
        "recordings": set(),
        "metadata": {"recordings", "muq_embeddings"},
        "alignments": {"recordings", "audio"},
        "piece_performer_map": {"recordings", "metadata"},
        "pairs": {"recordings", "metadata", "alignments"},
    }
    assert parents("youtube_piano_cache") == {
        **river,
        "channels": set(),
        "breaker": set(),
        "gate": set(),
        "recordings": {"channels"},
        "augmented_muq_embeddings": {"audio", "segments", "muq_embeddings"},
        "duplicates": {"recordings", "fingerprints"},
        "metadata": {"recordings", "duplicates", "muq_embeddings"},
        "pairs": {"metadata", "augmented_muq_embeddings"},
    }


def test_every_asset_tells_what_it_is(defs: dg.Definitions) -> None:
    """Description, group, kinds, owners and path on each; guards a bare node in the UI."""
    for node in defs.resolve_asset_graph().asset_nodes:
        assert len(node.description or "") > 40, node.key
        if not node.is_materializable:  # it is observed, and nobody's artifact here
            continue
        assert node.group_name == node.key.path[0].removesuffix("_cache").removesuffix("_piano")
        assert node.kinds, node.key
        assert node.owners == ["team:data-collection"]
        assert str(node.metadata["path"]).startswith(node.key.to_user_string())
        if node.key.path[-1] not in NO_TABLES:
            assert node.metadata["dagster/column_schema"].columns, node.key


def test_neighbouring_stages_never_share_a_run_of_a_backfill(defs: dg.Definitions) -> None:
    """Backfill policies of neighbours differ; equal ones would let one dead video stop 99."""
    graph = defs.resolve_asset_graph()
    for prefix in (PREFIX, MAESTRO, YOUTUBE):
        river = [
            node
            for node in graph.asset_nodes
            if node.is_partitioned and node.key.to_user_string().startswith(f"{prefix}/")
        ]
        for node in river:
            for parent in node.parent_keys:
                above = graph.get(parent)
                if above.is_partitioned and parent.path[-1] != "channels":
                    is_direct = not any(
                        parent in graph.get(other).parent_keys
                        for other in node.parent_keys
                        if other != parent
                    )
                    assert not is_direct or node.backfill_policy != above.backfill_policy, node.key


def test_the_model_has_the_gpu_to_itself(defs: dg.Definitions) -> None:
    """Embeddings take a place in the pool `gpu`, fetches one in the pool of their source.

    Guards against an archive that waits while a site's guests pause between two videos.
    """
    graph = defs.resolve_asset_graph()
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.get_all_asset_keys()}
    assert pools[f"{PREFIX}/muq_embeddings"] == pools[f"{MAESTRO}/muq_embeddings"] == {"gpu"}
    assert pools[f"{PREFIX}/audio"] == {"fetch"}
    assert pools[f"{MAESTRO}/audio"] == {"archive"}


def test_loading_the_definitions_imports_no_heavy_library() -> None:
    """Torch and muq take 9 s to import: a code location must load without them."""
    code = (
        "import sys, data_collection.definitions as d; assert d.defs;"
        "print([m for m in ('torch', 'muq', 'transformers', 'librosa', 'matplotlib', 'yt_dlp', "
        "'av', 'pedalboard', 'scipy') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_another_edition_is_another_graph(tmp_path: Path) -> None:
    """The environment's edition decides keys and labels; guards a name written into the code."""
    edition = write_edition(tmp_path, FEED, ROSTER, id="other1999")
    graph = build_defs(settings=Settings(competition_edition=edition)).resolve_asset_graph()
    keys = [key.path for key in graph.get_all_asset_keys()]
    assert {path[1] for path in keys if path[0] == "competition_cache"} == {"other1999"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rounds": None}, "rounds: Field required"),
        ({"rounds": []}, "rounds:"),
        ({"rounds": [{"id": "final"}]}, "rounds.0.title_words: Field required"),
        ({"rounds": [{"id": "a", "title_words": ["x"]}] * 2}, "an id stands twice"),
        ({"id": "Bad Id"}, "id: String should match"),
        ({"id": "../up"}, "id: String should match"),
        ({"year": "soon"}, "year:"),
        ({"playlists": {"semifinal": FEED}}, "semifinal is no round"),
        ({"channel": None}, "neither playlists nor channel"),
        ({"results": [{"source": "wikipedia", "path": "x"}]}, "results.0.wikipedia.url: Field"),
        ({"results": [{"source": "hearsay", "path": "x"}]}, "results.0: Input tag 'hearsay'"),
        ({"title_sufix": "misspelt"}, "title_sufix: Extra inputs"),
    ],
)
def test_a_malformed_edition_is_refused_by_field(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    """The error names the file and the field; guards an edition that is half understood."""
    path = write_edition(tmp_path, FEED, ROSTER, **changes)
    with pytest.raises(EditionError) as caught:
        read_edition(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "id: [unclosed", "\x00", "id: &a *a\n"])
def test_what_is_no_edition_is_refused(content: str, tmp_path: Path) -> None:
    """Anything that is not a mapping of fields is an EditionError, never a traceback of YAML's."""
    path = tmp_path / "edition.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EditionError, match=r"edition .*edition\.yaml"):
        read_edition(path)


def test_a_missing_edition_names_the_variable(tmp_path: Path) -> None:
    """The error says which variable to set and which editions ship."""
    with pytest.raises(EditionError, match=r"COMPETITION_EDITION.*chopin2021\.yaml"):
        read_edition(tmp_path / "nothing.yaml")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upper-case names of design's list; an empty variable is an unset one."""
    values = {
        "DATA_COLLECTION_ROOT": "s3://bucket/data",
        "EMBEDDINGS_ROOT": "",
        "COMPETITION_EDITION": "elsewhere/edition.yaml",
        "MUQ_CHECKPOINT": "a/b",
        "MUQ_LAYERS": "[9, 10, 11, 12]",
        "MUQ_POOL_FRAMES": "5",
        "ANTHROPIC_API_KEY": "secret-value",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.data_collection_root == "s3://bucket/data"
    assert settings.embeddings_root is None
    assert settings.competition_edition == Path("elsewhere/edition.yaml")
    assert settings.muq_checkpoint == "a/b"
    assert settings.muq_layers == [9, 10, 11, 12]
    assert settings.muq_pool_frames == 5
    monkeypatch.setenv("MUQ_LAYERS", "last")
    assert Settings().muq_layers == "last"
    assert "secret-value" not in repr(settings)


def test_the_bundled_edition_is_valid() -> None:
    """The shipped edition loads, and its roster's rounds are its own."""
    edition = read_edition(Settings().competition_edition)
    assert edition.id == "chopin2021"
    assert len(edition.roster()) == 87


def test_the_two_instance_files_differ_only_in_storage() -> None:
    """docker/dagster.yaml is dagster.yaml with Postgres; guards a setting that one lacks."""
    project = Path(__file__).resolve().parent.parent
    plain = yaml.safe_load((project / "dagster.yaml").read_text("utf-8"))
    docker = yaml.safe_load((project / "docker" / "dagster.yaml").read_text("utf-8"))
    assert set(docker.pop("storage")) == {"postgres"}
    assert docker == plain
