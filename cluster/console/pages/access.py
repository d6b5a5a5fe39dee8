"""Access: who somebody is here, the tokens of the service, and where it tells of events."""

import time
from collections.abc import Mapping

from adapters.errors import InputError
from cluster.console.shown.look import Act, Done, Look, Page
from cluster.webhooks.shown import webhook_document
from cluster.wire.access import LIFETIME, NewToken
from cluster.wire.facts import new_token_document, token_document
from workers.access.roles import NEEDED, AccessRole
from workers.queue.machine import EVERY_ADAPTER


def access(look: Look) -> Page:
    """Show who looks and what they may do, and to an admin the tokens and webhooks."""
    return _page(look)


def change(act: Act) -> Done | Page:
    """Make or revoke a token, or try or resume a webhook."""
    look, asked, name = act.look, act.field("do"), act.field("name")
    client, by = look.sources.client, look.requester
    if asked == "create":
        made = client.create_token(
            name,
            role=act.field("role"),
            adapters=[act.field("adapter")] if act.field("adapter") else (),
            lifetime=act.field("lifetime") or LIFETIME,
            by=by,
        )
        return _page(look, made=new_token_document(made))
    if asked == "revoke":
        client.revoke_token(name, by=by)
        return Done(said=f"The token {name} counts no more.", onto=look.path)
    by.check("webhook", EVERY_ADAPTER)
    if asked == "test":
        sent = client.test_webhook(name, by=by)
        said = (
            "it was not sent in time, and is sent as soon as it can be"
            if sent is None
            else sent.said
        )
        return Done(said=f"A test for {name}: {said}.", onto=look.path)
    if asked == "resume":
        client.resume_webhook(name, by=by)
        return Done(said=f"{name} is told of events again.", onto=look.path)
    raise InputError(f"expected to create or revoke a token, found {asked[:40]!r}")


def _page(look: Look, made: NewToken | None = None) -> Page:
    client, now = look.sources.client, time.time()
    tokens = []
    if look.may_somewhere("token"):
        tokens = [token_document(t, now=now) for t in client.tokens(by=look.requester)]
    webhooks = []
    if look.may("webhook", EVERY_ADAPTER):
        webhooks = [webhook_document(*found) for found in client.webhooks()]
    return Page(
        template="access.html.j2",
        title="Access",
        content={
            "made": made,
            "tokens": tokens,
            "webhooks": webhooks,
            "may_token": look.may_somewhere("token"),
            "may_webhook": look.may("webhook", EVERY_ADAPTER),
            "roles": _roles(look),
            "known_roles": list(AccessRole),
            "names": [each.name for each in look.adapters],
            "lifetime": LIFETIME,
        },
    )


def _roles(look: Look) -> list[tuple[str, str, str]]:
    """Return the roles of whoever looks, by adapter, with the verbs that each permits."""
    found: Mapping[str, AccessRole] = look.requester.grants.roles
    return [
        (
            "all adapters" if adapter == EVERY_ADAPTER else adapter,
            role.value,
            ", ".join(sorted(verb for verb, needed in NEEDED.items() if role.covers(needed))),
        )
        for adapter, role in found.items()
    ]
