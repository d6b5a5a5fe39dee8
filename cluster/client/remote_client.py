"""The client of a remote system: every verb over HTTP, for callers that wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self

from cluster.client.http_api import HttpApi
from cluster.client.joined import configured
from cluster.client.remote.address import Address, remote_address
from cluster.client.remote.call import Answer, Call
from cluster.client.remote.submissions import POLL_S, WATCHED_S, not_ended, state_of, until_ended
from cluster.client.remote.verbs import Calls
from cluster.config import Config
from cluster.wire.tasks import TaskAccepted, TaskState
from workers.progress_callbacks import ProgressCallback
from workers.queue.ticket import ENDED

if TYPE_CHECKING:
    from workers.intake.drafting import Draft

P = ParamSpec("P")


def _asked(
    build: Callable[Concatenate[Calls, P], Call[Answer]],
) -> "Callable[Concatenate[RemoteClient, P], Answer]":
    """Return the verb that sends the call which `build` makes, and returns its answer."""

    @wraps(build)
    def verb(self: "RemoteClient", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return self.ask(build(self.calls, *args, **kwargs))

    return verb


class RemoteClient:
    """Does what `Client` does to a system elsewhere, over its HTTP API.

        >>> with nacre.RemoteClient() as client:  # url="https://…", token_file="…"
        ...     client.show("production").label
        'main@3'

    Whoever uses it needs a token and no access to the object store. Verbs and their arguments are
    those of `Client`; answers are documents of the HTTP API. Who asks is whose token is sent, so
    that no call has `by`. `adapter` of a call is the configured one where it is None. Safe between
    threads. May be used as a block, at whose end connections are given back.

    A call that changes nothing is sent again while nobody answers; one that changes something only
    where it has not arrived, and is an UnknownOutcomeError where its answer was lost.

    Args:
        config: Where the system is, and which adapter is meant where none is named; looked for as
            `load_config` says where None.
        url: The system's address, instead of `NACRE_URL` and `remote: url`; where none of them is
            set, the API that the configuration says listens here.
        token_file: File with the token, instead of `NACRE_TOKEN_FILE`, `NACRE_TOKEN` and
            `remote: token_file`.
        insecure: Whether the token may be sent over plain HTTP to another machine.

    Attributes:
        config: The configuration.
        address: Where the system is.
        calls: Makes the calls that are sent.

    Raises:
        SettingsError: the address or the token cannot be used, or would be sent unencrypted.
        NotFoundError: there is no such file.
    """

    # Owns: the connections.

    def __init__(
        self,
        config: Config | None = None,
        *,
        url: str | None = None,
        token_file: Path | str | None = None,
        insecure: bool = False,
    ) -> None:
        self.config = config or configured()
        self.address = address_of(self.config, url=url, token_file=token_file, insecure=insecure)
        self.calls = Calls(self.config.adapter)
        address = self.address
        self._api = HttpApi(address.url, token=address.token, is_here=address.is_here)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._api.close()

    def ask(self, call: Call[Answer]) -> Answer:
        """Send a call until it is answered or its time is over, and return the answer."""
        return self._api.ask(call)

    def read_task(
        self, file: "Draft | Path | str", *, adapter: str | None = None
    ) -> Callable[[ProgressCallback], TaskAccepted]:
        """Read a task file, and return what submits the task, given whom to tell how far it is."""
        task = self.calls.read_task(file, adapter=adapter)

        def submit(on_progress: ProgressCallback) -> TaskAccepted:
            return self.ask(self.calls.sending(task, on_progress=on_progress))

        return submit

    submit = _asked(Calls.submit)
    inspect = _asked(Calls.inspect)
    queue = _asked(Calls.queue)
    state = _asked(Calls.state)
    find = _asked(Calls.find)
    cancel = _asked(Calls.cancel)
    retry = _asked(Calls.retry)
    pause = _asked(Calls.pause)
    resume = _asked(Calls.resume)
    journal = _asked(Calls.journal)
    worker_logs = _asked(Calls.worker_logs)
    status = _asked(Calls.status)

    def watch(
        self, submission: str, *, timeout_s: float = WATCHED_S, poll_s: float = POLL_S
    ) -> Iterator[TaskState]:
        """Yield the state of a submission again and again until it has ended.

        The service says whenever it has changed. Where it follows too many already, or the
        connection is lost, it is asked every `poll_s`.

        Raises:
            UnavailableError: it has not ended after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        with closing(self._api.lines(self.calls.following(submission))) as lines:
            for state in map(state_of, lines):
                if state is None:
                    break
                yield state
                if state.stage in ENDED:
                    return
                if time.monotonic() >= deadline:
                    raise not_ended(submission, timeout_s)
        yield from until_ended(
            lambda: self.state(submission),
            lambda state: state.stage,
            submission_id=submission,
            timeout_s=deadline - time.monotonic(),
            poll_s=poll_s,
        )

    adapters = _asked(Calls.adapters)
    versions = _asked(Calls.versions)
    show = _asked(Calls.show)
    aliases = _asked(Calls.aliases)
    history = _asked(Calls.history)
    diff = _asked(Calls.diff)
    mistakes = _asked(Calls.mistakes)
    refusals = _asked(Calls.refusals)
    behind = _asked(Calls.behind)
    held = _asked(Calls.held)
    rollback = _asked(Calls.rollback)
    promote = _asked(Calls.promote)
    alias = _asked(Calls.alias)
    remove_alias = _asked(Calls.remove_alias)
    drop = _asked(Calls.drop)
    relearn = _asked(Calls.relearn)
    export = _asked(Calls.export)
    import_ = _asked(Calls.import_)
    verify = _asked(Calls.verify)
    settle = _asked(Calls.settle)
    purge = _asked(Calls.purge)
    gc = _asked(Calls.gc)
    evaluate = _asked(Calls.evaluate)
    methods = _asked(Calls.methods)
    encoders = _asked(Calls.encoders)
    create_token = _asked(Calls.create_token)
    tokens = _asked(Calls.tokens)
    revoke_token = _asked(Calls.revoke_token)
    sessions = _asked(Calls.sessions)
    end_sessions = _asked(Calls.end_sessions)
    audit = _asked(Calls.audit)
    predict = _asked(Calls.predict)
    embed = _asked(Calls.embed)
    ready = _asked(Calls.ready)
    answering = _asked(Calls.answering)
    add_webhook = _asked(Calls.add_webhook)
    webhooks = _asked(Calls.webhooks)
    webhook = _asked(Calls.webhook)
    remove_webhook = _asked(Calls.remove_webhook)
    rotate_webhook = _asked(Calls.rotate_webhook)
    resume_webhook = _asked(Calls.resume_webhook)
    test_webhook = _asked(Calls.test_webhook)


def address_of(
    config: Config,
    *,
    url: str | None = None,
    token_file: Path | str | None = None,
    insecure: bool = False,
) -> Address:
    """Return the remote system that is named, or else the one that the configuration is of."""
    named = remote_address(config, url=url, token_file=token_file, insecure=insecure)
    return named or Address(url=config.endpoint, is_here=True)
