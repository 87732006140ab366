"""Names of child resources that contain a key of the user, such as `{name}-{key}`.

A URN has the types of all parents, but only the resource's own name. The buckets `x-y` of a component `data` and `y` of
a component `data-x` are both `data-x-y`, which the engine refuses as a duplicate URN once it has registered the first.
Source: Pulumi, "Resource names", under URNs.
"""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime import get_root_resource

from . import checks
from .checks import Problem

# Parent → (class of a component, name of a child) → name of the component. A program's own stack is the parent of what
# has no other, so that nothing remains for the next program.
_taken: WeakKeyDictionary[pulumi.Resource, dict[tuple[str, str], str]] = WeakKeyDictionary()


def claim(component: str, name: str, opts: pulumi.ResourceOptions | None, children: Mapping[str, str]) -> None:
    """Reserves the names of a new component's children, unless an earlier component with the same parent has one of
    them. Call it last, when nothing else can refuse the component: a component that is refused reserves no names.

    It finds neither components with different parents nor, in other languages, any: each is constructed apart from the
    others there. For these, the engine's error remains.

    Args:
        component: the component's class, such as `S3Buckets`.
        name: its name.
        opts: its options.
        children: name of a child → path of the argument that it is named after. All are of one type.

    Raises:
        pulumi.RunError: one error that lists every name that is taken.
    """
    parent = (opts.parent if isinstance(opts, pulumi.ResourceOptions) else None) or get_root_resource()
    # Pulumi itself refuses options or a parent of a wrong kind.
    taken = {} if not isinstance(parent, pulumi.Resource) else _taken.setdefault(parent, {})
    others = {child: taken.get((component, child), name) for child in children}
    checks.refuse(
        [
            Problem(
                path, child, f"this component and {component} {others[child]} would both create a resource named "
                f"{child}", "unique names, which Pulumi needs", "rename the component, or the key",
            )
            for child, path in children.items() if others[child] != name
        ],
        f"{component} {name}",
    )  # fmt: skip
    taken.update({(component, child): name for child in children})
