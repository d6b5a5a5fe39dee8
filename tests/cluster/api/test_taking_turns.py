"""Requests of large pictures beside others: nobody waits for all of them."""

import asyncio

import httpx

from tests.cluster.api.conftest import Scene
from tests.support.drivers.api_server import ApiServer
from tests.support.scenes.pictures import flat_png

LARGE = flat_png(3_000, 2_500)
"""Some 20 kB, and more pixels than are decoded at once with others."""
COUNT = 12
TIMEOUT_S = 600.0


async def asked(client: httpx.AsyncClient, *images: bytes) -> httpx.Response:
    files = [("images", (f"{number}.png", image)) for number, image in enumerate(images)]
    return await client.post("/v1/predict", files=files)


async def order_of_answers(url: str, heavy: list[list[bytes]], light: bytes) -> list[str]:
    """Return who was answered when: requests of large pictures, and one that comes after them."""
    order: list[str] = []

    async def ask(name: str, images: list[bytes]) -> None:
        response = await asked(client, *images)
        assert response.status_code == 200, response.text
        order.append(name)

    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
        await asked(client, light)  # the connection is there, and all that is loaded late
        tasks = [asyncio.create_task(ask("heavy", images)) for images in heavy]
        await asked(client, light)  # whatever was sent before it has come when it is answered
        await asyncio.gather(ask("light", [light]), *tasks)
    return order


def test_a_request_of_many_large_pictures_makes_nobody_wait(
    server: ApiServer, scene: Scene
) -> None:
    order = asyncio.run(order_of_answers(server.url, [[LARGE] * COUNT], scene.bag))
    assert order == ["light", "heavy"]


def test_nor_do_many_requests_of_one_large_picture(server: ApiServer, scene: Scene) -> None:
    order = asyncio.run(order_of_answers(server.url, [[LARGE]] * COUNT, scene.bag))
    assert order.index("light") < COUNT // 2
