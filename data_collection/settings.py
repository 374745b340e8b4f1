"""Every environment variable of the project, in one typed place.

What belongs here: names, types, defaults. What does not: reading them at import; `Settings()` reads
the environment when it is called, so a test or the demo passes its own.
"""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PACKAGE = Path(__file__).parent
BUNDLED_EDITION = PACKAGE / "competition" / "editions" / "chopin2021.yaml"
MAESTRO_BUCKET = "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/"


class Settings(BaseSettings):
    """What the environment says; upper-case names, no prefix."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    data_collection_root: str = Field(default="data", description="folder or fsspec URL")
    embeddings_root: str | None = Field(
        default=None, description="where `*muq_embeddings/` lie, if not under the data root"
    )
    competition_edition: Path = Field(default=BUNDLED_EDITION, description="an edition's YAML")
    maestro_base_url: str = Field(
        default=MAESTRO_BUCKET,
        description="folder of the release on a server, or file:///… of its folder or zip",
    )
    maestro_performers: Path = Field(
        default=PACKAGE / "maestro" / "performers.yaml",
        description="YAML of who is whom beyond what MAESTRO's file names tell",
    )
    youtube_channels: Path = Field(
        default=PACKAGE / "youtube" / "channels.yaml", description="YAML of the channels"
    )
    youtube_nightly_budget: int = Field(
        default=400, ge=0, description="recordings fetched in one night, of all channels"
    )
    youtube_night_begins_at: time = Field(
        default=time(20, 0), description="when budgets begin anew, in the night's zone"
    )
    youtube_night_zone: str = Field(default="UTC", description="such as Europe/Berlin")
    youtube_metrics: Path | None = Field(
        default=None, description="JSON of the evaluation by which T4 is wanted or not"
    )
    youtube_forced: bool = Field(default=False, description="T4 is wanted whatever that says")
    augmentation_recipe: Path = Field(
        default=PACKAGE / "augmentation" / "recipes" / "default.yaml",
        description="YAML of the effects that a twin is drawn from",
    )
    augmentation_rooms: Path | None = Field(
        default=None, description="folder of measured room responses (wav); else rooms are made"
    )
    augmentation_seed: int = Field(default=0, description="of every draw")
    muq_checkpoint: str = Field(
        default="OpenMuQ/MuQ-large-msd-iter", description="hub id or local folder"
    )
    muq_revision: str | None = Field(default=None, description="hub branch, tag or commit")
    muq_device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps")
    muq_engine: Literal["lean", "reference"] = Field(
        default="lean", description="`reference`: the muq package's own forward pass"
    )
    muq_precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="of matrix products; auto: bfloat16 where that is faster"
    )
    muq_batch_s: float | None = Field(
        default=None, gt=0, description="seconds of audio at once, if not found from free memory"
    )
    muq_layers: Literal["last"] | list[int] = Field(
        default="last", description="`last`, or hidden states to average, such as [9,10,11,12]"
    )
    muq_pool_frames: int = Field(default=1, ge=1, description="frames averaged to one")
    embedding_backend: Literal["local"] = Field(
        default="local", description="where embeddings are made; only this machine so far"
    )
    fetch_sleep_min_s: float = Field(default=10.0, ge=0, description="pause between downloads")
    fetch_sleep_max_s: float = Field(default=20.0, ge=0, description="longest such pause")
    fetch_attempts: int = Field(default=3, ge=1, description="tries in a run for passing errors")
    fetch_retry_wait_s: float = Field(default=2.0, ge=0, description="pause before the second try")
    source_contact: str | None = Field(
        default=None, description="e-mail or page that sites of results are told to write to"
    )
    teacher_pilot: Path | None = Field(
        default=None, description="JSON of the pilot's decision; without one nothing is asked"
    )
    teacher_model: str = Field(
        default="claude-sonnet-5-5", description="as the API and the price list name it"
    )
    teacher_rubric: Path = Field(
        default=PACKAGE / "teacher" / "rubric.yaml", description="YAML of what is judged, and how"
    )
    teacher_prices: Path = Field(
        default=PACKAGE / "teacher" / "prices.yaml", description="YAML of dated prices"
    )
    teacher_cap_usd: Decimal = Field(
        default=Decimal(0), ge=0, description="what may be spent in all, ever; 0 for nothing"
    )
    teacher_tier_caps_usd: dict[str, Decimal] = Field(
        default_factory=dict, description='of single tiers, such as {"competition": 60}'
    )
    teacher_gate_rule: Literal["strict", "seed"] = Field(
        default="strict",
        description="what opens the gate: the lower end of the interval, or rho itself",
    )
    teacher_wait_s: float = Field(
        default=0.0, ge=0, description="how long a run waits for its batches' answers"
    )
    training_set_seed: int = Field(default=0, description="of the search for a split")
    plan_max_disk_bytes: int | None = Field(
        default=None, ge=0, description="what all tiers may take at the peak"
    )
    plan_max_gpu_hours: float | None = Field(default=None, ge=0, description="for what is left")
    plan_max_nights: int | None = Field(default=None, ge=0, description="of the longest tier")
    plan_max_label_dollars: float | None = Field(
        default=None, ge=0, description="for the labels that are left, USD"
    )
    anthropic_api_key: SecretStr | None = Field(default=None, description="the teacher's key")
    anthropic_base_url: str | None = Field(default=None, description="the teacher's API")
    dagster_home: Path | None = Field(default=None, description="Dagster's instance folder")
