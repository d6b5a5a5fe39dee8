"""Errors of an S3 server and of the way to it, as one clear sentence for each case."""

from enum import Enum

import urllib3
from minio.error import S3Error

from adapters.errors import NacreError, SettingsError, UnavailableError
from cluster.stores.s3_settings import S3Settings


class AnswerKind(Enum):
    """What a failed request means for the one who sent it."""

    ABSENT = "absent"  # there is no such object
    LOST = "lost"  # the condition does not hold: somebody was first
    OUT_OF_RANGE = "out of range"  # the object ends before the first byte asked for
    REFUSED = "refused"  # it will fail in the same way until a person changes something
    NOT_SENT = "not sent"  # nothing has happened, trying again may help
    IN_DOUBT = "in doubt"  # a write may have happened


_BY_STATUS = {
    404: AnswerKind.ABSENT,
    409: AnswerKind.LOST,
    412: AnswerKind.LOST,
    416: AnswerKind.OUT_OF_RANGE,
}

_REFUSALS = {
    "NoSuchBucket": "the bucket {bucket!r} does not exist at {endpoint}; create it, or correct the "
    "URL of the store",
    "InvalidAccessKeyId": "{endpoint} does not know the access key of the environment; set "
    "NACRE_S3_ACCESS_KEY and NACRE_S3_SECRET_KEY to the right ones",
    "SignatureDoesNotMatch": "{endpoint} knows the access key, but the secret key is wrong; set "
    "NACRE_S3_SECRET_KEY to the right one",
    "AccessDenied": "{endpoint} refuses access to bucket {bucket!r}: let the access key list, "
    "read, write and delete there",
    "RequestTimeTooSkewed": "the clock of this machine differs too much from that of {endpoint}; "
    "set the clock",
}


def classify(error: Exception) -> AnswerKind:
    """Return what `error`, raised by the minio client, means for its request."""
    if isinstance(error, S3Error):
        if error.code in _REFUSALS:
            return AnswerKind.REFUSED
        status = error.response.status
        return _BY_STATUS.get(status, AnswerKind.IN_DOUBT if status >= 500 else AnswerKind.REFUSED)
    if isinstance(error, urllib3.exceptions.SSLError):
        return AnswerKind.REFUSED
    if isinstance(
        error, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    ):
        return AnswerKind.NOT_SENT
    return AnswerKind.IN_DOUBT


def explain(error: Exception, settings: S3Settings) -> NacreError:
    """Return the error to raise when a request finally failed with `error`."""
    facts = {"endpoint": settings.endpoint, "bucket": settings.bucket}
    if isinstance(error, S3Error) and error.code in _REFUSALS:
        return SettingsError(_REFUSALS[error.code].format(**facts), code=error.code, **facts)
    if isinstance(error, urllib3.exceptions.SSLError):
        return SettingsError(_tls_sentence(error, settings), **facts)
    if isinstance(error, S3Error) and classify(error) is AnswerKind.REFUSED:
        return SettingsError(
            f"{settings.endpoint} refuses a request on bucket {settings.bucket!r}: "
            f"{error.code}: {error.message}",
            code=error.code,
            **facts,
        )
    return UnavailableError(
        f"the object store at {settings.endpoint} cannot be reached ({_reason(error)}): check "
        "that it runs and that the address is right, then try again",
        **facts,
    )


def _tls_sentence(error: Exception, settings: S3Settings) -> str:
    if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER" in str(error):
        return f"{settings.endpoint} does not speak TLS; write http:// in the endpoint"
    return (
        f"the certificate of {settings.endpoint} is not trusted ({_reason(error)}); set "
        "SSL_CERT_FILE to the authority that issued it"
    )


def _reason(error: Exception) -> str:
    """Return the last part of a nested message: the first ones repeat the address."""
    return str(error).rsplit(": ", 1)[-1].strip("()'\", ") or type(error).__name__
