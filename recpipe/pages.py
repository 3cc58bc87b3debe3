"""HTML pages from the templates: they need nothing from the network, and escape whatever comes from outside."""

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("recpipe"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "count": "{:,}".format}
    return environment.get_template(name)


def page(title: str, section: str, images: str = "'none'") -> str:
    """A whole page around a ``section`` that a template made; ``images`` is where its pictures may come from."""
    return template("page.html").render(title=title, section=section, images=images)
