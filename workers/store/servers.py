"""Servers of object stores by the names that they give themselves, and which releases hold what."""

from collections.abc import Collection
from urllib.parse import urlsplit

from workers.store.conditions import Condition
from workers.store.scratch import Scratch, new_body

UNNAMED = "a server that does not say its name"
MEASURED = "docs/stores.md lists servers that were measured"
_MINIO: dict[Condition, str] = {
    Condition.TAKEN: "MinIO honours it in releases of June 2024 and later",
    Condition.GONE: "MinIO honours it in releases of September 2025 and later",
}


def server_of(scratch: Scratch) -> str:
    """Return what answers for a store: what the server calls itself, with its release if it says.

    Raises:
        NotFoundError: What was just written is not to be found.
        UnavailableError: The store cannot be reached.
    """
    store = scratch.store
    if urlsplit(store.url).scheme != "s3":
        return "a folder of this machine"
    key = scratch.new_key()
    store.put(key, new_body())
    name: str = getattr(store, "server", lambda _key: "")(key)
    return name or UNNAMED


def advice(server: str, broken: Collection[Condition]) -> str:
    """Return what to do about a server that breaks conditions, as a part of a sentence."""
    known = _MINIO if "minio" in server.casefold() else {}
    told = [known[each] for each in broken if each in known]
    if not told:
        return MEASURED
    return f"{', and '.join(told)}: start a later one on the same drives; {MEASURED}"
