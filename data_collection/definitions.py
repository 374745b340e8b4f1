"""The definitions that Dagster loads, from the environment as it is."""

from data_collection.build import build_defs

defs = build_defs()
