"""What a node keeps of its CPUs, the same on both clouds."""

_FIRST = (60.0, 10.0, 5.0, 5.0)
_OTHERS = 2.5


def reserved_millicores(cores: int) -> int:
    """Thousandths of a core that the kubelet keeps: 6 % of the first core, 1 % of the second, 0.5 % of the next two,
    0.25 % of the others (GKE, "Plan node sizes"; EKS's nodeadm has the same table)."""
    return round(sum(_FIRST[:cores]) + _OTHERS * max(0, cores - len(_FIRST)))
