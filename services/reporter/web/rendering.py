"""Templates of every page; every value is escaped."""

from __future__ import annotations

from typing import Any

import jinja2

from services.reporter.web import formats
from services.reporter.web.assets import Assets

NAVIGATION = (
    ("/", "Overview"),
    ("/review", "Review"),
    ("/confused-pairs", "Confused pairs"),
    ("/models", "Models"),
)
"""Address and name of every page; later pages add a line here and extend ``base.html``."""


class Templates:
    """Jinja2 with the formats, the assets and the navigation of this service."""

    def __init__(self, assets: Assets) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("services.reporter.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=formats.visible,
        )
        self._environment.filters |= {
            "number": formats.number,
            "percent": formats.percent,
            "size": formats.size,
            "duration": formats.duration,
            "moment": formats.moment,
            "parsed": formats.parsed,
        }
        self._environment.globals |= {
            "asset": assets.url,
            "plural": formats.plural,
            "navigation": NAVIGATION,
        }

    def render(self, template: str, **context: Any) -> str:
        """The template of that name under ``templates/``."""
        return self._environment.get_template(template).render(**context)
