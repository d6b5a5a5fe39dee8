"""Support bundle: what somebody needs who is to find out from afar what is wrong, in one archive.

Each part is made by itself, within a time of its own: one that cannot be made says why, and the
others are there. Every text goes through the same masking.
"""

import io
import os
import platform
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from adapters.errors import InputError, UnavailableError, reason_of
from cluster.config import Config, home
from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.credentials.files import profiles_of, read_text
from cluster.stores.credentials.shared import secrets_held
from cluster.system.support_parts import MOST_OF_PART, PARTS, Files, Surroundings
from cluster.variables import PREFIX
from cluster.version import this_build
from cluster.wire.outputs.system import BundledPart, SupportBundle
from workers.logs.masking import Masking
from workers.logs.secrets import secrets_in, secrets_of
from workers.progress_callbacks import ProgressCallback, unwatched
from workers.registry.archive import new_file
from workers.webhooks.webhook import registered

MOST_IN_ALL = 64 * 2**20
"""Of all files as they are unpacked; nothing is begun beyond it."""
LEAST = 4
"""Characters of a known secret: somebody else reads it, and too much is hidden rather."""
README = """What this is
============

Made by `nacre support-bundle` at {when}, on {host}, by nacre {release}.

Secrets that are known where it was made, and whatever looks like one, stand as "***":
{hidden} places. Look through it before you send it: it names adapters, tasks, classes, machines,
addresses, and people by the names that they have for nacre. It has no image.

{parts}
"""


def write_bundle(
    path: Path, seen: Surroundings, *, now: float, on_progress: ProgressCallback = unwatched
) -> SupportBundle:
    """Write the new file `path`, and return what is in it.

    Raises:
        InputError: there is one, or no file can be made there.
        UnavailableError: it cannot be written whole; nothing of it is left then.
    """
    try:
        with new_file(path) as file:
            os.fchmod(file.fileno(), 0o600)  # for whoever has made it alone
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
                parts, hidden = _gathered(archive, seen, now=now, on_progress=on_progress)
            file.flush()
            size = file.tell()
    except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        raise InputError(
            f"{path} cannot be made ({error.strerror}); choose another place", path=str(path)
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written ({error.strerror}); nothing of it is left: make room, or "
            "choose another place",
            path=str(path),
        ) from error
    return SupportBundle(file=str(path), size_bytes=size, hidden=hidden, parts=parts)


class _Hiding:
    """Masks the texts of a bundle, and counts how much."""

    # Owns: how much was hidden.

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self.hidden = 0

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        text, hidden = self._masking.counted(text)
        self.hidden += hidden
        return text


def _gathered(
    archive: tarfile.TarFile, seen: Surroundings, *, now: float, on_progress: ProgressCallback
) -> tuple[list[BundledPart], int]:
    on_progress(0, len(PARTS))
    hiding, told = _hiding(seen)
    top = time.strftime("nacre-support-%Y%m%d-%H%M%S", time.gmtime(now))
    parts: list[BundledPart] = []
    left = MOST_IN_ALL
    for done, (name, make) in enumerate(PARTS.items()):
        on_progress(done, len(PARTS))
        limit_s = seen.verify_s + 5.0 if name == "verify" else seen.part_s
        found = _made(make, seen, limit_s=limit_s)
        size = 0
        for file, text in found.files:
            if left <= 0:
                found.missing = f"the bundle has {MOST_IN_ALL} bytes already"
                break
            size += _add(archive, f"{top}/{hiding.text(file)}", hiding.text(_cut(text)), now)
        left -= size
        missing = hiding.text(found.missing) if found.missing else None
        parts.append(BundledPart(part=name, size_bytes=size, missing=missing))
    on_progress(len(PARTS), len(PARTS))
    listed = [f"{each.part}: {each.missing or f'{each.size_bytes} bytes'}" for each in parts]
    readme = README.format(
        when=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)),
        host=platform.node(),
        release=this_build(),
        hidden=hiding.hidden,
        parts="\n".join([*listed, *map(hiding.text, told)]),
    )
    _add(archive, f"{top}/README.txt", readme, now)
    return parts, hiding.hidden


def _hiding(seen: Surroundings) -> tuple[_Hiding, list[str]]:
    """Return what hides the secrets that are known here, and what could not be looked at for it."""
    secrets, addresses, told = secrets_of(seen.environment), list[str](), list[str]()
    own = Path(seen.environment.get("HOME") or "/")
    for name, file in (("token", own / ".ray" / "auth_token"), *_secret_files(seen)):
        with suppress(NotGivenError):
            secrets += secrets_in({name: read_text(file).strip()})
    profiles = seen.environment.get("AWS_SHARED_CREDENTIALS_FILE")
    with suppress(NotGivenError):
        for section in profiles_of(Path(profiles or own / ".aws" / "credentials")).values():
            secrets += secrets_in(section)
    if isinstance(seen.config, Config):
        addresses += seen.config.events.allow
    found = _made(lambda each: _of_webhooks(each, secrets, addresses), seen, limit_s=seen.part_s)
    if found.missing:
        told.append(f"(the secrets of webhooks are hidden by their shape alone: {found.missing})")
    secrets += secrets_held()  # the store is open by now
    return _Hiding(Masking(secrets, addresses=addresses, shortest=LEAST)), told


def _of_webhooks(seen: Surroundings, secrets: list[str], addresses: list[str]) -> Files:
    for webhook in registered(seen.documents().client.store):
        addresses.append(webhook.url)
        secrets += [each.value for each in webhook.secrets]
    yield "", ""


def _secret_files(seen: Surroundings) -> Iterator[tuple[str, Path]]:
    """Yield files that hold a secret and nothing else, and what each is."""
    named = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    for name in (f"{PREFIX}TOKEN_FILE", *named):
        if file := seen.environment.get(name):
            yield "token", Path(file)
    if isinstance(seen.config, Config) and seen.config.remote.token_file:
        yield "token", Path(seen.config.remote.token_file).expanduser()
    keys = Path(seen.environment.get(f"{PREFIX}KEYS") or home() / "keys")
    with suppress(OSError):  # there are none, or others may not look there
        yield from ((file.name, file) for file in sorted(keys.iterdir()))


@dataclass(kw_only=True)
class _Made:
    """What became of a part."""

    files: list[tuple[str, str]] = field(default_factory=list)
    missing: str | None = None


def _made(make: Callable[[Surroundings], Files], seen: Surroundings, *, limit_s: float) -> _Made:
    """Make a part in a thread of its own, which is left where it does not end."""
    found, ended = _Made(), threading.Event()

    def run() -> None:
        files: list[tuple[str, str]] = []
        try:
            files.extend(make(seen))
        except Exception as error:  # noqa: BLE001 - whatever is wrong is what is to be told
            found.missing = reason_of(error)
        found.files = files
        ended.set()

    threading.Thread(target=run, name="support", daemon=True).start()
    if not ended.wait(limit_s):
        return _Made(missing=f"it was not made within {limit_s:.0f} s")
    return found


def _cut(text: str) -> str:
    """Return as much of a text as a part may have, in whole lines: half a secret is one."""
    if len(text) <= MOST_OF_PART:
        return text
    kept = text[:MOST_OF_PART].rpartition("\n")[0]
    return f"{kept}\n… cut after {len(kept)} of {len(text)} characters\n"


def _add(archive: tarfile.TarFile, name: str, text: str, now: float) -> int:
    data = text.encode(errors="backslashreplace")
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), int(now), 0o600
    archive.addfile(entry, io.BytesIO(data))
    return len(data)
