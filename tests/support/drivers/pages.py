"""The pages of the documentation as tests read them: their blocks, and what to do with each.

Python and shell blocks are run. What else is to be done with a block, or why nothing is, says an
HTML comment before it, which readers do not see:

    <!-- not run: REASON -->         nothing is done
    <!-- held by: PATH -->           a test elsewhere holds the block
    <!-- before: COMMAND -->         run first; may stand several times
    <!-- ends with: 4 -->            the exit code of a shell block, where it is not 0
    <!-- file: NAME -->              the block is written to this file, for the blocks that follow
    <!-- read as: nacre.yaml -->     read as this file is; or task.yaml
    <!-- each row -->                before a table: the command in each row is run

A `text` block that follows one that is run is what that printed; `…` stands for anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

ROOT = Path(__file__).parents[3]
ELSEWHERE = (
    *("docs/api.md", "docs/json.md", "docs/reference.md"),
    "deploy/helm/nacre/README.md",
)
"""Made by scripts, with tests of their own."""
RUNBOOKS = sorted((ROOT / "deploy" / "observe" / "runbooks").glob("*.md"))
PAGES = (
    "docs/quickstart.md",
    "docs/accuracies.md",
    "README.md",
    *("docs/tasks.md", "docs/queue.md", "docs/serving.md", "docs/access.md", "docs/remote.md"),
    "docs/console.md",
    *("docs/bench.md", "docs/encoders.md", "docs/registry.md", "docs/install.md"),
    "docs/kubernetes.md",
    "docs/scale.md",
    *("docs/advise.md", "docs/methods.md", "docs/own_metric.md"),
    *("docs/lada.md", "docs/cl_lora.md", "docs/dmc.md"),
    "docs/events.md",
    *("docs/metrics.md", "docs/traces.md", "docs/operations.md"),
    *(f"deploy/observe/runbooks/{path.name}" for path in RUNBOOKS),
    *("docs/notebooks.md", "docs/stores.md", "docs/shell.md"),
    "docs/format.md",
    *("cluster/examples/README.md", "workers/encoding/tiny_clip/README.md"),
    "workers/encoding/tiny_vit/README.md",
    *("CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md"),
)
"""In the order in which one system goes through them: the quick start begins with an empty store,
the page on accuracies looks at what that has learnt, and the page on the registry purges a task."""

SHELL, PYTHON = "sh", "python"
NOTES = ("not run", "held by", "before", "ends with", "file", "read as", "each row")
COMMENT = re.compile(r"<!-- ([a-z ]+?)(?:: (.+?))? -->", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of code, or one row of a table of commands.

    Attributes:
        page: Relative to the root.
        line: Where it begins, from 1.
        language: As its fence says; empty where it says none.
        text: Without the fence.
        notes: What its comments say, by their words.
        before: Commands to be run first.
        printed: What it prints, where the page says it.
    """

    page: str
    line: int
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    printed: str | None = None

    @property
    def where(self) -> str:
        """The page and the line."""
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether it is run, as shell and Python are where nothing speaks against it."""
        other = {"not run", "held by", "file", "read as"} & self.notes.keys()
        return self.language in (SHELL, PYTHON) and not other


def blocks_of(page: str, text: str | None = None) -> list[Block]:
    """Return the blocks of a page in their order; what is printed is with the block that prints it.

    Args:
        page: Relative to the root.
        text: Of the page, where it is not that of the file.
    """
    found: list[Block] = []
    for block in _read(page, (ROOT / page).read_text() if text is None else text):
        if found and block.language == "text" and not block.notes and _may_print(found[-1]):
            found[-1] = replace(found[-1], printed=block.text)
        else:
            found.append(block)
    return found


def inline_code(page: str) -> Iterator[str]:
    """Yield what stands between backquotes in the sentences and tables of a page."""
    for node in _tree((ROOT / page).read_text()).walk():
        if node.type == "code_inline":
            yield " ".join(node.content.split())


def _may_print(block: Block) -> bool:
    return block.is_run and block.printed is None


def _tree(text: str) -> SyntaxTreeNode:
    return SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(text))


def _read(page: str, text: str) -> Iterator[Block]:
    comments: list[tuple[str, str]] = []
    for node in _tree(text).walk():
        if node.type == "html_block":
            comments += COMMENT.findall(node.content)
            continue
        if node.type in ("fence", "code_block"):
            yield _block(page, node, node.info.strip(), node.content, comments)
        elif node.type == "table" and any(word == "each row" for word, _ in comments):
            for row in node.children[1].children:
                command = next(child for child in row.walk() if child.type == "code_inline")
                yield _block(page, row, SHELL, f"{command.content}\n", comments)
                comments = []
        comments = []


def _block(
    page: str, node: SyntaxTreeNode, language: str, text: str, comments: list[tuple[str, str]]
) -> Block:
    notes = {word: " ".join(said.split()) for word, said in comments if word != "before"}
    before = tuple(said for word, said in comments if word == "before")
    line = (node.map or (0, 0))[0] + 1
    return Block(page=page, line=line, language=language, text=text, notes=notes, before=before)
