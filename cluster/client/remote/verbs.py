"""Every verb as a call of the HTTP API; the blocking and the asynchronous client send them."""

from cluster.client.remote.access import AccessCalls
from cluster.client.remote.aliases import AliasCalls
from cluster.client.remote.maintenance import MaintenanceCalls
from cluster.client.remote.measuring import MeasuringCalls
from cluster.client.remote.predictions import PredictionCalls
from cluster.client.remote.submissions import SubmissionCalls
from cluster.client.remote.versions import VersionCalls
from cluster.client.remote.webhooks import WebhookCalls


class Calls(
    SubmissionCalls,
    VersionCalls,
    AliasCalls,
    MaintenanceCalls,
    MeasuringCalls,
    AccessCalls,
    PredictionCalls,
    WebhookCalls,
):
    """Makes the calls of all verbs; nothing is sent.

    Args:
        adapter: Which adapter is meant where a call names none.
    """
