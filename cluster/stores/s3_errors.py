"""Errors of an S3 server and of the way to it, as one clear sentence for each case."""

from enum import Enum

import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from adapters.errors import InputError, NacreError, StoreRefusedError, UnavailableError
from adapters.guidance import Section
from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.flows.flow import SilenceError
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
    "InvalidAccessKeyId": "{endpoint} does not know the access key of {source}; {remedy}",
    "SignatureDoesNotMatch": "{endpoint} knows the access key of {source}, but the secret key is "
    "wrong; {remedy}",
    "AccessDenied": "{endpoint} refuses access to bucket {bucket!r} for {source}: let the access "
    "key list, read, write and delete there",
    "ExpiredToken": "{endpoint} says that the session token of {source} has expired; {remedy}",
    "InvalidToken": "{endpoint} does not know the session token of {source}; {remedy}",
    "RequestTimeTooSkewed": "the clock of this machine differs too much from that of {endpoint}; "
    "set the clock",
}


_SURE = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"),
        *("InvalidAccessKeyId", "InvalidClientTokenId"),
    }
)
"""Codes of answers that credentials are the reason of."""
_PERHAPS = frozenset({"AccessDenied", "SignatureDoesNotMatch", "BadRequest"})
"""Codes of answers that they may be the reason of. An answer to HEAD has none of its own: minio
makes these of 403 and 400."""


class Doubt(Enum):
    """Whether credentials are why a server refuses."""

    CERTAIN = "certain"
    POSSIBLE = "possible"


def about_credentials(error: S3Error) -> Doubt | None:
    """Return whether other credentials may be let in; None where they would not help."""
    if error.code in _SURE:
        return Doubt.CERTAIN
    return Doubt.POSSIBLE if error.code in _PERHAPS else None


def classify(error: Exception) -> Answer:
    """Return what `error`, raised by the minio client, means for its request."""
    if isinstance(error, NotGivenError):  # nothing was sent
        return PASSING if error.passes else REFUSED
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
    if isinstance(error, NotGivenError) or code in _REFUSALS or code in _SURE:
        return _refused(error, code or "", settings)
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
            help=Section.STORE_AWAY,
        )
    if _is_unreadable(error):
        return UnavailableError(
            f"{settings.endpoint} does not answer for bucket {settings.bucket!r} as S3 does "
            f"({error or type(error).__name__}); check that it is an S3 server and what changes "
            "its answers on the way, then try again",
            **facts,
            help=Section.STORE_AWAY,
        )
    silence = _silence(error)
    if silence is not None:
        return UnavailableError(
            f"the object store at {settings.endpoint} {silence}{tries}: look whether it, or what "
            "is before it, hangs, and restart that; then try again",
            **facts,
            help=Section.STORE_AWAY,
        )
    return UnavailableError(
        f"the object store at {settings.endpoint} cannot be reached ({_reason(error)}): check "
        "that it runs and that the address is right, then try again",
        **facts,
        help=Section.STORE_AWAY,
    )


def _refused(error: Exception, code: str, settings: S3Settings) -> NacreError:
    """Return the error where there are no credentials, or a refusal has its own sentence."""
    facts = {"endpoint": settings.endpoint, "bucket": settings.bucket}
    if isinstance(error, NotGivenError):
        kind = UnavailableError if error.passes else StoreRefusedError
        return kind(error.said, **facts, help=Section.CREDENTIALS)
    source, remedy = settings.credentials.provider.source, "set them anew"
    if source.renews:
        remedy = "write it anew" if source.file_s else "it is asked for others again and again"
    said = _REFUSALS.get(code, "{endpoint} refuses {source}; {remedy}")
    said = said.format(**facts, source=source.said, remedy=remedy)
    waits = source.renews and not source.file_s and code in _SURE
    if waits:
        return UnavailableError(said, code=code, **facts, help=Section.CREDENTIALS)
    return StoreRefusedError(said, code=code, **facts)


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
