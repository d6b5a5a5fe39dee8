"""Publishing a commit: check, apply, store what the new version needs, and name the new refs."""

from dataclasses import dataclass, field, replace

from workers.registry.apply import applied, published, stored_payload
from workers.registry.commit import Commit, Payload
from workers.registry.documents.accuracy import accuracies_to_bytes
from workers.registry.documents.answer_sheet import sheet_to_bytes
from workers.registry.documents.change import Change, Move, Settled
from workers.registry.documents.forks import check_no_fork
from workers.registry.documents.history import Author
from workers.registry.documents.layout import (
    PRODUCTION,
    Kind,
    Stored,
    accuracies_key,
    answers_key,
    check_alias,
    object_key,
)
from workers.registry.documents.manifest import Manifest, VersionRef
from workers.registry.documents.refs import Refs
from workers.registry.reader import AdapterReader, check_answerable
from workers.registry.requirements import Situation


@dataclass(kw_only=True)
class Publishing:
    """One commit on its way; `decide` may be called again on newer refs.

    Attributes:
        reader: The adapter.
        commit: What is to be published.
        author: Who publishes it, why and when.
    """

    reader: AdapterReader
    commit: Commit
    author: Author
    _stored: set[Stored] = field(default_factory=set)

    def decide(self, refs: Refs) -> Change[Manifest] | Settled[Manifest]:
        """Return the change that publishes the commit on top of `refs`, its objects stored.

        Raises:
            ConflictError: A requirement does not hold any more.
            InputError: The commit is impossible.
        """
        others = tuple(fork for fork in refs.forks if fork.write_id != self.commit.settles)
        if not self.commit.settles:  # one after the other is settled
            check_no_fork(refs.adapter, refs.forks)
        for alias in self.commit.aliases:
            check_alias(alias)
        situation = self._situation(refs)
        done = self._already_published(situation.base)
        if done is not None:
            return Settled(result=done)
        for requirement in self.commit.requirements:
            requirement.check(situation)
        manifest = applied(self.commit, situation, now=self.author.now)
        if PRODUCTION in self.commit.aliases:
            check_answerable(manifest)
        version = VersionRef(number=manifest.number, manifest=self._store(manifest, refs.area))
        return Change(
            refs=published(
                self.commit, replace(refs, forks=others), version, encoder=manifest.encoder
            ),
            move=Move(
                action=self.commit.action,
                author=self.author,
                published=version,
                detail=self.commit.detail,
            ),
            result=manifest,
        )

    def _situation(self, refs: Refs) -> Situation:
        objects = self.reader.objects
        base = refs.find(self.commit.base) if self.commit.base else None
        return Situation(
            refs=refs,
            base=objects.manifest(base.manifest) if base else None,
            latest=objects.entry(refs.history) if refs.history else None,
        )

    def _already_published(self, base: Manifest | None) -> Manifest | None:
        for submission in self.commit.submissions:
            if base is not None and base.has_submission(submission):
                number = self.reader.first_with(base, submission)
                return self.reader.manifest(number or base.number)
        return None

    def _store(self, manifest: Manifest, area: int) -> Stored:
        objects = self.reader.objects
        for payload in self.commit.payloads:
            self._store_payload(payload, area)
        stored = objects.write(Kind.MANIFEST, manifest.to_bytes(), area=area)
        if self.commit.accuracies:
            key = accuracies_key(objects.adapter, stored)
            objects.store.put(key, accuracies_to_bytes(self.commit.accuracies))
        sheet = sheet_to_bytes(self.commit.answers) if self.commit.answers else None
        if sheet is not None:
            objects.store.put(answers_key(objects.adapter, stored), sheet)
        return stored

    def _store_payload(self, payload: Payload, area: int) -> None:
        """Store a payload, once per area: `gc` may collect what lies in an older one."""
        stored = stored_payload(payload, area=area)
        if stored in self._stored:
            return
        objects = self.reader.objects
        objects.store.put(object_key(objects.adapter, Kind.RECORD, stored), payload.read())
        self._stored.add(stored)
