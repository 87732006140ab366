"""What a node keeps of its CPUs, the same on both clouds."""


def reserved_millicores(cores: int) -> int:
    """Thousandths of a core that the kubelet keeps: 6 % of the first core, 1 % of the second, 0.5 % of the next two,
    0.25 % of the others (GKE, "Plan node sizes"; EKS's nodeadm has the same table)."""
    shares = (60 if core == 0 else 10 if core == 1 else 5 if core < 4 else 2.5 for core in range(cores))
    return round(sum(shares))
