"""Masking: text without secrets and without the bytes of images, before anybody keeps or sends it.

What a secret looks like is known in three ways: it is the value of a variable whose name says so,
it stands where secrets stand (in an address, behind `password=`, in a header), or it has a form of
its own, as tokens and private keys have. Names and sentences around it stay, and JSON stays JSON,
also inside of strings of JSON: nothing is taken across the quote in which it stands.

One place for whatever is kept or sent: what workers write, spans, and bundles for somebody else.
"""

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus, urlsplit

from workers.logs.secrets import secrets_of

MASK, BYTES = "***", "‹bytes›"
SHORTEST = 8
"""Characters of a value that is looked for: a shorter one would be found in any text."""
LONGEST_RUN = 200
"""Characters without a break that somebody may have to read; more of them are bytes as text."""

_WORDS = frozenset(
    {"true", "false", "none", "null", "auto", "token", "disabled", "enabled", "required", "local"}
)
"""Values of variables with secret names that are no secrets."""
_HEADER = r"(?:set-)?cookie|(?:proxy-)?authorization|x-api-key"
_KEY = (
    r"(?:secret|passw(?:or)?d|\bpwd|passphrase|token|(?:api|access|private|account)[_-]?key"
    r"|authorization|cookie|signature|credential|session_?id|\bsig)[\w.-]{0,40}"
)
_IS = r"[ \t]{0,4}[:=][ \t]{0,4}"
_RUN = "A-Za-z0-9+/_="
_BREAK = r"(?:\r?\n|(?:\\r)?\\n)"
_PRIVATE = "[A-Z ]{0,40}PRIVATE KEY-----"
_USER = r"[^/\s:@\"'<>\\]{0,1000}"
_FLAG = r"--[\w-]{0,30}(?:token|secret|password|key)(?!-file)[\w-]{0,30}[ =]"
_NAMED = rf"{_KEY}(?:\\*['\"])?{_IS}[ub]?|{_FLAG}"
"""What a value in quotes stands behind."""
_IN = r"(?:\\+(?![\"'\\])|[^\"'\\\n])"
"""A character inside of quotes, however deep: no quote, and nothing that belongs to one."""
_ENDS = r"\s{0,4}(?:$|\\*\"|[,:]\s{0,4}(?:\\*\"|[\d\[{tfn-])|[}\]]\s{0,4}(?:[,}\]]|\\*\"|$))"
"""What follows a quote that ends a string of JSON."""
_APOSTROPHES = rf"(?:\\+(?![\"'\\])|\\'|[^'\"\\\n]|\\*\"(?!{_ENDS}))"
"""A character between apostrophes; a quote that ends a string of JSON is none."""
# Each looks at a character a bounded number of times, whatever somebody has written.
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A private key, also as a list of lines, and where its beginning or its end was cut off. One
    # ends where the next begins, so that no text is looked through again for each of many.
    (
        re.compile(
            rf"-----BEGIN {_PRIVATE}(?:(?!-----BEGIN ){_IN}|\n){{0,16000}}?"
            r"(?:-----END [A-Z ]{0,40}-----|(?=\\*[\"'])|(?=-----BEGIN )|\Z)"
            rf"(?:\\*[\"'],\s{{0,8}}\\*[\"'](?:[{_RUN}]{{1,80}}|-----END [A-Z ]{{0,40}}-----)"
            r"(?:\\+n)?(?=\\*[\"'])(?!\\*[\"']\s{0,4}:))*"
        ),
        MASK,
    ),
    (re.compile(rf"(?:\A|(?<=[\"']))(?:{_IN}|\n){{0,16000}}?-----END {_PRIVATE}"), MASK),
    # Bytes as Python shows them, and an address that is a file.
    (
        re.compile(rf"(?m)(?<!\w)b'(?:{_APOSTROPHES}{{64,}}'|{_IN}{{64,}})"),
        BYTES,
    ),
    (
        re.compile(rf"(?m)(?<![\w\"'])b\"(?!{_ENDS})(?:(?:\\.|[^\"\\\n]){{64,}}\"|{_IN}{{64,}})"),
        BYTES,
    ),
    (re.compile(r"\bdata:[\w.+-]{1,60}/[\w.+-]{1,60};base64,[A-Za-z0-9+/=]+"), BYTES),
    (re.compile(r"(?:\\{1,4}x[0-9a-fA-F]{2}){32,}"), BYTES),
    # What nobody reads: bytes as text, on one line or broken into lines of one length.
    (re.compile(rf"(?<![{_RUN}])[{_RUN}]{{{LONGEST_RUN},}}"), BYTES),
    (
        re.compile(
            rf"(?<![{_RUN}])(?![0-9a-f]{{60,}}{_BREAK})"
            rf"(?:[{_RUN}]{{60,}}{_BREAK}[ \t]{{0,40}}){{4,}}[{_RUN}]*"
        ),
        BYTES,
    ),
    # A line of a key; a digest stays.
    (
        re.compile(
            r"(?m)^([ \t]{0,40})(?![0-9a-f]+=?[ \t\r]*$)[A-Za-z0-9+/]{60,}={0,2}(?=[ \t\r]{0,4}$)"
        ),
        rf"\1{MASK}",
    ),
    # user:password@ of an address, and the way behind that of a hook.
    (
        re.compile(rf"(?i)\b([a-z][\w+.-]{{0,20}}://){_USER}:[^/\s\"'<>\\]{{0,1000}}@"),
        rf"\1{MASK}@",
    ),
    (re.compile(rf"(?i)\b([a-z][\w+.-]{{0,20}}://){_USER}@"), rf"\1{MASK}@"),
    # A password with a slash, as keys have that are base64; a port is none.
    (
        re.compile(
            rf"(?i)\b([a-z][\w+.-]{{0,20}}://)(?!\[){_USER}:(?!\d{{1,5}}[/?#])"
            r"[^/\s@\"'<>\\]{0,200}/[^\s@\"'<>\\]{0,1000}@"
        ),
        rf"\1{MASK}@",
    ),
    (re.compile(r"(?i)(https?://hooks?\.[^/\s\"'\\]{1,300})/[^\s\"'<>\\]*"), rf"\1/{MASK}"),
    (re.compile(r"(?i)([?&](?:sig|code|state|key)=)[^&\s\"'#\\]+"), rf"\1{MASK}"),
)
_BEHIND_NAMES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A name and a value in quotes: in JSON, Python, YAML; and in JSON within strings of JSON.
    (
        re.compile(rf"(?im)({_NAMED})\"(?!{_ENDS})(?:\\.|[^\"\\\n])+(?:\"|$)"),
        rf'\1"{MASK}"',
    ),
    (
        re.compile(
            rf"(?im)({_NAMED})"
            rf"'(?:{_APOSTROPHES}+'|{_IN}+)"
        ),
        rf"\1'{MASK}'",
    ),
    (
        re.compile(
            rf"(?im)({_NAMED})(\\+)(['\"])(?!{_ENDS})"
            rf"(?:\2\2\\(?:\\|[\"'])|(?!\3)'|{_IN})+(\2\3)?"
        ),
        rf"\1\2\3{MASK}\4",
    ),
    # A secret that is a number; `tokens` and `keys` are counted.
    (
        re.compile(
            r"(?i)((?:secret|passw(?:or)?d|passphrase)[\w.-]{0,40}(\\*\")[ \t]{0,4}:[ \t]{0,4})"
            r"\d{4,}(?![\w.])"
        ),
        rf"\1\2{MASK}\2",
    ),
    # A name and a value as a pair; what stands before a colon is a name.
    (
        re.compile(
            rf"(?i)({_KEY}(\\*)(['\"])[ \t]{{0,4}},[ \t]{{0,4}}\2)(['\"])"
            rf"(?:{_IN}|(?!\4)')+(?=\2\4(?![ \t]{{0,4}}:))"
        ),
        rf"\1\4{MASK}",
    ),
    # A header with all that it holds, and what is signed with it.
    (
        re.compile(
            rf"(?i)\b({_HEADER})({_IS})(?!\\*['\"])"
            rf"(?:{_IN}|(?<==)(?P<a>\\*)\"[^\"\\\n{{}}\[\]:,]{{0,200}}(?P=a)\")+"
        ),
        rf"\1\2{MASK}",
    ),
    # secret=… without quotes, of a query and of a command too.
    (
        re.compile(
            rf"(?i)({_KEY}{_IS})(?![\"'\[{{(]|null\b|None\b|\*\*\*)"
            r"(?:\\+(?![\"'\\])|[^\s'\"&,;(){}\[\]<>\\]){3,}"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(rf"(?i)({_FLAG})(?!-)(?:\\+(?![\"'\\])|[^\s\"'\\])+"), rf"\1{MASK}"),
)
_ALONE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(AWS4-HMAC-SHA256\s)[^\n\"'\\]*"), rf"\1{MASK}"),
    (
        re.compile(
            r"(?i)\b(bearer|basic|negotiate)(?:\s{1,4}|%20|\+)(?=\S{0,200}[\d=+/])[\w.~+/=-]{4,}"
        ),
        rf"\1 {MASK}",
    ),
    (
        re.compile(r"(?i)(\bcurl\b[^\n\"'\\]{0,400}?\s(?:-u|--user)[ =]?)[^\s\"'\\]+:[^\s\"'\\]+"),
        rf"\1{MASK}",
    ),
    # Tokens by their own form: nacre's, webhooks', signed ones, those of clouds and of forges. The
    # names of metrics begin as nacre's tokens do, and are small letters throughout.
    (re.compile(r"\bnacre_(?=[a-z_]{0,60}[A-Z0-9-])[\w-]{16,}"), MASK),
    (re.compile(r"\bwh(?:sec|sk)_[\w+/=-]{8,}"), MASK),
    (re.compile(r"\beyJ[\w-]{4,2000}\.[\w-]{1,4000}(?:\.[\w-]*)?"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), MASK),
    (
        re.compile(r"\b(?:(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|sk[-_]|pypi-)[\w-]{12,})"),
        MASK,
    ),
    (re.compile(r"\bhf_[A-Za-z0-9]{16,}"), MASK),
    (re.compile(r"\bAIza[\w-]{35}"), MASK),
)


_ANY_NAME = re.compile(
    r"(?i)secret|passw|pwd|passphrase|token|key|authorization|cookie|signature|credential|session|sig"
)
"""What every name has that secrets stand behind; most lines have none, and are looked at once."""


class Masking:
    """Masks what is secret.

    Args:
        secrets: Values that are secret wherever they stand, and however they are quoted.
        addresses: Addresses of which no more than the host may be seen.
        shortest: Characters of a value that is looked for; less hides more words.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        *,
        addresses: Iterable[str] = (),
        shortest: int = SHORTEST,
    ) -> None:
        known = {form for each in secrets for form in _written(each, shortest)}
        for address in addresses:
            parts = urlsplit(address)
            way = address.partition(parts.netloc)[2].lstrip("/") if parts.netloc else ""
            known |= set(_written(way, shortest))
        # The longest first: one may begin as another does.
        found = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, found))) if found else None

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Masking":
        """Return what masks the values of variables whose names say that they are secret."""
        return cls(secrets_of(environment))

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        return self.counted(text)[0]

    def counted(self, text: str) -> tuple[str, int]:
        """Return the same, and how often something was hidden."""
        hidden = 0
        if self._known is not None:
            text, hidden = self._known.subn(MASK, text)
        named = _BEHIND_NAMES if _ANY_NAME.search(text) else ()
        for form, put in (*_FORMS, *named, *_ALONE):
            text, number = form.subn(put, text)
            hidden += number
        return text, hidden


def _written(secret: str, shortest: int) -> Iterable[str]:
    """Yield a secret, and as it stands in addresses, in JSON and in base64."""
    secret = secret.strip()
    if (
        len(secret) < shortest
        or secret.lower() in _WORDS
        or (secret.isdecimal() and len(secret) < 8)
    ):
        return
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    for _ in range(2):
        found |= {json.dumps(each)[1:-1] for each in set(found)}
    data = secret.encode(errors="surrogateescape")
    found |= {base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
    found |= {repr(secret)[1:-1], *(line for line in secret.splitlines() if len(line) > 16)}
    yield from found
