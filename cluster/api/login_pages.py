"""Pages of the login: plain HTML without scripts, that loads nothing."""

from jinja2 import Environment, StrictUndefined
from starlette.responses import HTMLResponse

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }} – nacre</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 30rem; margin: 3rem auto; padding: 0 1rem }
input, button { font: inherit; padding: .4rem .6rem; min-height: 1.5rem }
input[type=password] { width: 100%; box-sizing: border-box }
</style>
{% if onward %}<meta http-equiv="refresh" content="0; url={{ onward }}">{% endif %}
</head>
<body>
<main>
<h1>{{ title }}</h1>
"""
_TAIL = """</main>
</body>
</html>
"""
_LOGIN = """{% if who %}<p>You are logged in as <b>{{ who }}</b>.</p>{% endif %}
{% if issuer %}<p><a href="/login/provider?next={{ onto | urlencode }}">Log in with {{ issuer }}</a>
</p>{% endif %}
<form method="post" action="/login">
<p><label for="token">A named token</label><br>
<input id="token" name="token" type="password" autocomplete="current-password" required></p>
<input type="hidden" name="next" value="{{ onto }}">
<p><button>Log in</button></p>
</form>
"""
_LOGOUT = """{% if who %}<p>You are logged in as <b>{{ who }}</b>.</p>
<form method="post" action="/logout">
<p><label><input type="checkbox" name="everywhere" value="yes"> in all browsers</label></p>
<p><button>Log out</button></p>
</form>
{% else %}<p>You are not logged in.</p>{% endif %}
<p><a href="/login">Log in</a></p>
"""
_ONWARD = """<p>You are logged in as <b>{{ who }}</b>. <a href="{{ onward }}">Go on</a></p>
"""
_REFUSED = """<p role="alert">{{ wrong }}</p>
<p><a href="/login">Log in</a></p>
"""
_LATER = """<p role="alert">{{ wrong }}</p>
"""
_ENVIRONMENT = Environment(autoescape=True, undefined=StrictUndefined)


def login_page(*, who: str, issuer: str, onto: str) -> HTMLResponse:
    """Return the page with the ways to log in.

    Args:
        who: Who is logged in; empty for nobody.
        issuer: The provider; empty for none.
        onto: The path that is shown afterwards.
    """
    return _page("Log in", _LOGIN, who=who, issuer=issuer, onto=onto)


def logout_page(*, who: str) -> HTMLResponse:
    """Return the page with which somebody logs out."""
    return _page("Log out", _LOGOUT, who=who)


def onward_page(*, who: str, onward: str) -> HTMLResponse:
    """Return the page that goes on to a path of this service by itself.

    A redirect would still be one that the provider has begun, with which browsers send no cookie
    that is `SameSite=Strict`; what this page begins comes from here.
    """
    page = _page("Logged in", _ONWARD, who=who, onward=onward)
    # The code of this login is in the address of this page.
    page.headers["Referrer-Policy"] = "no-referrer"
    return page


def refused_page(*, wrong: str, status: int) -> HTMLResponse:
    """Return the page that says why somebody was not logged in."""
    return _page("Not logged in", _REFUSED, status, wrong=wrong)


def later_page(*, wrong: str, wait_s: str) -> HTMLResponse:
    """Return the page that says why somebody is not answered now, and when to ask again."""
    page = _page("Later", _LATER, 429, wrong=wrong)
    page.headers["Retry-After"] = wait_s
    return page


def _page(title: str, body: str, status: int = 200, **values: str) -> HTMLResponse:
    template = _ENVIRONMENT.from_string(f"{_HEAD}{body}{_TAIL}")
    content = template.render(title=title, **{"onward": "", **values})
    return HTMLResponse(content, status_code=status, headers=HEADERS)
