"""Places of the service's own, as errors over HTTP name them: what was sent, and "the store".

Messages say where something is, which is right for whoever runs the service. Whoever asks over HTTP
knows neither its folders nor its servers, and has no business with them.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from adapters.errors import FieldValue, NacreError, SettingsError
from cluster.config import Config, home
from cluster.stores.s3_settings import S3Settings

_FILE = "file://"
_END = r"(?![^\s;,.)'\"?])"
"""After an address: what goes on is another one, and may be the asker's own."""
_KIND = r"(?:\b[Tt]he (?:object store|store|folder|server|file)(?: (?:at|in))? )?"
"""Before a place: what it is, which its name says too."""
_OTHER = r"(?![\w-])"


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """What stands in messages for the places of a service.

    Attributes:
        addresses: Names by address; an address that only begins so is another one.
        folders: Names by folder; empty for one whose files are called as they are below it.
        bucket: The bucket of the store; empty where it has none.
    """

    addresses: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)
    bucket: str = ""

    @classmethod
    def of(cls, config: Config, environment: Mapping[str, str] = os.environ) -> "Places":
        """Return the places of a service with this configuration."""
        store, bucket = config.store, ""
        addresses, folders = {store: "the store"}, {str(home()): "the home of the service"}
        if store.startswith(_FILE):
            folders = {unquote(store.removeprefix(_FILE)).rstrip("/"): "the store"} | folders
        if store.startswith("s3://"):
            with suppress(SettingsError):  # of the environment; whoever opens the store says so
                settings = S3Settings.from_url(store, environment)
                addresses = {settings.url: "the store"} | addresses
                addresses[settings.endpoint] = "the server of the store"
                bucket = settings.bucket
                source = settings.credentials.source
                addresses.setdefault(source.said, "its credentials")
                for place, name in source.places:
                    addresses.setdefault(place, name)
        return cls(addresses=addresses, folders=folders, bucket=bucket)

    def said(self, text: str) -> str:
        """Return `text` as whoever asks may read it."""
        for address, name in self.addresses.items():
            text = re.sub(_KIND + re.escape(address) + _END, _as_is(name), text)
        for folder, name in self.folders.items():
            text = _without_folder(text, re.escape(folder), name)
        if self.bucket:
            bucket = re.escape(repr(self.bucket))
            text = re.sub(rf"\bno bucket {bucket}", "no such bucket", text)
            text = re.sub(rf"\b(the )?bucket {bucket}", "the bucket of the store", text)
        return text

    def error(self, error: NacreError) -> NacreError:
        """Return an error of the same kind whose message and fields say no more."""
        fields = {name: self._field(value) for name, value in error.fields.items()}
        return type(error).rebuild(self.said(error.message), fields)

    def _field(self, value: FieldValue) -> FieldValue:
        if isinstance(value, tuple):
            return tuple(map(self.said, value))
        return self.said(value) if isinstance(value, str) else value


def _as_is(name: str) -> str:
    """Return a replacement that `re` reads as `name`."""
    return name.replace("\\", r"\\")


def _without_folder(text: str, folder: str, name: str) -> str:
    """Return a text in which a folder, given as a pattern, has another name."""
    if not name:
        text = re.sub(f"{folder}/", "", text)
        return re.sub(_KIND + folder + _OTHER, "the archive", text)
    text = re.sub(rf"(['\"]?){folder}/([^\s;,'\")]+)\1", rf"\1\2\1 in {_as_is(name)}", text)
    text = re.sub(rf"\bat {folder}{_OTHER}/?", f"where {_as_is(name)} is", text)
    return re.sub(rf"{_KIND}{folder}{_OTHER}/?(?: of the store)?", _as_is(name), text)


NOWHERE = Places()
"""Of a service that has no place to keep to itself, as in a test."""


def of_upload(*folders: Path | str) -> Places:
    """Return the places of a task whose files were sent and lie in `folders`, which are one."""
    return Places(folders=dict.fromkeys(map(str, folders), ""))
