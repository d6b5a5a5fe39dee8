"""Load the file at WEIGHTS_URL into /weights, unless it is another than was expected."""

import hashlib
import os
import shutil
import urllib.request
from pathlib import Path

url, expected = os.environ["WEIGHTS_URL"], os.environ["WEIGHTS_SHA256"]
path = Path(os.environ.get("WEIGHTS_FOLDER", "/weights"), url.split("?")[0].rsplit("/", 1)[-1])
with urllib.request.urlopen(url, timeout=60) as answer, path.open("wb") as file:
    shutil.copyfileobj(answer, file, 1024 * 1024)
with path.open("rb") as file:
    found = hashlib.file_digest(file, "sha256").hexdigest()
if found != expected:
    path.unlink()
    raise SystemExit(f"expected {url} with the SHA-256 {expected}, found {found}")
print(f"{path}: {path.stat().st_size:,} bytes")
