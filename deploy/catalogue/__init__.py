"""Documents generated from the running code: ``python -m deploy.catalogue`` (``make docs``)."""

# Both register their message types.
import contracts.commands
import contracts.events  # noqa: F401
