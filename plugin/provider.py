"""How the library's components are described to, and created for, programs in other languages.

It is Pulumi's `component_provider_host` with three differences that callers notice:

- Descriptions also come from the docstrings of inherited fields, and without the indentation of the source.
- Unknown keys, and values of a kind that the schema does not declare, reach the component, whose check names them.
  Pulumi's own mapping drops the former and replaces the latter by an empty map.
- The error for a refused argument is the library's own, without a traceback.
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.errors import InputPropertiesError
from pulumi.provider import ConstructResult
from pulumi.provider.experimental.analyzer import ComponentDefinition, PropertyDefinition
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError
from pydantic.alias_generators import to_camel

import components
from components import checks, docstrings

from . import library

DESCRIPTION = "ML-ready Kubernetes on Amazon EKS and Google GKE"


class LibraryProvider(ComponentProvider):
    """Creates these components.

    package: the schema that describes them, as a map.
    """

    def __init__(self, offered: list[type[pulumi.ComponentResource]]) -> None:
        # Descriptions name fields as callers in other languages write them.
        checks.spell(library.field_names(*offered), to_camel)
        super().__init__(offered, library.NAME, version=components.__version__)
        self.package = self._described(json.loads(self.schema or ""))
        self.schema = json.dumps(self.package)

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Creates one component. Raises InputPropertiesError if the library refuses its arguments."""
        try:
            return super().construct(name, resource_type, inputs, options)
        except ComponentInitError as error:
            if isinstance(error.inner, pulumi.RunError):
                raise InputPropertiesError(str(error.inner), []) from None
            raise

    def map_inputs(self, inputs: Mapping[str, Any], component_def: ComponentDefinition) -> dict[str, Any]:
        """The inputs of a component in the library's spelling."""
        return self._mapped(inputs, component_def.inputs, component_def.inputs_mapping)

    def _mapped(
        self, values: Mapping[str, Any], properties: Mapping[str, PropertyDefinition], names: Mapping[str, str]
    ) -> dict[str, Any]:
        return {
            names.get(key, key): self._value(value, properties[key]) if key in properties else value
            for key, value in values.items()
            if value is not None
        }

    def _value(self, value: Any, declared: PropertyDefinition) -> Any:
        """One value in the library's spelling. A value of another kind than declared is unchanged: the component's
        check refuses it."""
        if isinstance(value, Mapping):
            if declared.additional_properties:
                # The engine keeps no order of a map's keys, and for zones the first ones count.
                return {key: self._value(value[key], declared.additional_properties) for key in sorted(value)}
            if declared.ref and (named := self.get_type_definition(declared)):
                return self._mapped(value, named.properties, named.properties_mapping)
        if isinstance(value, list) and declared.items:
            return [self._value(each, declared.items) for each in value]
        return value

    def _described(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema with all descriptions of the library, and with facts about the package."""
        for name, component in self._component_defs.items():
            resource = schema["resources"][f"{library.NAME}:index:{name}"]
            of = self._components[name]
            resource["description"] = _spelled(docstrings.of_class(of))
            arguments = of.__init__.__annotations__["args"]
            _describe(resource["inputProperties"], arguments, component.inputs_mapping)
            _describe(resource["properties"], of, component.outputs_mapping)
        for name, definition in self._type_defs.items():
            named = schema["types"][f"{library.NAME}:index:{name}"]
            named["description"] = _spelled(docstrings.of_class(definition.python_type))
            _describe(named["properties"], definition.python_type, definition.properties_mapping)
        return {"description": DESCRIPTION, "license": "Apache-2.0", **schema}


def _describe(properties: dict[str, Any], of: type, names: Mapping[str, str]) -> None:
    """Gives each property the docstring of its field."""
    for key, declared in properties.items():
        declared.pop("description", None)
        # The analyzer repeats a list's description on its items.
        for inner in ("items", "additionalProperties"):
            declared.get(inner, {}).pop("description", None)
        if text := docstrings.of_field(of, names[key]):
            properties[key] = {"description": _spelled(text), **declared}


def _spelled(text: str | None) -> str | None:
    return checks.spelled_text(text) if text else None
