"""MAESTRO's metadata: CSV and JSON, whole and damaged, from a server, a folder and a zip."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.maestro.metadata import (
    COLUMNS,
    CSV_NAME,
    JSON_NAME,
    RELEASE,
    RELEASE_RECORDINGS,
    Metadata,
    TitleDifference,
    read_metadata,
    reconciled_metadata,
    recording_id_of,
)
from data_collection.maestro.metadata_files import (
    ATTEMPTS,
    MAX_BYTES,
    MetadataError,
    MetadataUnreachableError,
)
from data_collection.partitions import check_partition_keys
from data_collection.recordings.errors import CatalogueError
from data_collection.sample.server import FixedPage, Site, serve

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "maestro"

Cells = Mapping[str, object]


def cells(
    stem: str = "MIDI-Unprocessed_03_R2_2008_01-03_ORIG_MID--AUDIO_03_R2_2008_wav--2",
    *,
    title: str = "Sonata Op. 1",
    year: int = 2008,
    duration: float = 759.51847125,
    **others: object,
) -> dict[str, object]:
    """A row's cells as the release has them."""
    return {
        "canonical_composer": "Alban Berg",
        "canonical_title": title,
        "split": "train",
        "year": year,
        "midi_filename": f"{year}/{stem}.midi",
        "audio_filename": f"{year}/{stem}.wav",
        "duration": duration,
        **others,
    }


ROWS = (
    cells(),
    cells("b--1", title='Sonata No. 21 in C Major, Op. 53, "Waldstein"', split="test"),
    cells("c", year=2011, title="L'isle joyeuse", canonical_composer="Claude Debussy"),
)


def as_csv(rows: Sequence[Cells], columns: Sequence[str] = COLUMNS) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_json(rows: Sequence[Cells], columns: Sequence[str] = COLUMNS) -> bytes:
    table = {column: {str(i): row[column] for i, row in enumerate(rows)} for column in columns}
    return json.dumps(table, ensure_ascii=False).encode()


def read(in_csv: Sequence[Cells], in_json: Sequence[Cells] | None = None) -> Metadata:
    return reconciled_metadata(as_csv(in_csv), as_json(in_csv if in_json is None else in_json))


def test_a_row_is_what_both_files_say() -> None:
    """Every field arrives under our name and with its type; the hashes are the files' own."""
    metadata = read([cells()])
    (row,) = metadata.rows
    stem = "MIDI-Unprocessed_03_R2_2008_01-03_ORIG_MID--AUDIO_03_R2_2008_wav--2"
    assert row.model_dump() == {
        "recording_id": f"maestro_2008_{stem}",
        "audio_filename": f"2008/{stem}.wav",
        "midi_filename": f"2008/{stem}.midi",
        "composer": "Alban Berg",
        "title": "Sonata Op. 1",
        "year": 2008,
        "split": "train",
        "duration_s": 759.51847125,
    }
    assert metadata.csv_sha256 == hashlib.sha256(as_csv([cells()])).hexdigest()
    assert metadata.json_sha256 == hashlib.sha256(as_json([cells()])).hexdigest()
    assert metadata.differences == ()


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip())
)
made_rows = st.lists(
    st.builds(
        cells,
        st.from_regex(r"[A-Za-z0-9_-]{1,60}", fullmatch=True),
        title=words,
        canonical_composer=words,
        year=st.integers(1900, 2100),
        duration=st.floats(0.001, 10_000),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda row: str(row["audio_filename"]).casefold(),
)


@given(made_rows)
def test_what_was_written_is_read(rows: list[dict[str, object]]) -> None:
    """Commas, quotes, any letters: titles come back to the letter, one row for each."""
    metadata = read(rows)
    said = {row["audio_filename"]: row for row in rows}
    assert len(metadata.rows) == len(rows)
    for row in metadata.rows:
        stated = said[row.audio_filename]
        assert (row.title, row.composer) == (
            stated["canonical_title"],
            stated["canonical_composer"],
        )
        assert row.duration_s == pytest.approx(stated["duration"])


@given(made_rows, st.randoms(use_true_random=False))
def test_the_files_order_changes_nothing(
    rows: list[dict[str, object]], shuffler: random.Random
) -> None:
    """Two orders of the same rows give the same catalogue; partitions are registered in it."""
    shuffled = shuffler.sample(rows, len(rows))
    assert read(rows, shuffled).rows == read(shuffled, rows).rows


def test_only_quotes_of_a_title_may_differ_and_the_csv_keeps_them() -> None:
    """The JSON's lost quotes are listed, and the title that has them is taken."""
    in_json = [cells(title="La Campanella"), *ROWS[1:]]
    metadata = read([cells(title='"La Campanella"'), *ROWS[1:]], in_json)
    name = str(cells()["audio_filename"])
    assert metadata.differences == (TitleDifference(name, '"La Campanella"', "La Campanella"),)
    assert {row.title for row in metadata.rows} >= {'"La Campanella"'}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("canonical_composer", "Anton Berg"),
        ("canonical_title", "Sonata Op. 11"),
        ("split", "validation"),
        ("midi_filename", "2008/other.midi"),
        ("duration", 759.6),
    ],
)
def test_another_difference_is_refused(column: str, value: object) -> None:
    """The two files of a release say the same: which of them was edited cannot be known."""
    with pytest.raises(
        MetadataError, match=f"AUDIO_03_R2_2008_wav--2.wav, column {column}: .*JSON"
    ):
        read(ROWS, [{**ROWS[0], column: value}, *ROWS[1:]])


def test_digits_that_another_program_rounds_are_no_difference() -> None:
    """A duration equal to the microsecond is the same one."""
    assert read([cells()], [cells(duration=759.5184712)]).rows == read([cells()]).rows


@pytest.mark.parametrize(("in_csv", "in_json"), [(ROWS, ROWS[1:]), (ROWS[1:], ROWS)])
def test_a_row_in_one_file_only_is_refused(in_csv: list[Cells], in_json: list[Cells]) -> None:
    """Guards a catalogue that is short by what one of the files lost."""
    has, lacks = (CSV_NAME, JSON_NAME) if len(in_csv) == 3 else (JSON_NAME, CSV_NAME)
    said = f"AUDIO_03_R2_2008_wav--2.wav has a row in {has} and none in {lacks}"
    with pytest.raises(MetadataError, match=said):
        read(in_csv, in_json)


def test_an_audio_file_with_two_rows_is_refused() -> None:
    """Both lines are named; the later one would otherwise replace the other."""
    with pytest.raises(
        MetadataError, match=f"line 5: audio_filename .* stands in {CSV_NAME}, line 2"
    ):
        read([*ROWS, cells(title="Other")])
    with pytest.raises(
        MetadataError, match=f"row 3: audio_filename .* stands in {JSON_NAME}, row 0"
    ):
        read(ROWS, [*ROWS, cells(title="Other")])


def test_a_name_that_stands_twice_in_the_json_is_refused() -> None:
    """JSON readers take the last of two namesakes silently."""
    twice = as_json([cells()]).replace(b'"split": {', b'"split": {"0": "test", ')
    with pytest.raises(MetadataError, match="'0' stands twice"):
        reconciled_metadata(as_csv([cells()]), twice)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("new", [None, "renamed"])
def test_a_column_that_is_missing_or_renamed_is_named(column: str, new: str | None) -> None:
    """In either file; the message shows the columns that stand there instead."""
    columns = [new if name == column else name for name in COLUMNS]
    kept = [name for name in columns if name is not None]
    rows = [{**row, "renamed": row[column]} for row in ROWS]
    said = f"no column {column} .*has: {new and repr(new)}"
    with pytest.raises(MetadataError, match=f"{CSV_NAME}: {said.lower()}"):
        reconciled_metadata(as_csv(rows, kept), as_json(rows))
    with pytest.raises(MetadataError, match=f"{JSON_NAME}: {said.lower()}"):
        reconciled_metadata(as_csv(rows), as_json(rows, kept))


def test_further_columns_and_another_order_of_them_are_no_fault() -> None:
    """A copy that somebody added a column to says the same of the others."""
    rows = [{**row, "note": "mine"} for row in ROWS]
    columns = ("note", *reversed(COLUMNS))
    assert (
        reconciled_metadata(as_csv(rows, columns), as_json(rows, columns)).rows == read(ROWS).rows
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("canonical_composer", " "),
        ("canonical_title", ""),
        ("split", "Train"),
        ("split", ""),
        ("year", "MMVIII"),
        ("year", 208),
        ("year", ""),
        ("duration", 0),
        ("duration", -3.5),
        ("duration", "12:39"),
        ("duration", ""),
        ("duration", float("nan")),
        ("duration", float("inf")),
        ("audio_filename", "2008/../../etc/passwd.wav"),
        ("audio_filename", "/2008/a.wav"),
        ("audio_filename", "2008\\a.wav"),
        ("audio_filename", "2008//a.wav"),
        ("audio_filename", "2008/a\x00.wav"),
        ("audio_filename", "a.wav"),
        ("audio_filename", "2008/a"),
        ("midi_filename", ""),
    ],
)
def test_a_cell_that_cannot_be_is_named(column: str, value: object) -> None:
    """File, line and column, in either file; no year, time or path is guessed."""
    bad = [ROWS[0], {**ROWS[1], column: value}, ROWS[2]]
    with pytest.raises(MetadataError, match=f"{CSV_NAME}, line 3, column {column}: "):
        read(bad)
    with pytest.raises(MetadataError, match=f"{JSON_NAME}, row 1, column {column}: "):
        read(ROWS, bad)


def test_a_year_that_is_not_its_folders_is_refused() -> None:
    """The year decides how a name is read, so it must be the name's own."""
    bad = {**ROWS[0], "year": 2009}
    with pytest.raises(MetadataError, match=r"line 2, column year: .*year is 2009, but .* '2008/"):
        read([bad])


@given(st.integers(1, len(as_csv(ROWS)) - 1))
def test_a_csv_that_is_cut_off_is_never_taken_for_whole(cut: int) -> None:
    """At any byte but its last line's end: the JSON knows what is missing."""
    whole = as_csv(ROWS)
    short = whole[:cut]
    if whole.removeprefix(short).strip():
        with pytest.raises(MetadataError):
            reconciled_metadata(short, as_json(ROWS))


@given(st.integers(0, len(as_json(ROWS)) - 1))
def test_a_json_that_is_cut_off_is_never_taken_for_whole(cut: int) -> None:
    """At any byte."""
    with pytest.raises(MetadataError):
        reconciled_metadata(as_csv(ROWS), as_json(ROWS)[:cut])


@given(st.binary(max_size=200))
def test_rubbish_is_an_error_that_says_so(rubbish: bytes) -> None:
    """Any bytes in place of a file: our error, which a catalogue asset reports, and no other."""
    for in_csv, in_json in ((rubbish, as_json(ROWS)), (as_csv(ROWS), rubbish)):
        with pytest.raises(CatalogueError):
            reconciled_metadata(in_csv, in_json)


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"null",
        b"[" * 100_000,
        json.dumps({column: [1] for column in COLUMNS}).encode(),
        json.dumps({column: {} for column in COLUMNS}).encode(),
        as_json(ROWS).replace(b'"2": "train"', b'"7": "train"'),
    ],
)
def test_json_of_another_shape_is_refused(content: bytes) -> None:
    """Lists, nothing, depth without end, columns without rows or of different rows."""
    with pytest.raises(MetadataError, match=JSON_NAME):
        reconciled_metadata(as_csv(ROWS), content)


@pytest.mark.parametrize(
    "content", [b"", as_csv([]), as_csv(ROWS).replace(b",train,", b",train,,")]
)
def test_csv_of_another_shape_is_refused(content: bytes) -> None:
    """Nothing, a header alone, a cell too many."""
    with pytest.raises(MetadataError, match=CSV_NAME):
        reconciled_metadata(content, as_json(ROWS))


def test_a_change_of_every_row_makes_a_message_that_can_be_read() -> None:
    """1,276 rows with the same fault: a few are shown, the others counted."""
    rows = [cells(f"a{number}", split="TRAIN") for number in range(1276)]
    with pytest.raises(MetadataError, match="and 1,271 more") as caught:
        read(rows)
    assert len(str(caught.value)) < 2_000


paths = st.tuples(
    st.integers(1900, 2100),
    st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1),
).map(lambda parts: f"{parts[0]}/{parts[1]}.wav")


@given(st.lists(paths, unique=True, min_size=1))
def test_recording_ids_are_partition_keys_and_tell_files_apart(names: list[str]) -> None:
    """Whatever the file is called: a safe name of its own, with room for a segment's number."""
    ids = [recording_id_of(name) for name in names]
    check_partition_keys(ids)
    assert max(map(len, ids)) <= 110


def test_recording_ids_are_as_they_were() -> None:
    """They are file names of what is stored: a changed rule would orphan everything."""
    assert recording_id_of("2009/MIDI-Unprocessed_01_R1_2009_01-04_ORIG_MID--AUDIO_01.wav") == (
        "maestro_2009_MIDI-Unprocessed_01_R1_2009_01-04_ORIG_MID--AUDIO_01"
    )
    assert recording_id_of("2009/Étude no. 1.wav") == "maestro_2009_-tude-no--1-dc8d1a4a"
    assert recording_id_of(f"2009/{'x' * 200}.wav") == f"maestro_2009_{'x' * 88}-475549d0"


@pytest.mark.parametrize("other", ["2008/B.wav", "2008/b.flac"])
def test_two_files_that_would_be_one_recording_are_refused(other: str) -> None:
    """Also where only the letters' case differs, which some disks do not keep apart."""
    rows = [cells("b"), {**cells("c"), "audio_filename": other}]
    with pytest.raises(MetadataError, match="would both be the recording"):
        read(rows)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with both files under `/v3/`."""
    with serve([], title="Bucket") as running:
        running.pages[f"/v3/{CSV_NAME}"] = FixedPage(as_csv(ROWS), content_type="text/csv")
        running.pages[f"/v3/{JSON_NAME}"] = FixedPage(as_json(ROWS))
        yield running


@pytest.mark.parametrize("base", ["/v3/", "/v3", f"/v3/{RELEASE}.zip", "/v3/?key=1"])
def test_files_are_fetched_from_a_server(base: str, site: Site) -> None:
    """The folder with or without its slash, or the archive that they lie beside."""
    assert read_metadata(f"{site.url}{base}") == read(ROWS)


def test_a_client_that_is_given_is_used_and_left_open(site: Site) -> None:
    """Whoever opened it closes it."""
    with httpx.Client(trust_env=False) as client:
        assert read_metadata(f"{site.url}/v3/", client=client) == read(ROWS)
        assert not client.is_closed


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(
    "fault",
    [
        FixedPage("", status=503),
        FixedPage("", status=429, headers={"retry-after": "0"}),
        FixedPage(as_csv(ROWS)[:50], torn=True),
    ],
)
def test_what_passes_is_tried_again(fault: FixedPage, site: Site) -> None:
    """A fault of the server, a rate limit, a torn connection: the next answer is taken whole."""
    site.faults[f"/v3/{CSV_NAME}"] = [fault, fault]
    assert read_metadata(f"{site.url}/v3/") == read(ROWS)
    assert site.requests[f"/v3/{CSV_NAME}"] == 3


@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_stays_broken_is_named_with_the_way_out(site: Site) -> None:
    """After a few tries; the error says that it may pass, and how to do without the server."""
    site.pages[f"/v3/{CSV_NAME}"] = FixedPage("", status=500)
    with pytest.raises(MetadataUnreachableError, match=r"answered 500; .*file:///"):
        read_metadata(f"{site.url}/v3/")
    assert site.requests[f"/v3/{CSV_NAME}"] == ATTEMPTS


@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_is_gone_is_unreachable() -> None:
    """Nothing listens there any more."""
    with serve([], title="Gone") as site:
        url = site.url
    with pytest.raises(MetadataUnreachableError, match="cannot be read"):
        read_metadata(url)


def test_a_pause_that_is_too_long_ends_the_tries(site: Site) -> None:
    """An hour is not waited for."""
    site.pages[f"/v3/{CSV_NAME}"] = FixedPage("", status=429, headers={"retry-after": "3600"})
    with pytest.raises(MetadataUnreachableError, match="answered 429"):
        read_metadata(f"{site.url}/v3/")
    assert site.requests[f"/v3/{CSV_NAME}"] == 1


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (FixedPage("no", status=403), "answered 403; MAESTRO_BASE_URL must be the folder"),
        (FixedPage("no", status=404), "answered 404; MAESTRO_BASE_URL must be the folder"),
        (FixedPage("<html>Sign in to this network</html>"), "no column canonical_composer"),
        (FixedPage(b"x" * (MAX_BYTES + 1)), "is larger than 10,000,000 bytes"),
    ],
)
def test_what_is_no_metadata_is_refused_at_once(page: FixedPage, said: str, site: Site) -> None:
    """A refusal, a wrong folder, a network's own page, something huge: asked for once."""
    site.pages[f"/v3/{CSV_NAME}"] = page
    with pytest.raises(MetadataError, match=said):
        read_metadata(f"{site.url}/v3/")
    assert site.requests[f"/v3/{CSV_NAME}"] == 1


def written(folder: Path) -> Path:
    """A folder with both files."""
    folder.mkdir(parents=True)
    (folder / CSV_NAME).write_bytes(as_csv(ROWS))
    (folder / JSON_NAME).write_bytes(as_json(ROWS))
    return folder


def zipped(path: Path, top: str = f"{RELEASE}/") -> Path:
    """A zip with both files, below its top folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{top}2008/", b"")
        archive.writestr(f"{top}{CSV_NAME}", as_csv(ROWS))
        archive.writestr(f"{top}{JSON_NAME}", as_json(ROWS))
    return path


def test_files_are_read_from_this_machine(tmp_path: Path) -> None:
    """A folder, one that holds the unpacked release, a zip, and a folder that holds the zip."""
    plain = written(tmp_path / "a folder")
    written(tmp_path / "unpacked" / RELEASE)
    whole = zipped(tmp_path / "downloaded" / f"{RELEASE}.zip")
    flat = zipped(tmp_path / "flat.zip", top="")
    places = [plain, tmp_path / "unpacked", whole, whole.parent, flat]
    for base in places:
        assert read_metadata(base.as_uri()) == read(ROWS), base


def test_a_zip_of_audio_alone_takes_the_metadata_beside_it(tmp_path: Path) -> None:
    """As they lie in the bucket."""
    folder = written(tmp_path / "bucket")
    with zipfile.ZipFile(folder / "audio.zip", "w") as archive:
        archive.writestr(f"{RELEASE}/2008/a.wav", b"RIFF")
    assert read_metadata((folder / "audio.zip").as_uri()) == read(ROWS)


@given(st.data())
def test_a_damaged_zip_is_an_error_or_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut off anywhere, or one byte changed: never other metadata, never another error."""
    folder = tmp_path_factory.mktemp("damaged")
    archive = zipped(folder / "maestro.zip")
    content = bytearray(archive.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    archive.write_bytes(content)
    try:
        metadata = read_metadata(archive.as_uri())
    except MetadataError:
        return
    assert metadata == read(ROWS)


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        ("", "neither http"),
        ("/data/maestro", "neither http.*file:///path"),
        ("gs://magentadata/datasets", "neither http"),
        ("file://data/maestro", "no absolute path; three slashes"),
        ("file:maestro", "no absolute path"),
        ("file:///no/such/folder", "there is no /no/such/folder"),
        (f"file:///{'x' * 300}", "cannot be read"),
        ("http://[bad", "no address"),
        ("http://", "no address"),
    ],
)
def test_an_address_that_cannot_be_read_is_explained(base_url: str, said: str) -> None:
    """A typing error in the environment is an error that says what to write."""
    with pytest.raises(MetadataError, match=said):
        read_metadata(base_url)


def test_a_folder_without_the_metadata_is_named(tmp_path: Path) -> None:
    """The file and both places where it was looked for."""
    with pytest.raises(MetadataError, match=f"{CSV_NAME} is in neither of {tmp_path} and .*zip"):
        read_metadata(tmp_path.as_uri())


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the release's metadata are not at {SHARED}")
def test_the_release_itself() -> None:
    """1,276 recordings of 198.65 hours, and seven titles that differ in quotes."""
    metadata = read_metadata(SHARED.as_uri())
    assert len(metadata.rows) == RELEASE_RECORDINGS
    assert sum(row.duration_s for row in metadata.rows) / 3600 == pytest.approx(198.65, abs=0.01)
    assert len({(row.composer, row.title) for row in metadata.rows}) == 856
    assert len(metadata.differences) == 7
    assert {item.csv_title for item in metadata.differences} == {
        f'"{item.json_title}"' for item in metadata.differences
    }
    check_partition_keys([row.recording_id for row in metadata.rows])
