"""Opening an object store by its URL."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from adapters.errors import InputError
from workers.store import ObjectStore, open_local_store
from workers.store.conditional_writes import check_conditional_writes


def open_store(
    url: str,
    *,
    probed: bool = False,
    existing: bool = False,
    environment: Mapping[str, str] | None = None,
) -> ObjectStore:
    """Return the object store at `url`.

        memory://NAME           in this process; the same store for the same name
        file:///FOLDER          in a folder of this machine
        s3://BUCKET/PREFIX      on an S3 server; ?endpoint=http://HOST:PORT and ?region=NAME
                                may follow, credentials come from the environment alone

    Args:
        url: Where the store is.
        existing: Whether a folder must be a store already. What `nacre up` has started says so: a
            folder that is empty when it is started again has lost what was there.
        probed: Also make sure, by a short race, that conditional writes are honoured.
        environment: Stands for the environment of the process where it is given.

    Raises:
        InputError: The URL is of no known kind.
        SettingsError: The endpoint, the credentials or the bucket are missing or refused, or the
            store does not honour conditional writes.
        UnavailableError: The store cannot be reached.
    """
    store = _open(url, os.environ if environment is None else environment, existing=existing)
    if probed:
        check_conditional_writes(store)
    return store


def _open(url: str, environment: Mapping[str, str], *, existing: bool) -> ObjectStore:
    scheme = urlsplit(url).scheme
    if scheme in ("memory", "file"):
        return open_local_store(url, existing=existing)
    if scheme == "s3":
        # minio takes a tenth of a second to import, which local stores need not pay.
        from cluster.stores.s3 import S3Store
        from cluster.stores.s3_settings import S3Settings

        return S3Store(S3Settings.from_url(url, environment))
    raise InputError(
        f"{url!r} is not an object store: expected memory://NAME, file:///FOLDER or "
        "s3://BUCKET/PREFIX",
        url=url,
    )
