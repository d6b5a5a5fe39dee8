"""Sources of images: folders, lists and tar shards, here or in an object store."""

from workers.sources.absent import job_hint
from workers.sources.image import ImageRef
from workers.sources.source import Opener, Source, read_source
from workers.sources.survey import Survey

__all__ = ["ImageRef", "Opener", "Source", "Survey", "job_hint", "read_source"]
