"""The programme of each recording of an edition, chosen from all that is known of it.

What belongs here: gathering the texts and choosing. What does not: reading a text (`programme`),
fetching one, and what a segment gets of it (`signal`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data_collection.competition.editions import Edition
from data_collection.competition.listing import ListedRow
from data_collection.competition.programme import (
    Problem,
    Programme,
    choose_programme,
    programme_from_chapters,
    programme_from_title,
    read_programme,
)
from data_collection.competition.programme_overrides import read_programme_overrides
from data_collection.competition.rows import (
    CompetitionRecording,
    ProgrammeItemRow,
    ProgrammeProblemRow,
    ProgrammeRow,
)
from data_collection.recordings.video_page import VideoPage


@dataclass(frozen=True, slots=True)
class Programmes:
    """The programmes of an edition's recordings."""

    rows: tuple[ProgrammeRow, ...]
    problems: tuple[ProgrammeProblemRow, ...]


def gather_programmes(
    edition: Edition,
    recordings: Sequence[CompetitionRecording],
    listing: Sequence[ListedRow],
    page_of: Callable[[str], VideoPage | None],
) -> Programmes:
    """Choose each recording's programme.

    Args:
        edition: names the composer that is meant where none is named, and the overrides.
        recordings: the catalogue.
        listing: what was listed, some of it with a description.
        page_of: the page that was read with a recording's audio, by its id.

    Raises:
        CatalogueError: the overrides cannot be used.
    """
    overrides: Mapping[str, Programme] = {}
    if edition.programmes is not None:
        overrides = read_programme_overrides(
            edition.folder / edition.programmes, default_composer=edition.composer
        )
    listed = {row.recording_id: row.page for row in listing}
    rows: list[ProgrammeRow] = []
    problems = _unknown_overrides(overrides, recordings)
    for recording in recordings:
        page = _page(page_of(recording.recording_id), listed.get(recording.recording_id))
        description, chapters, title = _readings(edition, recording, page)
        choice = choose_programme(
            override=overrides.get(recording.recording_id),
            description=description,
            chapters=chapters,
            title=title,
        )
        chosen = choice.programme
        rows.append(
            ProgrammeRow(
                recording_id=recording.recording_id,
                performer=recording.performer,
                round=recording.round,
                source=chosen.source if chosen else None,
                because=choice.because,
                items=tuple(ProgrammeItemRow.of(item) for item in chosen.items) if chosen else (),
            )
        )
        problems += recording.block_problems
        for programme in (description, chapters):
            problems += _problem_rows(recording.recording_id, programme)
    return Programmes(tuple(rows), tuple(problems))


def _page(fetched: VideoPage | None, listed: VideoPage | None) -> VideoPage | None:
    """What is known of a video's page: as it was fetched, else as the listing had it."""
    if fetched is None or listed is None:
        return fetched or listed
    return fetched.model_copy(
        update={
            "description": fetched.description or listed.description,
            "chapters": fetched.chapters or listed.chapters,
        }
    )


def _readings(
    edition: Edition, recording: CompetitionRecording, page: VideoPage | None
) -> tuple[Programme | None, Programme | None, Programme | None]:
    """What description, chapters and title say; None where there is no such text."""
    if recording.cut_from is not None:
        # The session's description was read with the cut; its chapters are of all its pianists.
        return Programme("description", tuple(row.item() for row in recording.block)), None, None
    composer, duration_s = edition.composer, recording.duration_s
    description = chapters = title = None
    if page is not None:
        duration_s = page.duration_s or duration_s
        if page.description is not None:
            description = read_programme(
                page.description, default_composer=composer, duration_s=duration_s
            )
        if page.chapters:
            chapters = programme_from_chapters(
                [
                    {"start_time": c.start_s, "end_time": c.end_s, "title": c.title}
                    for c in page.chapters
                ],
                default_composer=composer,
                duration_s=duration_s,
            )
    if recording.title_piece is not None:
        title = programme_from_title(
            recording.title_piece, default_composer=composer, duration_s=duration_s
        )
    return description, chapters, title


def _problem_rows(recording_id: str, programme: Programme | None) -> list[ProgrammeProblemRow]:
    if programme is None:
        return []
    return [
        ProgrammeProblemRow.of(recording_id, programme.source, reason, problem)
        for reason, found in (
            ("refused", programme.problems),
            ("not_understood", programme.not_understood),
        )
        for problem in found
    ]


def _unknown_overrides(
    overrides: Mapping[str, Programme], recordings: Sequence[CompetitionRecording]
) -> list[ProgrammeProblemRow]:
    """Overrides of nobody: a mistyped id, or a recording that left the catalogue."""
    reason = "the override file names it, and no recording has this id; correct or delete its rows"
    known = {recording.recording_id for recording in recordings}
    return [
        ProgrammeProblemRow.of(name, "override", "refused", Problem(0, name, reason))
        for name in overrides
        if name not in known
    ]
