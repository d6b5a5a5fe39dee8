"""The five example tasks: folders with a task file and its images, which `nacre demo` learns."""

from pathlib import Path

EXAMPLES = Path(__file__).parent
TASKS = ("clip-art", "fashion", "digits", "sketched-nature", "sketched-things")
"""Their folders, in the order in which the demo learns them."""
