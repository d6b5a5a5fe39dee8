"""Where the system keeps its things and how it listens: one YAML file, and nothing secret in it.

    store: file:///var/lib/nacre      # or s3://bucket/prefix; credentials come from the environment
    encoder: {model: tiny}
    adapter: main
    method: lada
    serve: {host: 127.0.0.1, port: 8000, replicas: 1}
    workers: {encoders: 1, threads: 1}

Looked for, in this order: the file named by --config or NACRE_CONFIG, `nacre.yaml` in the working
folder, the defaults. NACRE_STORE overrides `store`.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from workers.encoder_settings import EncoderSettings
from workers.settings_file import read_settings
from workers.task import NAME

AtLeastOne = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]

CONFIG_FILE = "nacre.yaml"
TOKEN = "NACRE_TOKEN"
"""The variable that holds the bearer token; the token itself is nowhere else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeConfig:
    """How the replicas listen.

    Attributes:
        host: Address to bind; everything but loopback needs tokens.
        port: TCP port.
        replicas: How many replicas.
        poll_s: How often a replica looks whether `production` has moved.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    replicas: AtLeastOne = 1
    poll_s: Seconds = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkersConfig:
    """How much work goes on at once.

    Attributes:
        encoders: Encoder actors.
        encode_ahead: Submissions embedded at once, the front one included.
        poll_s: How often the coordinator looks for new submissions.
        threads: Torch threads of each actor. More than there are idle cores make a step tens of
            times slower: waiting threads spin.
    """

    encoders: AtLeastOne = 1
    encode_ahead: AtLeastOne = 2
    poll_s: Seconds = 0.5
    threads: AtLeastOne = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Everything that `nacre up` needs to know.

    Attributes:
        store: URL of the object store.
        cache_bytes: Most bytes of records kept on each machine; for stores on other machines.
        adapter: The adapter that replicas serve, and the verbs' default.
        method: How tasks are learnt.
        encoder: What embeds the images.
        serve: How the replicas listen.
        workers: How much work goes on at once.
    """

    cache_bytes: AtLeastOne = 10 * 2**30
    store: str = field(default_factory=lambda: f"file://{home() / 'store'}")
    adapter: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")] = "main"
    method: str = "lada"
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    serve: ServeConfig = field(default_factory=ServeConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)

    @property
    def endpoint(self) -> str:
        """Where the HTTP API answers."""
        return f"http://{self.serve.host}:{self.serve.port}"


def home() -> Path:
    """Return the folder of nacre's own files: NACRE_HOME, or `.nacre` in the home folder."""
    return Path(os.environ.get("NACRE_HOME", Path.home() / ".nacre")).absolute()


def set_home(folder: Path) -> None:
    """Make `folder` the folder of nacre's own files, for this process and those it starts."""
    os.environ["NACRE_HOME"] = str(folder.absolute())


def load_config(path: Path | None = None) -> Config:
    """Return the configuration; see the head of this module for where it is looked for.

    Raises:
        NotFoundError: the named file does not exist.
        SettingsError: a key is unknown or has the wrong type.
    """
    named = path or (Path(os.environ["NACRE_CONFIG"]) if "NACRE_CONFIG" in os.environ else None)
    file = named or (Path(CONFIG_FILE) if Path(CONFIG_FILE).is_file() else None)
    config = read_settings(Config, file) if file else Config()
    store = os.environ.get("NACRE_STORE")
    return replace(config, store=store) if store else config
