"""Pages from templates: what is put into them is data, and is escaped."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from procrustes_model.version import how_to_install

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, **values: Any) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    template : str
        Name of a file in ``templates/``.
    **values
        Everything that the template uses: a name that is missing is an error, and no empty place in the page.
    """
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def asset(name: str) -> Markup:
        """Return a style sheet or script as it is: it belongs to the program and holds no data."""
        assert environment.loader is not None
        return Markup(environment.loader.get_source(environment, name)[0])  # noqa: S704

    environment.globals["asset"] = asset
    environment.globals["how_to_install"] = how_to_install
    return environment
