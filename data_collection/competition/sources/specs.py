"""What an edition file says of a source of results: where it is and how to read it.

What belongs here: the form of the `results:` list and its validation. What does not: fetching
(`pages`) and reading (`roster_source`, `table_file`, `cms`, `html`, `wikipedia`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

NUMBER_FIELD = "{number}"


def _is_web_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("an address starts with http:// or https://")
    return url


def _is_selector(selector: str) -> str:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    css, _, _ = selector.partition("@")
    try:
        LexborHTMLParser("<p>x</p>").css(css or "p")
    except (SelectolaxError, ValueError) as error:
        raise ValueError(f"{css!r} is no CSS selector ({error})") from error
    return selector


def _is_path(path: str) -> str:
    import jmespath

    try:
        jmespath.compile(path)
    except jmespath.exceptions.JMESPathError as error:
        raise ValueError(f"{path!r} is no JMESPath expression ({error})") from error
    return path


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


WebUrl = Annotated[str, AfterValidator(_is_web_url)]
Selector = Annotated[str, Field(min_length=1), AfterValidator(_is_selector)]
JsonPath = Annotated[str, Field(min_length=1), AfterValidator(_is_path)]
JsonPaths = Annotated[tuple[JsonPath, ...], BeforeValidator(_as_tuple)]
Columns = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Source(BaseModel):
    """What all sources have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    name: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9_-]*)?$",
        description="what rows and folders call it; its kind, where not given",
    )
    required: bool = Field(
        default=False, description="without it there are no results; otherwise it costs a warning"
    )
    stages: dict[str, str] = Field(
        default_factory=dict, description="round id by what this source calls it"
    )
    prizes: dict[str, int | None] = Field(
        default_factory=dict,
        description="prize number by what this source calls it; null: no prize",
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("name"):
            return {**data, "name": data.get("source") or ""}
        return data

    def named_rounds(self) -> set[str]:
        """Ids of the rounds that this source's description mentions."""
        return set(self.stages.values())


class RosterSource(Source):
    """The edition's own roster, a CSV file of one form (`competition.roster`)."""

    source: Literal["roster"]
    path: str = Field(min_length=1, description="relative to the edition file")
    required: bool = True


class FileColumns(BaseModel):
    """Which column, or which field of a JSON object, means what; several are joined by a space."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    performer: Columns = Field(default=("performer",), min_length=1)
    country: Columns = ("country",)
    reached_stage: Columns = ("reached_stage",)
    prize: Columns = ("prize",)
    withdrew: Columns = ("withdrew",)


class FileSource(Source):
    """A CSV or JSON file of another form, here or on the web."""

    source: Literal["file"]
    path: str = Field(
        min_length=1, description="relative to the edition file, absolute, or an http(s) URL"
    )
    columns: FileColumns = Field(default_factory=FileColumns)
    rows: JsonPath = Field(default="@", description="JSON: path of the list of rows")
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="CSV: comma or semicolon if not given"
    )
    required: bool = True

    @property
    def is_web(self) -> bool:
        """Whether it has to be fetched."""
        return self.path.startswith(("http://", "https://"))


class NumberRange(BaseModel):
    """Which numbers to ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: int = Field(default=1, ge=0)
    last: int = Field(default=400, ge=0, le=100_000)
    stop_after_missing: int = Field(
        default=25, ge=1, description="so many missing in a row are taken for the end"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last ({self.last}) is less than first ({self.first})")
        return self


class CmsFields(BaseModel):
    """Where an answer says what, as JMESPath expressions; the first that gives something counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: JsonPaths = Field(
        default=("data.attributes", "data", "attributes", "participant", "@"),
        description="the object of one competitor within an answer",
    )
    performer: JsonPaths = Field(
        default=(
            "name",
            "full_name",
            "fullName",
            "join(' ', [first_name, last_name])",
            "join(' ', [firstName, lastName])",
            "join(' ', [firstname, lastname])",
            "join(' ', [name.first, name.last])",
            "join(' ', [first_name, surname])",
        ),
        min_length=1,
    )
    country: JsonPaths = (
        "join('/', countries[].name)",
        "join('/', countries[].title)",
        "join('/', countries)",
        "country.name",
        "country.title",
        "country",
        "nationality",
    )
    stages: JsonPaths = Field(
        default=(
            "reached_stage",
            "reachedStage",
            "stages[].name",
            "stages[].title",
            "stages",
            "rounds[].name",
            "rounds[].title",
            "rounds",
            "stage.name",
            "stage.title",
            "stage",
            "round.name",
            "round",
        ),
        description="the round reached, or the list of rounds; words, not the database's ids",
    )
    prize: JsonPaths = ("prize.number", "prize.place", "prize.name", "prize", "place", "award.name")
    withdrew: JsonPaths = ("withdrew", "withdrawn", "resigned")


class CmsSource(Source):
    """The JSON of a headless CMS: a record a competitor, or one index with all."""

    source: Literal["cms"]
    url: WebUrl | None = Field(
        default=None, description="address of a record, with `{number}` where its number stands"
    )
    numbers: NumberRange = Field(default_factory=NumberRange)
    index: WebUrl | None = Field(
        default=None, description="address of a list of records, or of the numbers to ask for"
    )
    entries: JsonPaths = Field(
        default=("data", "items", "results", "participants", "competitors", "@"),
        description="where an index has its list",
    )
    number: JsonPaths = Field(
        default=("id", "number"), description="a record's number, in an index"
    )
    fields: CmsFields = Field(default_factory=CmsFields)

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if self.url is None and self.index is None:
            raise ValueError("neither url nor index: nowhere to look")
        if self.url is not None and NUMBER_FIELD not in self.url:
            raise ValueError(f"url has no {NUMBER_FIELD}; one address with all records is an index")
        return self


class HtmlPage(BaseModel):
    """One page of a site."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: WebUrl
    round: str | None = Field(default=None, description="id of the round that all on it reached")


class HtmlSource(Source):
    """A site's HTML, by CSS selectors; `selector@attribute` reads an attribute."""

    source: Literal["html"]
    pages: tuple[HtmlPage, ...] = Field(min_length=1)
    row: Selector = Field(description="each element that stands for a competitor")
    performer: Selector = Field(description="within a row; `@attribute` alone is the row's own")
    country: Selector | None = None
    stage: Selector | None = Field(default=None, description="what the round is called there")
    prize: Selector | None = None
    withdrew: Selector | None = Field(
        default=None, description="what is there only for one who withdrew, or says so in words"
    )

    def named_rounds(self) -> set[str]:
        """Ids of the rounds that this source's description mentions."""
        return super().named_rounds() | {page.round for page in self.pages if page.round}


class WikipediaSource(Source):
    """A Wikipedia page in English, by its `wikitable`s."""

    source: Literal["wikipedia"]
    url: WebUrl


ResultSource = Annotated[
    RosterSource | FileSource | CmsSource | HtmlSource | WikipediaSource,
    Field(discriminator="source"),
]
