"""Documents generated from the running code: ``python -m deploy.catalogue`` (``make docs``)."""

# All register their message types.
import contracts.commands
import contracts.events
import contracts.notifications  # noqa: F401
