"""Who played: the ten years' forms of file names, each with its trap, and names of no form."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_collection.maestro.metadata import read_metadata
from data_collection.maestro.performers import (
    BUNDLED_OVERRIDES,
    FIRST_RECITAL_2017,
    FORMS,
    RECITALS_2017,
    PerformerOverrideError,
    PerformerOverrides,
    performers_of,
    read_name,
    read_performer_overrides,
    unmet_overrides,
)
from data_collection.maestro.rows import MetadataRow

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "maestro"

# Names of the release, one or more of each form, with performer and round.
RELEASE_NAMES = """
2004/MIDI-Unprocessed_XP_01_R1_2004_03_ORIG_MID--AUDIO_01_R1_2004_04_Track04_wav 2004_01 1
2004/MIDI-Unprocessed_SMF_02_R1_2004_01-05_ORIG_MID--AUDIO_02_R1_2004_05_Track05_wav 2004_02 1
2004/MIDI-Unprocessed_XP_08_R1_2004_04-06_ORIG_MID--AUDIO_08_R1_2004_05_Track05_wav--1 2004_08 1
# The round without its R.
2004/MIDI-Unprocessed_SMF_12_01_2004_01-05_ORIG_MID--AUDIO_12_R1_2004_03_Track03_wav--1 2004_12 1
2004/MIDI-Unprocessed_SMF_17_R1_2004_01-03_ORIG_MID--AUDIO_17_R1_2004_06_Track06_wav 2004_17 1
# Another number in the MIDI part, and the two rounds of competitor 20 swapped.
2004/MIDI-Unprocessed_SMF_17_R1_2004_01-02_ORIG_MID--AUDIO_20_R2_2004_02_Track02_wav 2004_20 1
2004/MIDI-Unprocessed_SMF_17_R1_2004_03-06_ORIG_MID--AUDIO_20_R2_2004_12_Track12_wav--1 2004_20 1
2004/MIDI-Unprocessed_XP_20_R2_2004_01_ORIG_MID--AUDIO_20_R1_2004_01_Track01_wav 2004_20 2
2006/MIDI-Unprocessed_01_R1_2006_01-09_ORIG_MID--AUDIO_01_R1_2006_01_Track01_wav 2006_01 1
2006/MIDI-Unprocessed_01_R2_2006_01_ORIG_MID--AUDIO_01_R2_2006_01_Track01_wav 2006_01 2
# The number of a disk.
2006/MIDI-Unprocessed_08_R1_2006_01-04_ORIG_MID--AUDIO_08_R1_2006_Disk1_01_Track01_wav 2006_08 1
2008/MIDI-Unprocessed_01_R1_2008_01-04_ORIG_MID--AUDIO_01_R1_2008_wav--1 2008_01 1
2008/MIDI-Unprocessed_02_R3_2008_01-03_ORIG_MID--AUDIO_02_R3_2008_wav--1 2008_02 3
# Number and round doubled.
2009/MIDI-Unprocessed_07_R2_2009_01_ORIG_MID--AUDIO_07_R2_2009_07_R2_2009_01_WAV 2009_07 2
# A disc and a track where the number stands in other years.
2011/MIDI-Unprocessed_01_R1_2011_MID--AUDIO_R1-D1_02_Track02_wav 2011_01 1
2011/MIDI-Unprocessed_25_R3_2011_MID--AUDIO_R3-D9_02_Track02_wav 2011_25 3
# A session and a date before it.
2013/ORIG-MIDI_01_7_10_13_Group_MID--AUDIO_02_R3_2013_wav--1 2013_02 3
2013/ORIG-MIDI_03_7_6_13_Group__MID--AUDIO_09_R1_2013_wav--1 2013_09 1
# A first and a last competitor of a session, or all of them.
2014/MIDI-UNPROCESSED_01-03_R1_2014_MID--AUDIO_02_R1_2014_wav--1 2014_02 1
2014/MIDI-UNPROCESSED_04-07-08-10-12-15-17_R2_2014_MID--AUDIO_10_R2_2014_wav 2014_10 2
2014/MIDI-UNPROCESSED_04-08-12_R3_2014_MID--AUDIO_08_R3_2014_wav 2014_08 3
# The 3 of mp3.
2015/MIDI-Unprocessed_R1_D1-1-8_mid--AUDIO-from_mp3_04_R1_2015_wav--1 2015_04 1
2015/MIDI-Unprocessed_R2_D1-2-3-6-7-8-11_mid--AUDIO-from_mp3_11_R2_2015_wav--1 2015_11 2
# A recital's number.
2017/MIDI-Unprocessed_043_PIANO043_MID--AUDIO-split_07-06-17_Piano-e_1-03_wav--1 2017_43 1
2017/MIDI-Unprocessed_070_PIANO070_MID--AUDIO-split_07-08-17_Piano-e_1-02_wav--2 2017_43 2
2017/MIDI-Unprocessed_081_PIANO081_MID--AUDIO-split_07-09-17_Piano-e_2_-02_wav--1 2017_60 2
# A recital's or a session's number.
2018/MIDI-Unprocessed_Recital1-3_MID--AUDIO_03_R1_2018_wav--1 2018_03 1
2018/MIDI-Unprocessed_Recital12_MID--AUDIO_12_R1_2018_wav--1 2018_12 1
2018/MIDI-Unprocessed_Schubert10-12_MID--AUDIO_17_R2_2018_wav 2018_17 2
2018/MIDI-Unprocessed_Chamber3_MID--AUDIO_10_R3_2018_wav--1 2018_10 3
"""
NAMES = {
    name: expected
    for line in RELEASE_NAMES.strip().splitlines()
    if not line.startswith("#")
    for name, expected in [line.split(" ", maxsplit=1)]
}

# Names that are nearly of a form, or of none, and what the evidence says of them.
NOBODY = {
    "2019/MIDI-Unprocessed_01_R1_2019_MID--AUDIO_01_R1_2019_wav": "known for 2019",
    "2002/AUDIO_01_R1_2002_wav": "known for 2002",
    "2008/MIDI-Unprocessed_01_R1_2008_01-04_ORIG_MID": "has no form of 2008",
    "2008/MIDI-Unprocessed_01_R1_2008_01-04_ORIG_MID--AUDIO_01_R1_2009_wav--1": "form of 2008",
    "2008/MIDI-Unprocessed_01_R1_2008_01-04_ORIG_MID--AUDIO_xx_R1_2008_wav--1": "form of 2008",
    "2008/MIDI-Unprocessed_01_R1_2008_01-04_ORIG_MID--AUDIO_٠١_R1_2008_wav--1": "form of 2008",
    "2008/MIDI-Unprocessed_00_R1_2008_01-04_ORIG_MID--AUDIO_00_R1_2008_wav--1": "number in it",
    "2009/MIDI-Unprocessed_07_R2_2009_01_ORIG_MID--AUDIO_07_R2_2009_08_R2_2009_01_WAV": "of 2009",
    "2011/MIDI-Unprocessed_2011_MID--AUDIO_R1-D1_02_Track02_wav": "number in it",
    "2017/MIDI-Unprocessed_043_PIANO044_MID--AUDIO-split_07-06-17_Piano-e_1-03_wav--1": "number",
    "2017/MIDI-Unprocessed_040_PIANO040_MID--AUDIO-split_07-06-17_Piano-e_1-03_wav--1": "no known",
    "2017/MIDI-Unprocessed_068_PIANO068_MID--AUDIO-split_07-06-17_Piano-e_1-03_wav--1": "no known",
    # A second recital whose first is not known: a person of its own would meet itself in pairs.
    "2017/MIDI-Unprocessed_076_PIANO076_MID--AUDIO-split_07-08-17_Piano-e_1-03_wav--1": "whose",
    "2018/": "form of 2018",
}


def row(name: str) -> MetadataRow:
    """A row whose id is the name, so that the result can be looked up by it."""
    return MetadataRow(
        recording_id=name,
        audio_filename=f"{name}.wav",
        midi_filename=f"{name}.midi",
        composer="Alban Berg",
        title="Sonata Op. 1",
        year=int(name[:4]),
        split="train",
        duration_s=600.0,
    )


def performer(name: str) -> str | None:
    return read_name(f"{name}.wav", int(name[:4])).performer_id


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_a_name_tells_performer_and_round(name: str, expected: str) -> None:
    """Each form of the release with its trap: a wrong number pairs a pianist with themselves."""
    found = read_name(f"{name}.wav", int(name[:4]))
    assert f"{found.performer_id} {found.round}" == expected
    assert found.confidence >= 0.9


@pytest.mark.parametrize(("name", "said"), NOBODY.items())
def test_a_name_of_no_known_form_gives_nobody_and_says_why(name: str, said: str) -> None:
    """An unknown year or shape is not guessed; the evidence names the file."""
    found = read_name(f"{name}.wav", int(name[:4]))
    assert found.performer_id is None
    assert found.confidence == 0
    assert said in found.evidence
    assert f"{name}.wav" in found.evidence


def test_every_year_of_the_release_is_known() -> None:
    """All ten, each with an example above."""
    assert sorted(FORMS) == sorted({int(name[:4]) for name in NAMES})
    assert len(FORMS) == 10


def test_an_odd_name_stops_no_other() -> None:
    """1,275 others are read as they were."""
    odd = "2031/unknown"
    found = performers_of([row(odd), *map(row, NAMES)], PerformerOverrides())
    assert list(found) == [odd, *NAMES]
    assert found[odd].performer_id is None
    assert None not in {found[name].performer_id for name in NAMES}


def test_the_evidence_is_what_was_read() -> None:
    """A person can hold it against the name; a contradiction is told and lowers the confidence."""
    read = {
        name: (found.evidence, found.confidence)
        for name in NAMES
        for found in [read_name(f"{name}.wav", int(name[:4]))]
    }

    def of(part: str) -> tuple[str, float]:
        return next(told for name, told in read.items() if part in name)

    assert of("XP_01_R1_2004") == ("AUDIO_01_R1", 0.99)
    assert of("SMF_17_R1_2004_01-02") == (
        "AUDIO_20_R2; the MIDI part says 17; the MIDI part says round 1",
        0.9,
    )
    assert of("01_R1_2011") == ("MIDI-Unprocessed_01_R1, AUDIO_R1", 0.97)
    assert of("mp3_04") == ("AUDIO-from_mp3_04_R1", 0.97)
    assert of("PIANO043") == ("PIANO043", 0.97)
    assert of("PIANO070") == ("PIANO070, second recital of PIANO043", 0.95)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2014/MIDI-UNPROCESSED_01-03_R1_2014_MID--AUDIO_04_R1_2014_wav--1", "is of 01-03"),
        ("2015/MIDI-Unprocessed_R2_D1-1-8_mid--AUDIO-from_mp3_04_R1_2015_wav", "says round 2"),
        (
            "2018/MIDI-Unprocessed_Schubert1-3_MID--AUDIO_02_R3_2018_wav",
            "Schubert session, round 2",
        ),
        ("2011/MIDI-Unprocessed_01_R2_2011_MID--AUDIO_R1-D1_02_Track02_wav", "says round 2"),
    ],
)
def test_parts_that_contradict_each_other_are_told(name: str, said: str) -> None:
    """The AUDIO part is taken, as everywhere, and the row says that the other disagrees."""
    found = read_name(f"{name}.wav", int(name[:4]))
    assert said in found.evidence
    assert found.confidence == 0.9
    assert found.performer_id is not None
    assert f"R{found.round}_" in name.split("--AUDIO")[1].replace("-", "_")


def test_the_second_recitals_of_2017_are_twelve_people_of_the_first() -> None:
    """Both numbers give one performer; nobody has three."""
    form = "2017/MIDI-Unprocessed_{0:03d}_PIANO{0:03d}_MID--AUDIO-split_07-06-17_Piano-e_1-01_wav"
    assert len(set(FIRST_RECITAL_2017.values())) == 12
    for second, first in FIRST_RECITAL_2017.items():
        assert performer(form.format(second)) == performer(form.format(first)) == f"2017_{first}"
    firsts = {performer(form.format(number)) for number in RECITALS_2017[1]}
    assert len(firsts) == len(RECITALS_2017[1])
    assert None not in firsts


@given(st.integers(1, 99), st.integers(1, 9), st.integers(0, 99), st.integers(1, 9))
def test_number_and_round_are_told_from_all_the_other_numbers(
    number: int, round_: int, track: int, take: int
) -> None:
    """Whatever sessions, tracks and takes are called, they are neither."""
    who, played, track_ = f"{number:02d}", f"R{round_}", f"{track:02d}"
    names = [
        f"2004/MIDI-Unprocessed_XP_{who}_{played}_2004_{track_}_ORIG_MID"
        f"--AUDIO_{who}_{played}_2004_{track_}_Track{track_}_wav--{take}",
        f"2006/MIDI-Unprocessed_{who}_{played}_2006_{track_}_ORIG_MID"
        f"--AUDIO_{who}_{played}_2006_Disk{take}_{track_}_Track{track_}_wav",
        f"2008/MIDI-Unprocessed_{who}_{played}_2008_{track_}_ORIG_MID"
        f"--AUDIO_{who}_{played}_2008_wav--{take}",
        f"2009/MIDI-Unprocessed_{who}_{played}_2009_{track_}_ORIG_MID"
        f"--AUDIO_{who}_{played}_2009_{who}_{played}_2009_{track_}_WAV",
        f"2011/MIDI-Unprocessed_{who}_{played}_2011_MID"
        f"--AUDIO_{played}-D{take}_{track_}_Track{track_}_wav",
        f"2013/ORIG-MIDI_{track_}_7_{take}_13_Group_MID--AUDIO_{who}_{played}_2013_wav--{take}",
        f"2014/MIDI-UNPROCESSED_{track_}-{who}_{played}_2014_MID"
        f"--AUDIO_{who}_{played}_2014_wav--{take}",
        f"2015/MIDI-Unprocessed_{played}_D{take}-{take}-{number}_mid"
        f"--AUDIO-from_mp3_{who}_{played}_2015_wav--{take}",
        f"2018/MIDI-Unprocessed_Recital{number}_MID--AUDIO_{who}_{played}_2018_wav--{take}",
    ]
    for name in names:
        found = read_name(f"{name}.wav", int(name[:4]))
        assert (found.performer_id, found.round) == (f"{name[:4]}_{who}", round_), name


@given(st.text(), st.sampled_from([*FORMS, 2031]))
def test_any_name_is_read_without_an_error(name: str, year: int) -> None:
    """Rubbish gives nobody; the catalogue is made all the same."""
    assert read_name(name, year).performer_id is None
    assert read_name(f"{year}/x--AUDIO{name}.wav", year).evidence


def overrides(tmp_path: Path, text: str) -> PerformerOverrides:
    path = tmp_path / "performers.yaml"
    path.write_text(text, encoding="utf-8")
    return read_performer_overrides(path)


TWO_YEARS = (
    "2008/MIDI-Unprocessed_03_R1_2008_01-04_ORIG_MID--AUDIO_03_R1_2008_wav--1",
    "2011/MIDI-Unprocessed_07_R1_2011_MID--AUDIO_R1-D3_02_Track02_wav",
    "2011/MIDI-Unprocessed_08_R1_2011_MID--AUDIO_R1-D3_08_Track08_wav",
)


def test_somebody_who_came_back_is_one_person(tmp_path: Path) -> None:
    """Ids are written without quotes, which YAML's own rules read as numbers; the first stands."""
    text = (
        "people:\n  - performer_ids: [2011_07, 2008_03]\n    confidence: 0.8\n"
        "    reason: both years' lists\n"
    )
    given_ = overrides(tmp_path, text)
    found = performers_of(map(row, TWO_YEARS), given_)
    assert [found[name].performer_id for name in TWO_YEARS] == ["2008_03", "2008_03", "2011_08"]
    assert found[TWO_YEARS[0]].confidence == 0.99
    assert found[TWO_YEARS[1]].confidence == 0.8
    assert "the same person as 2008_03: both years' lists" in found[TWO_YEARS[1]].evidence
    assert unmet_overrides(map(row, TWO_YEARS), given_) == ()


def test_one_recording_can_be_given_to_another_or_to_nobody(tmp_path: Path) -> None:
    """The entry beats the name, and what is given is joined like any other."""
    text = (
        f"recordings:\n  - audio_filename: {TWO_YEARS[0]}.wav\n    performer_id: 2011_08\n"
        "    round: 3\n    reason: announced\n"
        f"  - audio_filename: {TWO_YEARS[1]}.wav\n    performer_id: null\n    reason: unknown\n"
        "people:\n  - performer_ids: [2009_01, 2011_08]\n    reason: lists\n"
    )
    given_ = overrides(tmp_path, text)
    found = performers_of(map(row, TWO_YEARS), given_)
    assert [found[name].performer_id for name in TWO_YEARS] == ["2009_01", None, "2009_01"]
    assert found[TWO_YEARS[0]].round == 3
    assert found[TWO_YEARS[1]].confidence == 0
    assert found[TWO_YEARS[1]].evidence == "override: unknown"


def test_overrides_that_meet_no_row_are_told(tmp_path: Path) -> None:
    """A typing error would otherwise change nothing, silently."""
    text = (
        "people:\n  - performer_ids: [2008_03, 2011_77, 2017_43, 2017_70]\n    reason: lists\n"
        "recordings:\n  - {audio_filename: 2008/typo.wav, performer_id: 2008_03, reason: x}\n"
    )
    rows = [*map(row, TWO_YEARS), row(next(name for name in NAMES if "070" in name))]
    assert unmet_overrides(rows, overrides(tmp_path, text)) == (
        "2008/typo.wav",
        "2011_77",
        "2017_70",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("people: [", "not YAML"),
        ("just words", "file: "),
        ("persons: []", "persons: Extra inputs"),
        ("people:\n  - performer_ids: [2008_03, 2011_07]\n", "people.0.reason: Field required"),
        ("people:\n  - {performer_ids: [2008_03], reason: x}\n", "people.0.performer_ids"),
        ("people:\n  - {performer_ids: [2008_03, Ada], reason: x}\n", "'Ada' is no performer id"),
        (
            "people:\n  - {performer_ids: [2008_3, 2011_07], reason: x}\n",
            "'2008_3' is no performer",
        ),
        ("people:\n  - {performer_ids: [2008_03, 2017_043], reason: x}\n", "'2017_043' is no"),
        (
            "people:\n  - {performer_ids: [2008_03, 2011_07], reason: x}\n"
            "  - {performer_ids: [2011_07, 2014_01], reason: x}\n",
            "2011_07 stands twice",
        ),
        (
            "recordings:\n  - {audio_filename: a.wav, performer_id: 2008_03, reason: x}\n"
            "  - {audio_filename: a.wav, performer_id: 2008_04, reason: x}\n",
            "a.wav stands twice",
        ),
        ("recordings:\n  - {audio_filename: a.wav, reason: x}\n", "performer_id: Field required"),
        (
            "recordings:\n  - {audio_filename: a, performer_id: 2008_03, round: 0, reason: x}\n",
            "recordings.0.round",
        ),
        (
            "people:\n  - {performer_ids: [2008_03, 2011_07], confidence: 7, reason: x}\n",
            "people.0.confidence",
        ),
    ],
)
def test_a_bad_override_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """File, entry and field; nothing of it is applied."""
    with pytest.raises(PerformerOverrideError, match=r"performers\.yaml: ") as caught:
        overrides(tmp_path, text)
    assert said in str(caught.value)


def test_a_missing_or_unreadable_file_of_overrides_is_named(tmp_path: Path) -> None:
    """It was asked for, so its absence is no empty list."""
    with pytest.raises(PerformerOverrideError, match=r"none\.yaml: cannot be read"):
        read_performer_overrides(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"# \xe9tude")
    with pytest.raises(PerformerOverrideError, match=r"latin\.yaml: not YAML"):
        read_performer_overrides(tmp_path / "latin.yaml")


def test_the_bundled_file_can_be_read_and_its_examples_too(tmp_path: Path) -> None:
    """It claims nothing that is not known; its commented entries have the form that is read."""
    assert read_performer_overrides() == PerformerOverrides()
    lines = BUNDLED_OVERRIDES.read_text(encoding="utf-8").splitlines()
    examples = [line[2:] for line in lines if line.startswith("#   ")]
    at = next(at for at, line in enumerate(examples) if "audio_filename" in line)
    text = "\n".join(["people:", *examples[:at], "recordings:", *examples[at:]])
    shown = overrides(tmp_path, text)
    assert (len(shown.people), len(shown.recordings)) == (1, 1)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the release's metadata are not at {SHARED}")
def test_the_release_has_218_performers() -> None:
    """Of 230 numbers in the years; nobody is left out, and 170 play in more than one split."""
    rows = read_metadata(SHARED.as_uri()).rows
    assert {f"{name}.wav" for name in NAMES} <= {row.audio_filename for row in rows}
    found = performers_of(rows, read_performer_overrides())
    assert None not in {performance.performer_id for performance in found.values()}
    numbers = {
        (row.year, found[row.recording_id].evidence[:8] if row.year == 2017 else id_)
        for row in rows
        if (id_ := found[row.recording_id].performer_id)
    }
    assert len(numbers) == 230
    splits: defaultdict[str | None, set[str]] = defaultdict(set)
    for row in rows:
        splits[found[row.recording_id].performer_id].add(row.split)
    assert len(splits) == 218
    assert sum(len(several) > 1 for several in splits.values()) == 170
    assert Counter(performance.round for performance in found.values()).keys() == {1, 2, 3}
    contradicted = [row.year for row in rows if found[row.recording_id].confidence == 0.9]
    assert contradicted == [2004] * 9
