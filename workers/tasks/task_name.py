"""Task names: what a task, an adapter or a set may be called."""

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
