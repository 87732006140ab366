"""What the engine talks to: the schema from its file, and components that are loaded when they are first created.

The engine starts the plugin for every preview and update. To analyze all components would import the SDKs of both
clouds first, which takes several seconds; a program usually needs a few components of one cloud.
"""

import os
import signal
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.provider import ConstructResult, Provider, main
from pydantic.alias_generators import to_camel

import components
from components import checks

from . import library, schema
from .provider import LibraryProvider


class LibraryServer(Provider):
    """Serves the components of the schema. Each gets its own `LibraryProvider` when the first one of its kind is
    created."""

    def __init__(self) -> None:
        super().__init__(components.__version__, schema.FILE.read_text())
        self._providers: dict[type[pulumi.ComponentResource], LibraryProvider] = {}

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Creates one component.

        Raises:
            InputPropertiesError: the library refuses its arguments.
            ValueError: the package has no such component.
        """
        LibraryProvider.validate_resource_type(library.NAME, resource_type)
        component = library.component(resource_type.rpartition(":")[2])
        if component not in self._providers:
            self._providers[component] = LibraryProvider([component])
            # Errors name fields as callers in other languages write them.
            checks.spell(library.field_names(*self._providers), to_camel)
        return self._providers[component].construct(name, resource_type, inputs, options)


def serve(arguments: list[str]) -> None:
    """Serves the components until the engine ends the process. `arguments`: those that the engine passes."""
    # The engine stops a plugin with SIGINT. It waits 5 seconds for all plugins together, and on a busy machine Python
    # takes that long to unload the SDKs of two clouds. Nothing here has to be saved.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    main(LibraryServer(), arguments)
