"""Names of child resources that contain a key of the user, such as `{name}-{key}`.

A URN has the types of all parents, but only the resource's own name. The buckets `x-y` of a component `data` and `y` of
a component `data-x` are both `data-x-y`, which the engine refuses as a duplicate URN once it has registered the first.
Source: Pulumi, "Resource names", under URNs.
"""

from collections.abc import Iterator, Mapping
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime import get_root_resource

from .checks import Problem

# Parent → (class of a component, name of a child) → name of the component. A program's own stack is the parent of what
# has no other, so that nothing remains for the next program.
_taken: WeakKeyDictionary[pulumi.Resource, dict[tuple[str, str], str]] = WeakKeyDictionary()


def problems(
    component: str, name: str, opts: pulumi.ResourceOptions | None, children: Mapping[str, str]
) -> Iterator[Problem]:
    """Children of a new component whose names an earlier one with the same parent has given to its own.

    It finds neither components with different parents nor, in other languages, any: each is constructed apart from the
    others there. For these, the engine's error remains.

    Args:
        component: the component's class, such as `S3Buckets`.
        name: its name.
        opts: its options.
        children: name of a child → path of the argument that it is named after. All are of one type.
    """
    parent = (opts.parent if opts else None) or get_root_resource()
    taken = {} if parent is None else _taken.setdefault(parent, {})
    for child, path in children.items():
        other = taken.setdefault((component, child), name)
        if other != name:
            yield Problem(
                path, child, f"a resource of {component} {other} has this name already",
                "names and keys that do not run together", "rename the component, or the key",
            )  # fmt: skip
