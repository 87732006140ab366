"""A page of docs/api as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from . import source
from .source import Class, Field

NOTE = "<!-- Written by `make pages` from the docstrings in {}: change them there. -->"


def file(package: str) -> str:
    """The name of a package's page."""
    return f"{package or 'gpuyard'}.md"


def public(package: str) -> str:
    """The name by which a program imports a package."""
    return f"gpuyard.{package}" if package else "gpuyard"


def homes() -> dict[str, str]:
    """Exported class → the page that describes it."""
    return {found.name: file(package) for package in source.PACKAGES for found in source.exported(package)}


def index() -> str:
    """docs/api/README.md."""
    lines = [
        NOTE.format("components"),
        "# API",
        "",
        "The names that programs can import from the library. Other names can change in any release.",
        "",
        "| package | what it has | classes |",
        "|---|---|---|",
    ]
    for package in source.PACKAGES:
        first = " ".join(source.package_doc(package).partition("\n\n")[0].split())
        lines.append(f"| [`{public(package)}`]({file(package)}) | {first} | {len(source.exported(package))} |")
    return "\n".join([*lines, ""])


def page(package: str, homes: Mapping[str, str]) -> str:
    """The page of a package: components first, each with its arguments and outputs, then the types that these use."""
    classes = {found.name: found for found in source.exported(package)}
    components = [found for found in classes.values() if found.args]
    arguments = {found.args for found in components}
    types = [found for found in classes.values() if not found.args and found.name not in arguments]
    folder = source.source(source.full(package)).parent.relative_to(source.ROOT).as_posix()
    lines = [NOTE.format(folder), f"# {public(package)}", "", *_text(source.package_doc(package)), ""]
    for component in components:
        lines += [f"## {component.name}", "", *_text(component.doc), ""]
        lines += [_import(package, component), ""]
        if component.args in classes:
            lines += _fields(classes[component.args], f"### {component.args}", homes, file(package))
        if component.fields:
            lines += ["### Outputs of " + component.name, ""]
            lines += [*(_field(each, homes, file(package), output=True) for each in component.fields), ""]
    for function in source.functions(package):
        body = function.doc.replace("\nArgs:\n", "\nArguments:\n\n")
        lines += [f"## {function.name}", "", f"`{function.call}`", "", *_parameters(body), ""]
        lines += [f"`from {public(package)} import {function.name}` · [source](../../{function.path.as_posix()})", ""]
    if types:
        lines += ["## Types", ""]
        for each in types:
            lines += _fields(each, f"### {each.name}", homes, file(package))
    return "\n".join(lines).rstrip() + "\n"


def _parameters(doc: str) -> list[str]:
    """The docstring of a function as Markdown: its arguments are a list."""
    text = re.sub(r"^    (\w+): ", r"- **`\1`**: ", doc, flags=re.MULTILINE)
    return re.sub(r"\n {8,}", " ", text).splitlines()


def _import(package: str, found: Class) -> str:
    names = ", ".join(name for name in (found.name, found.args) if name)
    return f"`from {public(package)} import {names}` · [source](../../{found.path.as_posix()})"


def _fields(found: Class, heading: str, homes: Mapping[str, str], here: str) -> Iterator[str]:
    yield from (heading, "", *_text(found.doc), "")
    if found.bases:
        links = ", ".join(_link(base, homes, here) for base in found.bases)
        yield from (f"Takes every key of {links} as well.", "")
    if found.fields:
        yield from (*(_field(each, homes, here) for each in found.fields), "")


def _field(field: Field, homes: Mapping[str, str], here: str, output: bool = False) -> str:
    """One entry of a list. Required keys are marked."""
    links = [_link(name, homes, here) for name in dict.fromkeys(re.findall(r"\w+", field.type)) if name in homes]
    parts = [f"`{field.type}`", *links, *(["required"] if field.required and not output else [])]
    first, *further = [" ".join(part.split()) for part in field.doc.split("\n\n")] if field.doc else [""]
    head = f"- **`{field.name}`** ({', '.join(parts)})" + (f": {first}" if first else "")
    return "\n\n".join([head, *(f"  {part}" for part in further)])


def _link(name: str, homes: Mapping[str, str], here: str) -> str:
    home = homes.get(name)
    if home is None:
        return f"`{name}`"
    return f"[{name}]({'' if home == here else home}#{name.lower()})"


def _text(doc: str) -> list[str]:
    """A docstring as Markdown. Indented lines are code."""
    found: list[str] = []
    code = False
    for line in doc.splitlines():
        indented = line.startswith("    ")
        if indented and not code:
            found.append("```python")
        elif code and line and not indented:
            while not found[-1]:
                found.pop()
            found += ["```", ""]
        code = indented or (code and not line)
        found.append(line[4:] if indented else line)
    return [*found, "```"] if code else found
