"""Traceparent, as W3C Trace Context has it: `00-<trace>-<span>-<flags>`.

What others send is read to the letter of that; anything else counts as nothing, and says so to
nobody: a request is answered whoever traces it. What vendors add beside it, `tracestate`, is not
kept: nothing of it is read here, and it would go with a submission for ever.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

LONGEST = 512
"""Characters that are looked at: a later version may add some behind those that are known."""
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Traceparent:
    """A span that something is a part of.

    Attributes:
        trace: Id of the trace: 32 hexadecimal digits, not all 0.
        span: Id of the span: 16 of them.
        sampled: Whether it is recorded.
    """

    trace: str
    span: str
    sampled: bool

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return what a header says; None where it is not one."""
        found = _FORM.fullmatch(text.strip(" \t")) if len(text) <= LONGEST else None
        if found is None:
            return None
        version, trace, span, flags, more = found.groups()
        is_known = version != "ff" and not (version == "00" and more)
        if not is_known or not int(trace, 16) or not int(span, 16):
            return None
        return cls(trace=trace, span=span, sampled=bool(int(flags, 16) & 1))

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{'01' if self.sampled else '00'}"

    def part(self, *names: object) -> Self:
        """Return the span of that trace that `names` stand for: the same ones give the same span.

        So whoever comes after a process that died knows which span that had begun.
        """
        told = "\n".join(map(str, (self.trace, *names)))
        span = hashlib.sha256(told.encode()).hexdigest()[:16]
        return type(self)(trace=self.trace, span=span, sampled=self.sampled)
