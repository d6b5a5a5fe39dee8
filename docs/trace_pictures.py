"""Pictures of the trace of one submission and of one request, as a whole system has made them.

    python -m docs.trace_pictures FOLDER [--without-ray]

It starts a system on a Ray of its own with a collector of its own, submits two examples, asks about
a picture, and writes an SVG of each trace and the spans as JSON. Without Ray all of the system is
in one process, and the pictures show one service.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from tests.support.drivers.collecting import Collected, Collector, collecting
from tests.support.drivers.s3_server import free_port

EXAMPLES = Path(__file__).parents[1] / "cluster" / "examples"
PREDICT = "POST /v1/adapters/{adapter}/predict"
WIDTH, LABELS, ROW, TOP = 1120, 360, 22, 54
COLORS = ("#3b6fb6", "#4f9d69", "#b6763b", "#8d5aa8", "#b6485a", "#5b8a8a", "#7d7d3b")


def main(target: Path, *, on_ray: bool = True) -> None:
    """Write the pictures into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, collecting() as collector:
        (_run if on_ray else _run_here)(Path(name), collector)
        by_trace: dict[str, list[Collected]] = {}
        for each in collector.spans:
            by_trace.setdefault(each.trace, []).append(each)
        for title, wanted in (
            ("submission", "submission published"),
            ("request", PREDICT),
        ):
            chosen = [spans for spans in by_trace.values() if wanted in {s.name for s in spans}]
            spans = sorted(chosen[-1], key=lambda each: each.begun_at)
            (target / f"trace-{title}.svg").write_text(drawn(spans))
            content = json.dumps([asdict(each) for each in spans], indent=1)
            (target / f"trace-{title}.json").write_text(f"{content}\n")


def _run(folder: Path, collector: Collector) -> None:
    """Let a whole system do what is drawn."""
    environment = {
        **os.environ,
        "NACRE_HOME": str(folder / "home"),
        "NACRE_STORE": f"file://{folder}/store",
        "NACRE_SERVE__PORT": str(free_port()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }

    def nacre(*words: str | Path) -> None:
        command = [sys.executable, "-m", "cluster.cli", *map(str, words)]
        subprocess.run(command, env=environment, check=True)

    try:
        nacre("up", "--detach")
        for task in ("clip-art", "digits"):
            copied = shutil.copytree(EXAMPLES / task, folder / task)
            nacre("submit", copied / "task.yaml", "--wait")
        collector.awaited(lambda spans: any(each.name == "served" for each in spans))
        picture = next((EXAMPLES / "digits" / "test").glob("*/*"))
        for _ in range(3):  # the first ones wait for what is loaded when it is needed
            nacre("predict", picture)
        collector.awaited(lambda spans: sum(each.name == PREDICT for each in spans) == 3)
    finally:
        nacre("down")


def _run_here(folder: Path, collector: Collector) -> None:
    """Let a system in this process do the same."""
    import torch

    from cluster.client.client import Client
    from cluster.client.remote_client import RemoteClient
    from cluster.config import Config, ServeConfig, TracesConfig
    from cluster.stores.open import open_store
    from cluster.traces.tracing import begin_tracing
    from tests.support.drivers.api_server import ApiServer
    from workers.coordination.local_coordinator import coordinating
    from workers.encoding.encoder import Encoder
    from workers.encoding.encoder_settings import EncoderSettings

    torch.set_num_threads(1)
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "500"
    config = Config(store=f"file://{folder}/store", serve=ServeConfig(poll_s=0.1))
    store = open_store(config.store)
    begin_tracing(TracesConfig(endpoint=collector.url), "nacre")
    with coordinating(store, Encoder(EncoderSettings())):
        local = Client(config, store=store, by="anna")
        for _ in local.watch(local.submit(EXAMPLES / "clip-art" / "task.yaml").submission):
            pass
        with ApiServer(config) as server, RemoteClient(config, url=server.url) as client:
            accepted = client.submit(EXAMPLES / "digits" / "task.yaml")
            for _ in client.watch(accepted.submission.submission_id):
                pass
            collector.awaited(lambda spans: any(each.name == "served" for each in spans))
            picture = next((EXAMPLES / "digits" / "test").glob("*/*"))
            for _ in range(3):
                client.predict([picture])
            collector.awaited(lambda spans: sum(each.name == PREDICT for each in spans) == 3)


def drawn(spans: Sequence[Collected]) -> str:
    """Return a trace as an SVG: a row for each span, its parts below it."""
    begin = min(each.begun_at for each in spans)
    whole = max(each.ended_at for each in spans) - begin or 1e-9
    rows = list(_rows(spans))
    services = sorted({each.service for each in spans})
    height = TOP + ROW * len(rows) + 12
    found = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="18" font-weight="bold">trace {escape(spans[0].trace)}, '
        f"{_seconds(whole)}</text>",
    ]
    x = 8.0
    for number, service in enumerate(services):
        color = COLORS[number % len(COLORS)]
        found.append(f'<rect x="{x}" y="28" width="10" height="10" fill="{color}"/>')
        found.append(f'<text x="{x + 14}" y="37">{escape(service)}</text>')
        x += 26 + 7 * len(service)
    for place, (depth, each) in enumerate(rows):
        y = TOP + ROW * place
        left = LABELS + (WIDTH - LABELS - 80) * (each.begun_at - begin) / whole
        width = max(1.5, (WIDTH - LABELS - 80) * (each.ended_at - each.begun_at) / whole)
        color = COLORS[services.index(each.service) % len(COLORS)]
        mark = ' stroke="#c00" stroke-width="2"' if each.error else ""
        found.append(
            f'<text x="{8 + 14 * depth}" y="{y + 15}">{escape(each.name)}</text>'
            f'<rect x="{left:.1f}" y="{y + 4}" width="{width:.1f}" height="14" '
            f'fill="{color}"{mark}><title>{escape(_said(each))}</title></rect>'
            f'<text x="{min(left + width + 4, WIDTH - 70):.1f}" y="{y + 15}" fill="#555">'
            f"{_seconds(each.ended_at - each.begun_at)}</text>"
        )
    return "\n".join([*found, "</svg>\n"])


def _rows(spans: Sequence[Collected]) -> Iterator[tuple[int, Collected]]:
    known = {each.span for each in spans}
    parts: dict[str, list[Collected]] = {}
    for each in spans:
        parts.setdefault(each.parent if each.parent in known else "", []).append(each)

    def below(parent: str, depth: int) -> Iterator[tuple[int, Collected]]:
        for each in sorted(parts.get(parent, ()), key=lambda part: part.begun_at):
            yield depth, each
            yield from below(each.span, depth + 1)

    return below("", 0)


def _said(span: Collected) -> str:
    told = [f"{key.removeprefix('nacre.')}={value}" for key, value in span.attributes.items()]
    return "\n".join([span.service, *told, *([span.error] if span.error else [])])


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--without-ray"]
    if len(words) != 1:
        raise SystemExit("expected the folder that the pictures are written to")
    main(Path(words[0]), on_ray=len(words) == len(sys.argv) - 1)
