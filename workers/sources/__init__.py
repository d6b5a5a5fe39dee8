"""Sources of images: folders, lists and tar shards, here or in an object store."""

from workers.sources.places.absent import job_hint
from workers.sources.places.image import ImageRef
from workers.sources.places.survey import Survey
from workers.sources.source import Opener, Source, read_source

__all__ = ["ImageRef", "Opener", "Source", "Survey", "job_hint", "read_source"]
