"""Pictures of what was submitted, small enough for a page."""

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from cachetools import LRUCache
from PIL import Image

from adapters.errors import CorruptionError, MissingError, NotFoundError
from cluster.client.client import Client
from workers.images.decode import decode_image
from workers.store.blobs import BlobRef, get_blob
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Shard, Submission, is_swept, read_submission

SIDE = 96
"""Pixels of the longer side."""
MOST_KEPT_BYTES = 64 * 2**20
OF_A_CLASS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureRef:
    """Names a picture of a submission.

    Attributes:
        submission_id: The submission.
        shard: Which of its shards, counted from 0.
        place: Which image of that.
    """

    submission_id: str
    shard: int
    place: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PicturedClass:
    """One class of a submission.

    Attributes:
        key: Its key.
        name: Its readable name.
        train: How many images are learnt from.
        held_out: How many are measured on.
        pictures: Some of them.
    """

    key: str
    name: str
    train: int
    held_out: int
    pictures: Sequence[PictureRef]


class Pictures:
    """Finds submissions, and makes small pictures of their images. Safe between threads.

    Args:
        client: Of the system.
    """

    # Owns: what was read and made lately, guarded by `_lock`.

    def __init__(self, client: Client) -> None:
        self._client = client
        self._submissions: LRUCache[str, Submission] = LRUCache(100)
        self._made: LRUCache[tuple[str, int], bytes] = LRUCache(MOST_KEPT_BYTES, getsizeof=len)
        self._lock = threading.Lock()

    def submission(self, submission_id: str) -> Submission:
        """Return a submission; NotFoundError where there is none."""
        with self._lock:
            found = self._submissions.get(submission_id)
        if found is None:
            found = read_submission(self._client.store, submission_id)
            with self._lock:
                self._submissions[submission_id] = found
        return found

    def classes(self, submission: Submission) -> list[PicturedClass]:
        """Return the classes of a submission, each with a few of its pictures."""
        counts = {split: [0] * len(submission.classes) for split in ("train", "held_out")}
        shown: list[list[PictureRef]] = [[] for _ in submission.classes]
        for number, shard in enumerate(submission.shards):
            for place, label in enumerate(shard.labels):
                counts[shard.split][label] += 1
                if len(shown[label]) < OF_A_CLASS:
                    ref = PictureRef(
                        submission_id=submission.submission_id, shard=number, place=place
                    )
                    shown[label].append(ref)
        return [
            PicturedClass(
                key=entry.key,
                name=entry.name,
                train=counts["train"][index],
                held_out=counts["held_out"][index],
                pictures=shown[index],
            )
            for index, entry in enumerate(submission.classes)
        ]

    def of_tests(self, submission_id: str) -> list[PictureRef]:
        """Return the test images of a submission, in the order in which versions answer them.

        Those of a submission that is not stored here, or whose images were removed, are none.
        """
        try:
            submission = self.submission(submission_id)
        except (NotFoundError, MissingError, CorruptionError):
            return []
        if is_swept(self._client.store, submission_id):
            return []
        return [
            PictureRef(submission_id=submission_id, shard=number, place=place)
            for number, shard in enumerate(submission.shards)
            if shard.split == "held_out"
            for place in range(len(shard.labels))
        ]

    def small(self, ref: PictureRef) -> bytes:
        """Return a picture as a JPEG of at most `SIDE` pixels.

        Raises:
            NotFoundError: there is no such picture, or it was removed since.
        """
        submission = self.submission(ref.submission_id)
        if not ref.shard < len(submission.shards):
            raise NotFoundError(f"{ref.submission_id} has no shard {ref.shard}")
        shard = submission.shards[ref.shard]
        if not ref.place < len(shard.labels):
            raise NotFoundError(f"shard {ref.shard} of {ref.submission_id} has no {ref.place}")
        with self._lock:
            made = self._made.get((shard.digest, ref.place))
        if made is None:
            self._make(shard)
            with self._lock:
                made = self._made.get((shard.digest, ref.place))
        if made is None:
            raise NotFoundError(f"no picture can be made of image {ref.place} of that shard")
        return made

    def _make(self, shard: Shard) -> None:
        """Make the small pictures of a whole shard, which is read once."""
        try:
            ref = BlobRef(sha256=shard.digest, size=shard.size)
            images = unpack_shard(get_blob(self._client.store, ref, prefix=SHARDS))
        except (NotFoundError, MissingError, CorruptionError) as error:
            raise NotFoundError(f"the images are not stored any more: {error.message}") from error
        for place, image in enumerate(images):
            made = _small(image)
            with self._lock:
                self._made[shard.digest, place] = made


def _small(content: bytes) -> bytes:
    picture = decode_image(content, origin="an image of a shard")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    written = io.BytesIO()
    picture.convert("RGB").save(written, "JPEG", quality=82)
    return written.getvalue()
