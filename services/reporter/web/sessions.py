"""Who sits before the page: a signed cookie that scripts cannot read and other sites cannot use."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from urllib.parse import urlsplit

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from pydantic import SecretStr
from starlette.requests import Request

COOKIE = "menagerie"
LINK_S = 900
NAME_CHARS = 200
"""contracts.values.PersonName."""


class NotSignedIn(Exception):
    """The page is for people who have said who they are."""


class WrongSite(Exception):
    """The form was sent from elsewhere."""


class BadLink(Exception):
    """A sign-in link that is none, is too old, or was used; the text says which."""


class Door:
    """Sign-in links, the stack's token, and the name in the session."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token.get_secret_value()
        # Derived, so that a restart or another replica knows the cookie, and a new token ends every session.
        key = hmac.new(self._token.encode(), b"menagerie reporter session", hashlib.sha256).hexdigest()
        self.key = key if self._token else secrets.token_hex(32)
        self._links = URLSafeTimedSerializer(self.key, salt="sign-in link")
        self._began = int(time.time())
        self._used: dict[str, float] = {}

    @property
    def is_open(self) -> bool:
        """Whether anybody can sign in: without a token nobody can."""
        return bool(self._token)

    def fits(self, token: str) -> bool:
        """Whether that is the stack's token."""
        return self.is_open and hmac.compare_digest(token.encode(), self._token.encode())

    def link(self, name: str) -> str:
        """A ticket that signs ``name`` in, once, within LINK_S."""
        return self._links.dumps([name, secrets.token_hex(8)])

    def person_of(self, ticket: str) -> str:
        """Whom the ticket would sign in. Raises BadLink."""
        return self._opened(ticket)[0]

    def use(self, ticket: str) -> str:
        """The same, and the ticket is used up. Raises BadLink."""
        name, number = self._opened(ticket)
        now = time.time()
        self._used = {one: until for one, until in self._used.items() if until > now} | {number: now + LINK_S}
        return name

    def _opened(self, ticket: str) -> tuple[str, str]:
        again = "`menagerie open` makes a new one."
        try:
            (name, number), made = self._links.loads(ticket, max_age=LINK_S, return_timestamp=True)
        except SignatureExpired as error:
            raise BadLink(f"This link is older than {LINK_S // 60} minutes; {again}") from error
        except (BadSignature, ValueError, TypeError) as error:
            raise BadLink(f"This is no sign-in link of this system; {again}") from error
        if number in self._used:
            raise BadLink(f"This link was used already; {again}")
        # What was used before a restart is forgotten, so a link does not outlive one.
        if made.timestamp() < self._began:
            raise BadLink(f"This link was made before the page was started again; {again}")
        return person_name(str(name)), str(number)


def person_name(text: str) -> str:
    """One line, as it is recorded."""
    return "".join(one if one.isprintable() else " " for one in text).strip()[:NAME_CHARS]


def signed_in(request: Request) -> str | None:
    """The person's name; None when nobody has signed in."""
    name = request.session.get("person")
    return name if isinstance(name, str) and name else None


def person(request: Request) -> str:
    """The person's name. Raises NotSignedIn."""
    name = signed_in(request)
    if name is None:
        raise NotSignedIn
    return name


def from_here(request: Request) -> None:
    """Let a form pass that one of our own pages sent.

    Raises:
        WrongSite: a browser says that it comes from elsewhere, or says nothing, which none does today.
    """
    origin = request.headers.get("origin", "")
    try:
        # The host alone: behind a proxy that ends TLS the scheme differs.
        sender = urlsplit(origin).netloc
    except ValueError as error:
        raise WrongSite from error
    if not sender or sender != request.headers.get("host", ""):
        raise WrongSite
