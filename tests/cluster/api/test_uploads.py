"""Images in a request: both forms give the same, and every mistake is a sentence."""

import base64
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from cluster.api.problems import add_problems
from cluster.api.uploads import received_images
from cluster.wire.predictions import MAX_IMAGES

Named = list[tuple[str, int]]


@pytest.fixture
def service() -> TestClient:
    """Return an API that answers with name and size of every image that it was sent."""
    api = FastAPI()
    add_problems(api)

    @api.post("/images")
    async def images(request: Request) -> Named:
        return [(name, len(content)) for name, content in await received_images(request)]

    return TestClient(api)


def encoded(content: bytes) -> dict[str, str]:
    return {"data": base64.b64encode(content).decode()}


def test_files_of_a_form_come_with_their_names(service: TestClient) -> None:
    files = [("images", ("a.png", b"123")), ("images", ("b.jpg", b"12345"))]
    assert service.post("/images", files=files).json() == [["a.png", 3], ["b.jpg", 5]]


def test_images_in_json_are_named_by_their_place(service: TestClient) -> None:
    document = {"images": [encoded(b"123"), encoded(b"12345")]}
    answer = service.post("/images", json=document).json()
    assert answer == [["images[0]", 3], ["images[1]", 5]]


def test_a_file_larger_than_memory_buffers_comes_whole(service: TestClient) -> None:
    content = bytes(3 * 2**20)
    answer = service.post("/images", files={"images": ("a.png", content)}).json()
    assert answer == [["a.png", 3 * 2**20]]


def test_an_unknown_field_of_a_form_is_named(service: TestClient) -> None:
    files = {"images": ("a.png", b"123"), "notes": ("n.txt", b"hello")}
    response = service.post("/images", files=files)
    assert response.status_code == 422
    assert "notes" in response.json()["detail"]


def test_the_kind_of_a_body_is_read_without_regard_to_case(service: TestClient) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n1\r\n--x--\r\n'
    )
    headers = {"Content-Type": "Multipart/Form-Data; boundary=x"}
    assert service.post("/images", content=body, headers=headers).json() == [["a", 1]]


BODIES: list[tuple[str, dict[str, Any], str]] = [
    ("no body", {"content": b""}, "a multipart form with files called `images`"),
    ("not JSON", {"content": b"hello"}, "Expecting value"),
    ("no images", {"json": {}}, "expected the key 'images'"),
    ("an empty list", {"json": {"images": []}}, "at least 1 item"),
    ("too many", {"json": {"images": [{"data": ""}] * (MAX_IMAGES + 1)}}, "at most 64 items"),
    ("bad base64", {"json": {"images": [{"data": "!!!!"}]}}, "base64"),
    ("half a base64", {"json": {"images": [{"data": "abc"}]}}, "images[0].data"),
    ("other letters", {"json": {"images": [{"data": "é"}]}}, "ASCII"),
    ("no text", {"json": {"images": [{"data": 5}]}}, "valid string"),
    ("bare strings", {"json": {"images": ["abcd"]}}, "images.0"),
    (
        "a picture alone",
        {"content": b"\xff\xd8", "headers": {"Content-Type": "image/jpeg"}},
        "found a body of image/jpeg: it is no text",
    ),
    ("packed", {"content": b"\x1f\x8b", "headers": {"Content-Encoding": "gzip"}}, "not unpacked"),
    ("another key", {"json": {"images": [{"data": "MQ=="}], "topk": 3}}, "unknown key 'topk'"),
    ("a part of another name", {"files": {"image": ("a.png", b"1")}}, "(the form has `image`)"),
    ("other names", {"files": {"image": ("a.png", b"123")}}, "called `images`, found none"),
    ("a form without files", {"files": {"x": ("x", b"")}}, "found none"),
]


@pytest.mark.parametrize(
    ("body", "detail"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES]
)
def test_what_holds_no_images_is_refused_with_a_sentence(
    service: TestClient, body: dict[str, Any], detail: str
) -> None:
    response = service.post("/images", **body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert detail in response.json()["detail"]


def test_more_files_than_are_allowed_are_refused(service: TestClient) -> None:
    files = [("images", (f"{number}.png", b"1")) for number in range(MAX_IMAGES + 1)]
    response = service.post("/images", files=files)
    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"
    assert f"at most {MAX_IMAGES} files" in response.json()["detail"]
    assert "several requests" in response.json()["detail"]


def test_as_many_files_as_are_allowed_are_taken(service: TestClient) -> None:
    files = [("images", (f"{number}.png", b"1")) for number in range(MAX_IMAGES)]
    assert len(service.post("/images", files=files).json()) == MAX_IMAGES


FORMS = [
    # no boundary, and a body that is no form
    ("multipart/form-data", b"--x\r\n"),
    ("multipart/form-data; boundary=x", b"hello"),
]


@pytest.mark.parametrize(("kind", "body"), FORMS)
def test_a_form_that_cannot_be_read_is_refused(service: TestClient, kind: str, body: bytes) -> None:
    response = service.post("/images", content=body, headers={"Content-Type": kind})
    assert 400 <= response.status_code < 500
    assert response.headers["content-type"] == "application/problem+json"


def test_a_body_of_unknown_length_is_read(service: TestClient) -> None:
    response = service.post("/images", content=iter([b'{"images": [{"data', b'": "MQ=="}]}']))
    assert response.status_code == 200


def test_a_file_without_a_name_is_not_passed_over(service: TestClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="images"\r\n\r\n1\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = service.post("/images", content=body, headers=headers)
    assert response.status_code == 422
    assert "without a file name" in response.json()["detail"]


def part(name: str, content: bytes, *, end: bytes = b"\r\n", file: str = "") -> bytes:
    """Return a part of a form with the boundary `BOUND`."""
    kind = f'name="{name}"' + (f'; filename="{file}"' if file else "")
    return f"--BOUND\r\nContent-Disposition: form-data; {kind}\r\n\r\n".encode() + content + end


ONE, TWO, CLOSED = part("images", b"1", file="a"), part("images", b"2" * 99, file="b"), b"--BOUND--"
CUT_OFF = {
    "no closing boundary": ONE + TWO,
    "half a closing boundary": ONE + TWO + CLOSED[:-1],
    "a second part that is cut off": ONE + TWO[:-30],
    "the headers of the second part are cut off": ONE + TWO[:30],
    "a field that is cut off": ONE + part("version", b"1", end=b""),
    "a field without a closing boundary": ONE + part("version", b"1"),
    "a boundary behind a bare LF": part("images", b"1", file="a", end=b"\n") + TWO + CLOSED,
    "a boundary with something behind it": ONE + TWO.replace(b"BOUND\r", b"BOUND;\r") + CLOSED,
    "an empty part without its line": part("images", b"", file="a", end=b"") + TWO + CLOSED,
}


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("kind", CUT_OFF)
def test_a_form_that_would_lose_a_part_is_refused(
    service: TestClient, kind: str, step: int
) -> None:
    body = CUT_OFF[kind]
    pieces = (body[start : start + step] for start in range(0, len(body), step))
    headers = {"Content-Type": "multipart/form-data; boundary=BOUND"}
    response = service.post("/images", content=pieces, headers=headers)
    assert response.status_code == 400
    assert "boundary" in response.json()["detail"]


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\nan epilogue\r\n--other\r\n"])
def test_a_whole_form_is_taken_whatever_comes_behind_it(
    service: TestClient, end: bytes, step: int
) -> None:
    body = b"\r\n" + ONE + TWO + CLOSED + end
    pieces = (body[start : start + step] for start in range(0, len(body), step))
    headers = {"Content-Type": "multipart/form-data; boundary=BOUND"}
    assert service.post("/images", content=pieces, headers=headers).json() == [["a", 1], ["b", 99]]
