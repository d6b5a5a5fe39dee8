"""The table of a store's answers: which pass, which are final, and which leave a write in doubt.

A server and an operating system answer in some hundred ways. What each means for whoever asked is
decided here once, for commands, workers and coordinator alike:

    PASSING   the store is busy, full, restarting or cut off: the same request may work later
    REFUSED   the store does not let us in now: a key that is being rotated, a clock that is set, a
              certificate or a policy that is renewed. Said at once to a person who waits; what runs
              for ever waits, since whoever changes it does so while it runs
    FINAL     it will fail in the same way until the request is another one
    ABSENT, LOST, OUT_OF_RANGE   are about the object, not about the store

A write that was answered with PASSING may have happened where `in_doubt` says so.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Meaning(Enum):
    """What an answer means for whoever asked."""

    PASSING = "passing"  # try again later
    REFUSED = "refused"  # try again once somebody has let us in
    FINAL = "final"  # ask for something else
    ABSENT = "absent"  # there is no such object
    LOST = "lost"  # the condition does not hold: somebody was first
    OUT_OF_RANGE = "out of range"  # the object ends before the first byte asked for


OF_OBJECTS = frozenset({Meaning.ABSENT, Meaning.LOST, Meaning.OUT_OF_RANGE})
"""About the object that was asked for, not about the store."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A row of the table.

    Attributes:
        meaning: What it means.
        in_doubt: Whether a write that was answered so may have happened all the same.
    """

    meaning: Meaning
    in_doubt: bool = False


PASSING = Answer(meaning=Meaning.PASSING)
IN_DOUBT = Answer(meaning=Meaning.PASSING, in_doubt=True)
REFUSED = Answer(meaning=Meaning.REFUSED)
FINAL = Answer(meaning=Meaning.FINAL)

BY_CODE: Mapping[str, Answer] = {
    # Asked too often, or too slowly: the server has done nothing.
    "SlowDown": PASSING,
    "SlowDownRead": PASSING,
    "SlowDownWrite": IN_DOUBT,  # too few drives have it: those that have it may keep it
    "TooManyRequests": PASSING,
    "RequestLimitExceeded": PASSING,
    "Throttling": PASSING,
    "ThrottlingException": PASSING,
    "ProvisionedThroughputExceededException": PASSING,
    "BandwidthLimitExceeded": PASSING,
    "OperationAborted": PASSING,  # 409 of a bucket that is being changed, not of a condition
    "RequestTimeout": IN_DOUBT,  # 400: the body came too slowly, or its end was not seen
    # Damaged on the way: sent again it may arrive.
    "BadDigest": PASSING,
    "IncompleteBody": PASSING,
    "XAmzContentSHA256Mismatch": PASSING,
    # Full, starting, or between two leaders.
    "XMinioStorageFull": PASSING,
    "XMinioServerNotInitialized": PASSING,
    "InsufficientStorage": PASSING,
    "QuotaExceeded": PASSING,
    "QuotaExceededException": PASSING,
    "ServerNotInitialized": PASSING,
    # Who we are: keys are rotated, tokens run out, clocks are set, policies are attached.
    "InvalidAccessKeyId": REFUSED,
    "SignatureDoesNotMatch": REFUSED,
    "AccessDenied": REFUSED,
    "AllAccessDisabled": REFUSED,
    "AccountProblem": REFUSED,
    "ExpiredToken": REFUSED,
    "ExpiredTokenException": REFUSED,
    "InvalidToken": REFUSED,
    "InvalidClientTokenId": REFUSED,
    "TokenRefreshRequired": REFUSED,
    "RequestTimeTooSkewed": REFUSED,
    "RequestExpired": REFUSED,
    "NoSuchBucket": REFUSED,  # being made again or restored: its objects are not known to be gone
    "NoSuchKey": Answer(meaning=Meaning.ABSENT),
    "NoSuchVersion": Answer(meaning=Meaning.ABSENT),
    "PreconditionFailed": Answer(meaning=Meaning.LOST),
    "ConditionalRequestConflict": Answer(meaning=Meaning.LOST),
    "InvalidRange": Answer(meaning=Meaning.OUT_OF_RANGE),
}
"""By the code in the body of an S3 server's answer."""

BY_STATUS: Mapping[int, Answer] = {
    301: FINAL,  # another region or address: a person must correct the URL
    307: PASSING,  # the bucket is being moved
    401: REFUSED,
    403: REFUSED,
    407: REFUSED,  # of a proxy on the way
    404: Answer(meaning=Meaning.ABSENT),
    408: IN_DOUBT,
    409: Answer(meaning=Meaning.LOST),
    412: Answer(meaning=Meaning.LOST),
    416: Answer(meaning=Meaning.OUT_OF_RANGE),
    421: PASSING,
    423: PASSING,
    425: PASSING,
    429: PASSING,
    501: FINAL,
    505: FINAL,
}
"""By the status, where the code says nothing; other 5xx are in doubt, other 4xx final."""

BY_ERRNO: Mapping[int, Answer] = {
    **dict.fromkeys(
        (
            errno.EIO,  # a disk or its cable, often mended by the next try or by a remount
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EROFS,  # remounted while it is checked, or for good until somebody looks
            errno.ESTALE,  # a file server that came back
            errno.EMFILE,
            errno.ENFILE,
            errno.ENOMEM,
            errno.ENOLCK,
            errno.EAGAIN,
            errno.EINTR,
            errno.EBUSY,
            errno.ETXTBSY,
            errno.ETIMEDOUT,
            errno.EHOSTDOWN,
            errno.EHOSTUNREACH,
            errno.ENETDOWN,
            errno.ENETUNREACH,
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.ECONNABORTED,
            errno.ENOTCONN,  # a file system in user space whose process has died
            errno.EPIPE,
            errno.ENODEV,
            errno.ENXIO,
        ),
        PASSING,
    ),
    # Rights are changed by people while things run, as keys are.
    errno.EACCES: REFUSED,
    errno.EPERM: REFUSED,
    # About the key, whoever asks and whenever.
    errno.ENAMETOOLONG: FINAL,
    errno.EISDIR: FINAL,
    errno.ENOTDIR: FINAL,
    errno.EEXIST: FINAL,
    errno.ENOTEMPTY: FINAL,
    errno.ELOOP: FINAL,
    errno.EINVAL: FINAL,
    errno.EFBIG: FINAL,
    errno.EXDEV: FINAL,
    errno.ENOENT: Answer(meaning=Meaning.ABSENT),
}
"""By the number of an operating system's error; what is not here passes, until proved final."""


def of_answer(status: int, code: str | None = None) -> Answer:
    """Return what an S3 server's answer means, by its code where that says something."""
    if code is not None and code in BY_CODE:
        return BY_CODE[code]
    if status in BY_STATUS:
        return BY_STATUS[status]
    return IN_DOUBT if status >= 500 else FINAL


def of_os_error(error: OSError) -> Answer:
    """Return what an operating system's error means."""
    return BY_ERRNO.get(error.errno or 0, PASSING)
