"""Shards as Ray actors: placed on a node that can open them, and restarted elsewhere when they die.

Ray could restart actors itself, but has no time limit for that, and does not look for a node that has the files. So an
actor that died is replaced here, and its request is sent again: responses depend on nothing but the request.
"""
from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BmpError, MissingDependencyError, ShardLostError
from ..searcher.explanation import Ahead, Found
from .fault_signals import kept_handlers
from .shard_server import SearchRequest, SearchResponse, ShardServer
from .sharded_manifest import ShardEntry

STARTS = 5          # starts of a shard for one request before it is given up


def connect(address: str) -> tuple[Any, Callable[[], None]]:
    """Connects to a Ray cluster, unless Ray is connected already.

    Parameters
    ----------
    address : str

    Returns
    -------
    ray : module
    disconnect : callable
        Disconnects, if this call connected.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    BmpError
        If there is no cluster at the address, which it names.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("a Ray cluster needs Ray: pip install 'bmp-plugin[ray]'") from error
    if ray.is_initialized():
        return ray, lambda: None
    try:
        _check_listener(address)
        with kept_handlers():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:                        # ConnectionError, ValueError, RuntimeError, grpc's own
        raise BmpError(f"--ray-address {address}: there is no Ray cluster to connect to ({_line(error)})") from error

    def leave() -> None:
        with kept_handlers():
            ray.shutdown()

    return ray, leave


def _check_listener(address: str) -> None:
    """Raises ``OSError`` if nothing listens at the address, for which Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


class RayShard:
    """A shard that a Ray actor serves; see :class:`.shard_server.Shard`.

    Parameters
    ----------
    ray : module
    entry : ShardEntry
    location : str
        Path or URL, as the nodes see it.
    options : mapping
        Options of the actor.
    patience : float
        Seconds to wait until the cluster has room for the actor.

    Attributes
    ----------
    actor
        The current Ray actor.
    restarts : int
        How often it was restarted.
    patience : float
    """

    def __init__(self, ray: Any, entry: ShardEntry, location: str, options: Mapping[str, Any], patience: float) -> None:
        self.entry = entry
        self.actor: Any = None
        self.restarts = -1
        self._ray = ray
        self._location = location
        self._options = {"scheduling_strategy": "SPREAD", **options, "max_restarts": 0}
        self.patience = patience
        self._lock = threading.Lock()
        self._closed = False
        self._given_up: tuple[float, BmpError] | None = None

    def open(self) -> None:
        """Places the shard on a node that can open it.

        Raises
        ------
        ShardLostError
            If there is no such node, or no room for the shard, which it names.
        """
        self._alive(None)

    def answer(self, request: SearchRequest) -> SearchResponse:
        return self._ask("answer", request)  # type: ignore[no-any-return]

    def score(self, query: Mapping[str, int], docids: Sequence[str]) -> NDArray[np.float32]:
        return self._ask("score", query, docids)  # type: ignore[no-any-return]

    def find(self, query: Mapping[str, int], docid: str) -> Found | None:
        return self._ask("find", query, docid)  # type: ignore[no-any-return]

    def ahead(self, query: Mapping[str, int], score: float, docid: str, lucene_docid: int) -> Ahead:
        return self._ask("ahead", query, score, docid, lucene_docid)  # type: ignore[no-any-return]

    def _ask(self, method: str, *arguments: object) -> Any:
        """Calls a method of ShardServer on the actor, and on its replacement if it dies."""
        actor = self._alive(None)
        for _ in range(STARTS):
            try:
                return self._get(getattr(actor, method).remote(*arguments))
            except self._ray.exceptions.RayError as error:
                reason = _line(error)
                actor = self._alive(actor)
        raise self._lost(f"it died {STARTS} times during one request ({reason})")

    def close(self) -> None:
        """Kills the actor; threads that wait for it raise."""
        self._closed = True
        if self.actor is not None and self._ray.is_initialized():
            self._ray.kill(self.actor)

    def _alive(self, dead: Any) -> Any:
        """Returns the actor, or its replacement if it is ``dead``; the first thread that gets here replaces it."""
        came = time.monotonic()
        with self._lock:
            if self.actor is None or self.actor is dead:
                if self._closed:
                    raise self._lost("the searcher was closed")
                if self._given_up is not None and self._given_up[0] > came:
                    raise self._given_up[1]                  # another thread gave up while this one waited
                if self.actor is not None:
                    self._ray.kill(self.actor)
                self.actor = None
                try:
                    self.actor = self._place()
                except BmpError as error:
                    self._given_up = time.monotonic(), error
                    raise
                self.restarts += 1
            return self.actor

    def _place(self) -> Any:
        """Starts an actor that has opened the shard: where the cluster has room, else on each node until one has the files."""
        deadline = time.monotonic() + self.patience
        refused: dict[str, str] = {}                   # node -> why it cannot serve the shard
        while True:
            try:
                actor, node = self._start(self._options, deadline)
                try:
                    self._get(actor.open.remote())
                    return actor
                except FileNotFoundError as error:
                    refused[node] = str(error)
                    self._ray.kill(actor)
                return self._place_by_files(refused, deadline)
            except self._ray.exceptions.RayError as error:         # its node died meanwhile, or cannot run it
                if time.monotonic() > deadline:
                    raise self._lost(_line(error)) from error
                time.sleep(0.2)

    def _place_by_files(self, refused: dict[str, str], deadline: float) -> Any:
        """Starts an actor on a node that has the shard's files."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        for node in [node["NodeID"] for node in self._ray.nodes() if node["Alive"] and node["NodeID"] not in refused
                     and node["Resources"].get("CPU", 0) >= self._options["num_cpus"]]:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            try:
                actor, _ = self._start(self._options | {"scheduling_strategy": there}, deadline)
                self._get(actor.open.remote())
                return actor
            except FileNotFoundError as error:
                refused[node] = str(error)
                self._ray.kill(actor)
            except (ShardLostError, self._ray.exceptions.RayError) as error:
                refused[node] = _line(error)
        raise self._lost(f"none of {len(refused)} nodes can open it ({'; '.join(sorted(set(refused.values())))})")

    def _start(self, options: Mapping[str, Any], deadline: float) -> tuple[Any, str]:
        """Starts an actor; returns it and its node once it is running."""
        actor = self._ray.remote(ShardServer).options(**options).remote(self.entry, self._location)
        try:
            return actor, self._get(actor.node.remote(), max(deadline - time.monotonic(), 1.0))
        except self._ray.exceptions.GetTimeoutError as error:
            self._ray.kill(actor)
            raise self._lost(f"the cluster had no room for it within {self.patience:g} s (it asks for "
                             f"{options['num_cpus']:g} processors); add nodes, or give it less") from error

    def _get(self, reference: Any, timeout: float | None = None) -> Any:
        """Returns a result; an exception that the shard raised is raised as it is."""
        try:
            return self._ray.get(reference, timeout=timeout)
        except self._ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, Exception):
                raise cause from None
            raise

    def _lost(self, reason: str) -> ShardLostError:
        return ShardLostError(f"{self.entry.name}: {reason}")


def _line(error: Exception) -> str:
    """Returns the first line of an error of Ray's, which have many."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
