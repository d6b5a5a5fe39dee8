"""The alert on credentials that are not renewed: caused, seen to fire, mended, seen to clear."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from minio.credentials.credentials import Credentials

from adapters.errors import NacreError
from cluster.metrics.exposition import CONTENT_TYPE, Shown, exposition
from cluster.stores.credentials import shared as sharing
from cluster.stores.open import open_store
from tests.support.drivers.prometheus import OBSERVE, Prometheus, program, shortened
from tests.support.drivers.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server
from tests.support.fakes.expiring_s3 import ROLE, TOKEN, expiring_s3, sts_error
from workers.metrics import Tally
from workers.metrics.metered_store import MeteredStore

pytestmark = pytest.mark.slow

ALERT, LASTS_S, TIMEOUT_S = "CredentialsExpireSoon", 16.0, 120.0


@contextmanager
def shown(tally: Tally) -> Iterator[str]:
    """Show what was counted, as Ray's agent does; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = exposition(map(Shown.of, tally.points()))
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def until(holds: Callable[[], bool]) -> float:
    """Return the seconds until something holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + TIMEOUT_S, "it does not come to hold"
        time.sleep(0.2)
    return time.monotonic() - began


def test_credentials_that_are_not_renewed_are_told_of_and_given_again_are_not(
    s3_server: S3Server, tmp_path: Path
) -> None:
    program("prometheus")
    sharing._SHARED.clear()
    tally, ending = Tally(), threading.Event()
    tally.before_reading("credentials", lambda: sharing.measure(tally, "a"))
    (tmp_path / "token").write_text(TOKEN)
    keys, rules = Credentials(ACCESS_KEY, SECRET_KEY), (OBSERVE / "alerts.yaml").read_text()
    with (
        expiring_s3(s3_server.port, keys, lasts_s=LASTS_S) as giver,
        shown(tally) as page,
        Prometheus(tmp_path / "p", [page], rules=shortened(rules), every="1s") as prometheus,
    ):
        environment = {
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ENDPOINT_URL_STS": giver.address,
        }
        url = f"s3://{BUCKET}/alerted?endpoint={giver.address}"
        store = MeteredStore(open_store(url, environment=environment), tally)

        def work() -> None:
            while not ending.wait(0.1):
                try:
                    store.put("a", b"1")
                except NacreError:
                    continue

        working = threading.Thread(target=work)
        working.start()
        try:
            given = 'sum(nacre_credential_answers_total{answer="given"})'
            until(lambda: (prometheus.value(given) or 0) >= 2)  # renewed, and nobody is told
            assert ALERT not in prometheus.firing()
            giver.gives = lambda: (403, "text/xml", sts_error("AccessDenied"))
            fired_s = until(lambda: ALERT in prometheus.firing())
            refused = prometheus.value('sum(nacre_credential_answers_total{answer="refused"})')
            assert refused is not None and refused >= 1
            giver.gives = None  # the role trusts again, as the runbook says
            cleared_s = until(lambda: ALERT not in prometheus.firing())
            print(f"fired after {fired_s:.0f} s, cleared {cleared_s:.0f} s after the runbook")
            store.put("b", b"2")
        finally:
            ending.set()
            working.join()
    sharing._SHARED.clear()
