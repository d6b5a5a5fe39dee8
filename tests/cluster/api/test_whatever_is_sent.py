"""Whatever is sent, the service answers, and never by a fault of its own."""

import base64
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import pytest
from hypothesis import strategies as st

from tests.cluster.api.conftest import Scene
from tests.fuzz.effort import try_all
from tests.fuzz.hostile import NUMBERS, TEXTS, VALUES, damaged, json_of, one_of, tampered
from tests.support.drivers.api_server import ApiServer
from tests.support.scenes.uploads import PICTURES, REFUSED, TASK, packed, picture

pytestmark = pytest.mark.slow

EXAMPLES = 400
PICTURE = picture(7)
BODIES = (
    {"version": 1, "why": "x"},
    {"version": 1, "alias": "production"},
    {"version": 1, "serving_only": True},
    {"task": "digits", "relearn": False, "why": "x"},
    {"delete": False, "grace_h": 24, "blobs": True},
    {"number": 1, "sha256": "ab" * 32, "size": 900, "area": 0},
    {"images": [{"data": base64.b64encode(PICTURE).decode()}]},
    {
        "images": [{"data": base64.b64encode(PICTURE).decode()}],
        "top_k": 3,
        "version": 2,
        "tasks": ["fashion"],
        "candidate_labels": ["zebra"],
        "prompt": "a photo of a {}.",
    },
)
ROUTES = (
    "/v1/predict",
    "/v1/embed",
    "/v1/adapters/{}/predict",
    "/v1/adapters/{}/versions",
    "/v1/adapters/{}/aliases",
    "/v1/adapters/{}/accuracy",
    "/v1/adapters",
    "/v1/adapters/{}/history",
    "/v1/adapters/{}/diff",
    "/v1/adapters/main/versions/{}",
    "/v1/adapters/main/versions/{}/mistakes",
    "/v1/adapters/main/aliases/{}",
    "/v1/adapters/{}/pause",
    "/v1/adapters/{}/resume",
    "/v1/tokens",
    "/v1/tokens/{}/revoke",
    "/v1/audit",
    "/v1/adapters/{}/promote",
    "/v1/adapters/{}/rollback",
    "/v1/adapters/{}/drop",
    "/v1/adapters/{}/held/digits",
    "/v1/adapters/main/held/{}",
    "/v1/adapters/main/versions/{}/export",
    "/v1/adapters/{}/import",
    "/v1/adapters/{}/verify",
    "/v1/adapters/{}/settle",
    "/v1/adapters/{}/purge",
    "/v1/adapters/{}/gc",
    "/v1/refusals",
    "/v1/behind",
    "/v1/methods",
    "/v1/encoders",
    "/v1/adapters/{}/prepare",
    "/v1/adapters/{}/follow",
    "/v1/tasks",
    "/v1/tasks/{}",
    "/v1/tasks/{}/events",
    "/v1/tasks/{}/logs",
    "/v1/tasks/{}/cancel",
    "/v1/tasks/{}/retry",
    "/v1/health/live",
    "/v1/health/ready",
    "/v1/status",
    "/v1/metrics",
    "/{}",
)
VERBS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
KINDS = (
    "application/json",
    "application/problem+json",
    "application/yaml",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=x; charset=unicode_escape",
    "multipart/form-data; boundary=x; charset=punycode",
    "multipart/form-data; boundary=x; charset=utf-16",
    "; boundary=",
    "",
)
NAMES = st.one_of(
    st.sampled_from(["main", "other", "digits", "main@1", "main@production", *TEXTS]),
    st.just(5000).map(lambda digits: "9" * digits),
    st.text(max_size=12).map(lambda text: f"main@{text}"),
    st.text(max_size=300),
)
QUERY = st.dictionaries(
    st.sampled_from(["version", "top_k", "tasks", "candidate_labels", "prompt", "images", "x"]),
    st.one_of(
        st.sampled_from([*map(str, NUMBERS), *TEXTS, "nan", "true", "-1"]),
        st.just(5000).map(lambda digits: "9" * digits),
        st.text(max_size=20),
    ),
    max_size=3,
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["X-Request-Id", "X-Request-Timeout-Ms", "Authorization", "Accept", "Expect", "Origin"]
    ),
    st.sampled_from(["", "1", "-1", "9" * 300, "Bearer é", "é" * 200, "100-continue", "a b\tc"]),
    max_size=3,
)


@dataclass(frozen=True)
class Sent:
    """One request."""

    verb: str
    path: str
    query: dict[str, str]
    kind: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """Return a multipart form, of which some is right."""
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        name = draw(
            st.sampled_from(["images", "task", "archive", "alias", "tasks", "prompt", "top_k", ""])
        )
        file = draw(st.sampled_from(["", '; filename="a.png"', '; filename=""', "; filename*=x"]))
        content = draw(
            st.one_of(
                damaged((PICTURE,)),
                damaged((TASK.encode(),)),
                damaged((packed(*PICTURES),)),
                st.sampled_from([rb"\ud800", rb"name: \ud800", b"a photo of a {}.", b""]),
                one_of({what: task.encode() for what, (task, _, _) in REFUSED.items()}),
                one_of({what: packed(*more) for what, (_, more, _) in REFUSED.items() if more}),
            )
        )
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + draw(st.sampled_from([b"--x--\r\n", b"", b"--x"]))


REQUESTS = st.builds(
    lambda route, name, **more: Sent(path=route.format(quote(name, safe="")), **more),
    route=st.sampled_from(ROUTES),
    name=NAMES,
    verb=st.sampled_from((*VERBS, "POST", "POST", "POST", "POST")),
    query=QUERY,
    kind=st.sampled_from(KINDS),
    body=st.one_of(
        tampered(BODIES).map(json_of),
        VALUES.map(json_of),
        forms(),
        damaged((TASK.encode(),)),
        st.binary(max_size=64),
    ),
    headers=HEADERS,
)


@pytest.fixture(scope="module")
def changed(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Return an API whose store may be changed."""
    folder = tmp_path_factory.mktemp("changed")
    shutil.copytree(scene.config.store.removeprefix("file://"), folder / "store")
    with ApiServer(replace(scene.config, store=f"file://{folder}/store")) as running:
        yield running


def test_whatever_is_sent_no_answer_is_a_fault_of_the_service(changed: ApiServer) -> None:
    codes: Counter[int] = Counter()

    def check(sent: Sent) -> None:
        headers = [(name.encode(), value.encode("latin-1")) for name, value in sent.headers.items()]
        if sent.kind:
            headers.append((b"Content-Type", sent.kind.encode()))
        response = client.request(
            sent.verb, sent.path, params=sent.query, content=sent.body, headers=headers
        )
        codes[response.status_code] += 1
        assert response.status_code < 500 or response.status_code in (503, 504), response.text
        assert "Traceback" not in response.text
        assert "/tmp/" not in response.text

    with changed.client() as client:
        try_all(check, REQUESTS, count=EXAMPLES)
    assert {200, 404, 422} <= codes.keys()


SURPRISES = [
    # path, body as it is written
    ("/v1/adapters/main/rollback", b'{"version": true}'),
    ("/v1/adapters/main/rollback", b'{"version": 1.0}'),
    ("/v1/adapters/main/promote", b'{"version": NaN}'),
    ("/v1/adapters/main/promote", b'{"version": 1, "version": 2}'),
    ("/v1/adapters/main/promote", b'{"version": 1, "why": "\\ud800"}'),
    ("/v1/adapters/main/promote", b'{"version": ' + b"9" * 5000 + b"}"),
    ("/v1/adapters/main/promote", b'{"version": 1, "alias": "' + b"9" * 5000 + b'"}'),
    ("/v1/adapters/main/promote", b'{"version": 1, "alias": "a\\u0000b"}'),
    ("/v1/adapters/a%00b/promote", b'{"version": 1}'),
    ("/v1/adapters/main/promote", b"[" * 60_000),
    ("/v1/adapters/main/prepare", b'{"number": 1, "size": 1, "area": false}'),
    ("/v1/predict", b'{"images": ' * 1_000),
    ("/v1/predict", b'{"images": [{"data": ""}], "version": Infinity}'),
    ("/v1/predict", b'{"images": [{"data": ""}], "version": true}'),
]


@pytest.mark.parametrize(("path", "body"), SURPRISES)
def test_what_has_two_meanings_or_none_is_refused(
    changed: ApiServer, path: str, body: bytes
) -> None:
    with changed.client() as client:
        response = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
