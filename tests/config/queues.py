"""Mistakes in the shares of teams and in queues: stack, changes, path, text of the only error."""

from __future__ import annotations

from typing import Any

EVERY: dict[str, Any] = {
    "enabled": True,
    "headroom": {"gpu": 1},
    "holdMinutes": 30,
    "podsReadyMinutes": 25,
    "unqueued": {"gpu": 1},
    "topology": False,
}
"""Every field of the section, for a file with all keys."""


def shares(first: dict[str, int], second: dict[str, int]) -> dict[str, Any]:
    """A file with two teams and their guarantees."""
    return {"gpuyard:teams": {"vision": {"guaranteed": first}, "nlp": {"guaranteed": second}}}


def settings(**queues: Any) -> dict[str, Any]:
    """A file with a team and settings of queues."""
    return {"gpuyard:teams": {"vision": {}}, "gpuyard:queues": queues}


BOTH: list[tuple[dict[str, Any], str, list[str]]] = [
    (
        shares({"gpu-workers": 7}, {"gpu-workers": 4}),
        "gpuyard:teams.nlp.guaranteed.gpu-workers",
        ["have 11 GPUs (vision 7 + nlp 4), and the queues have 10", "write 3, or raise `max` of gpu-workers to 11"],
    ),
    (shares({"gpu": 1}, {}), "gpuyard:teams.vision.guaranteed.gpu", ["no such pool", "cpu-workers, gpu-workers"]),
    (shares({}, {"cpu-workers": 1}), "gpuyard:teams.nlp.guaranteed.cpu-workers", ["the pool has no GPUs"]),
    ({"gpuyard:teams": {"vision": {"weight": 0}}}, "gpuyard:teams.vision.weight", ["1 to 1000"]),
    (settings(holdMinutes=2000), "gpuyard:queues.holdMinutes", ["0 to 1440"]),
    (settings(podsReadyMinutes=0), "gpuyard:queues.podsReadyMinutes", ["1 to 1440"]),
    (settings(headroom={"gpu-workers": 11}), "gpuyard:queues.headroom.gpu-workers", ["at most 10 nodes", "write 10"]),
    (settings(unqueued={"gpu": 1}), "gpuyard:queues.unqueued.gpu", ["no such pool"]),
    (
        shares({"gpu": 1}, {}) | {"gpuyard:queues": {"enabled": False}},
        "gpuyard:teams.vision.guaranteed.gpu",
        ["no such pool"],
    ),
    ({"gpuyard:queues": {"unqueued": {"gpu": 1}}}, "gpuyard:queues.unqueued.gpu", ["no such pool"]),
    (
        {"gpuyard:platforms": {"kserve": True, "certManager": False}},
        "gpuyard:platforms.certManager",
        ["`kserve` builds on it", "remove it, or remove `kserve`"],
    ),
    (settings(holdMinute=1), "gpuyard:queues.holdMinute", ["unknown key", "write `holdMinutes`"]),
]
"""Mistakes that are the same on both clouds."""

MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    (stack, *each) for stack in ("dev", "dev-gke") for each in BOTH
]
