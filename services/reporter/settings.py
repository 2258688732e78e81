"""Settings of the reporter."""

from __future__ import annotations

from pydantic import Field

from services.runtime.settings import RuntimeSettings


class ReporterSettings(RuntimeSettings):
    """The read model and the web page."""

    service_urls: dict[str, str] = Field(default_factory=dict)
    """Service name -> base URL, whose ``/health/ready`` the page shows."""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """Names the page may be called by; anything else is refused (DNS rebinding)."""
    service_timeout_s: float = 2.0
    """A service that does not answer within it shows as silent; a healthy one takes 20 ms."""
    service_fresh_s: float = 2.0
    """Answers of the services are shared by all viewers for so long."""
    owner_timeout_s: float = 60.0
    """How long a page waits for the library or the evaluator when a person does something."""
    session_hours: float = 12.0
    """A person who signed in stays so for so long."""
    session_https_only: bool = False
    """Set it where the page is reached over HTTPS: the cookie then never travels without."""
