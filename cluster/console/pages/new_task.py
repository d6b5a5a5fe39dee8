"""New task: a form for a task and its images, which is checked whole before anything is kept."""

from typing import BinaryIO, get_args

import yaml

from adapters.errors import InputError
from cluster.api.lasting.answers import Watch
from cluster.api.task_uploads import unpacked_task
from cluster.console.known.inspections import AMONG, SHOWN, SPLITS, CheckedTask, checked_task
from cluster.console.shown.look import Act, Done, Download, Lasting, Look, Page
from workers.tasks.task_file import SharedNames


def new_task(look: Look) -> Page:
    """Show the form."""
    return _page(look)


def _page(look: Look, checked: CheckedTask | None = None) -> Page:
    return Page(
        template="new_task.html.j2",
        title="New task",
        content={
            "names": [name for name in _names(look) if look.may("submit", name)],
            "shared": get_args(SharedNames),
            "takes_addresses": look.sources.client.config.store.startswith("s3://"),
            "checked": checked,
            "among": AMONG,
            "splits": SPLITS,
        },
    )


def submit(act: Act) -> Done | Download | Lasting:
    """Check what was filled in, submit it, or return it as a file."""
    look = act.look
    content = _task_file(act)
    if act.field("do") == "save":
        return Download(name="task.yaml", kind="text/yaml; charset=utf-8", content=content)
    archive = _archive(act)
    if act.field("do") == "check":
        return _check(act, content, archive)
    accepted = look.sources.tasks.submit(content, archive, by=look.requester)
    task = accepted.submission
    said = f"{task.task} is accepted with {accepted.classes} classes"
    if not accepted.is_new:
        said = f"{task.task} had been submitted before, just as it is"
    notes = "; ".join(accepted.notes)
    return Done(said=f"{said}. {notes}".strip(), onto=f"/console/submissions/{task.submission_id}")


def _check(act: Act, content: bytes, archive: BinaryIO | None) -> Lasting:
    """Return the look at everything that is known of a task before it is submitted."""
    look = act.filled
    look.requester.check("submit", act.field("adapter") or look.sources.client.config.adapter)

    def checked(watch: Watch) -> Page:
        inspections = look.sources.inspections
        watch.step("unpacking", 0, 0)
        with unpacked_task(content, archive, on_seen=watch.check) as (folder, sent):
            features = act.field("features") == "yes"
            wish = inspections.order(
                folder, look.requester, features=features, shown=SHOWN, pictures=True
            )
            done = inspections.inspect(folder, sent, wish, look.requester, watch)
        return _page(look, checked_task(done))

    return Lasting(begun=_page(look), look=look, region="checked", work=checked)


def _archive(act: Act) -> BinaryIO | None:
    archives = act.files.get("archive", ())
    if len(archives) > 1:
        raise InputError("expected one archive with all images of the task, found several")
    return archives[0].file if archives else None


def _names(look: Look) -> list[str]:
    config = look.sources.client.config
    known = (
        *config.served,
        *(name for name in config.adapters if name != "*"),
        *look.known.adapters,
    )
    return list(dict.fromkeys(known))


def _task_file(act: Act) -> bytes:
    fields: dict[str, object] = {"name": act.field("name"), "images": act.field("images")}
    for key in ("held_out", "prompt", "adapter", "augmentation", "replaces", "shared_names"):
        if value := act.field(key):
            fields[key] = value
    if priority := act.field("priority"):
        if not priority.lstrip("-").isdecimal() or len(priority) > 9:
            raise InputError(f"expected a whole number as the priority, found {priority[:20]!r}")
        fields["priority"] = int(priority)
    if named := act.field("classes"):
        fields["classes"] = dict(_class(line) for line in named.splitlines() if line.strip())
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True).encode()


def _class(line: str) -> tuple[str, str]:
    key, separator, name = line.partition(":")
    if not separator or not key.strip() or not name.strip():
        raise InputError(
            f"expected lines such as `ankle_boot: ankle boot`, a folder and a name, found "
            f"{line[:60]!r}"
        )
    return key.strip(), name.strip()
