"""Errors of an S3 server and of the way to it, as one clear sentence for each case."""

import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from adapters.errors import InputError, NacreError, StoreRefusedError, UnavailableError
from cluster.stores.flow import SilenceError
from cluster.stores.s3_settings import S3Settings
from workers.store.answers import (
    IN_DOUBT,
    OF_OBJECTS,
    PASSING,
    REFUSED,
    Answer,
    Meaning,
    of_answer,
)

_REFUSALS = {
    "NoSuchBucket": "the bucket {bucket!r} does not exist at {endpoint}; create it, or correct the "
    "URL of the store",
    "InvalidAccessKeyId": "{endpoint} does not know the access key of the environment; set "
    "NACRE_S3_ACCESS_KEY and NACRE_S3_SECRET_KEY to the right ones",
    "SignatureDoesNotMatch": "{endpoint} knows the access key, but the secret key is wrong; set "
    "NACRE_S3_SECRET_KEY to the right one",
    "AccessDenied": "{endpoint} refuses access to bucket {bucket!r}: let the access key list, "
    "read, write and delete there",
    "ExpiredToken": "{endpoint} says that the session token has expired; set AWS_SESSION_TOKEN and "
    "its keys anew",
    "RequestTimeTooSkewed": "the clock of this machine differs too much from that of {endpoint}; "
    "set the clock",
}


def classify(error: Exception) -> Answer:
    """Return what `error`, raised by the minio client, means for its request."""
    status, code = _answered(error)
    if status is not None:
        answer = of_answer(status, code)
        # What is no XML comes from something on the way, which knows nothing of objects.
        foreign = isinstance(error, InvalidResponseError) and answer.meaning in OF_OBJECTS
        return IN_DOUBT if foreign else answer
    if isinstance(error, urllib3.exceptions.SSLError):
        return REFUSED
    unsent = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return PASSING if isinstance(error, unsent) else IN_DOUBT


def explain(error: Exception, settings: S3Settings, *, tries: str = "") -> NacreError:
    """Return the error to raise when a request finally failed with `error`.

    Args:
        error: Of the last attempt.
        settings: Where the bucket is.
        tries: How often it was asked, and how long; nothing where that is not worth a word.
    """
    facts = {"endpoint": settings.endpoint, "bucket": settings.bucket}
    status, code = _answered(error)
    meaning = classify(error).meaning
    if isinstance(error, urllib3.exceptions.SSLError):
        return StoreRefusedError(_tls_sentence(error, settings), **facts)
    if code in _REFUSALS:
        return StoreRefusedError(_REFUSALS[code].format(**facts), code=code, **facts)
    said = f"{code or status}: {getattr(error, 'message', None) or 'no reason given'}"
    if meaning is Meaning.REFUSED:
        return StoreRefusedError(
            f"{settings.endpoint} denies access to bucket {settings.bucket!r} ({said}); correct "
            "the keys or their rights",
            code=code or str(status),
            **facts,
        )
    if meaning is Meaning.FINAL:
        return InputError(
            f"{settings.endpoint} refuses a request on bucket {settings.bucket!r} ({said}); check "
            "that the URL of the store is right and that the server is one of S3",
            code=code or str(status),
            **facts,
        )
    if status is not None:
        return UnavailableError(
            f"the object store at {settings.endpoint} cannot serve a request now ({said}); try "
            "again later",
            code=code or str(status),
            **facts,
        )
    if _is_unreadable(error):
        return UnavailableError(
            f"{settings.endpoint} does not answer for bucket {settings.bucket!r} as S3 does "
            f"({error or type(error).__name__}); check that it is an S3 server and what changes "
            "its answers on the way, then try again",
            **facts,
        )
    silence = _silence(error)
    if silence is not None:
        return UnavailableError(
            f"the object store at {settings.endpoint} {silence}{tries}: look whether it, or what "
            "is before it, hangs, and restart that; then try again",
            **facts,
        )
    return UnavailableError(
        f"the object store at {settings.endpoint} cannot be reached ({_reason(error)}): check "
        "that it runs and that the address is right, then try again",
        **facts,
    )


def _answered(error: Exception) -> tuple[int | None, str | None]:
    """Return status and code of the answer that `error` is; None for both where there was none."""
    if isinstance(error, S3Error):
        return int(error.response.status), error.code
    if isinstance(error, ServerError):
        return int(error.status_code), None
    if isinstance(error, InvalidResponseError):  # no XML: a proxy on the way, or no S3 server
        return int(error._code), None
    return None, None


def _is_unreadable(error: Exception) -> bool:
    """Return whether there was an answer that cannot be taken apart, or lacks something."""
    way = (MinioException, urllib3.exceptions.HTTPError, OSError)
    return isinstance(error, (ValueError, SyntaxError)) and not isinstance(error, way)


def _silence(error: BaseException | None) -> SilenceError | None:
    """Return the end of a flow that has led to `error`; None where nothing of the kind has."""
    while error is not None and not isinstance(error, SilenceError):
        error = error.__cause__ or error.__context__
    return error


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
