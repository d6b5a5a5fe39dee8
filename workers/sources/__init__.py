"""Sources of images: folders, lists and tar shards, here or in an object store."""

from workers.sources.absent import job_hint
from workers.sources.image import ImageRef
from workers.sources.source import Opener, images_by_class

__all__ = ["ImageRef", "Opener", "images_by_class", "job_hint"]
