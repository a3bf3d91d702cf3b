"""Two incarnations of one host at the same time, on one journal: Ray can do that, so we do it."""

from pathlib import Path

import msgspec
import pytest
import ray
from msgspec import structs
from ray.actor import ActorHandle

from clusters.cluster import openings
from clusters.live.cast import Cast, Setting, write_setting
from clusters.live.chronicle import Chronicle
from clusters.live.journals import make_journal
from clusters.live.link_faults import Lasting
from clusters.live.live_host import Status
from clusters.live.operations_log import OperationsLog
from clusters.live.placement import place
from clusters.live.ray_cluster import RayCluster
from clusters.live.ray_host import Charge, RayHost, Spot, answer, begin
from clusters.live.reexecute import CHRONICLE, JOURNALS, SETTING, journal_path, reexecute
from clusters.live.seal import Seal
from clusters.live.supervisor import Supervisor
from protocol.facts.world import RunEnded, RunStarted
from protocol.history import HISTORY_FORMAT
from protocol.machine import Machine
from protocol.messages import Told
from protocol.wire import WIRE_FORMAT, Frame, encode
from tests.live.toys import LONG, RING

pytestmark = pytest.mark.live

NOTHING = Machine((), (), ())
NO_FAULTS = msgspec.msgpack.encode(Lasting())


def supervisor_of(folder: Path, cluster: RayCluster, log: OperationsLog) -> Supervisor:
    cast = Cast(NOTHING, {}, {}, "tests.live.toys:long_ring")
    placement = place(cast.roles(), "each")
    (folder / JOURNALS).mkdir()
    write_setting(folder / JOURNALS / SETTING, Setting(cast, placement))
    charges = [
        Charge(
            host, "zombies", cast, placement, 7, (), "process",
            str(journal_path(folder, host)), str(folder / "logs"),
        )
        for host in RING
    ]  # fmt: skip
    for charge in charges:
        make_journal(charge.journal, charge.name, charge.durability)
    chronicle = Chronicle(folder / JOURNALS / CHRONICLE)
    chronicle.stated(RunStarted(HISTORY_FORMAT, "", "", 7, "live", "sound", NOTHING))
    return Supervisor(charges, lambda charge: begin(charge, Spot(cluster.node_id)), chronicle, log)


def status_of(handle: "ActorHandle[RayHost]") -> Status:
    return msgspec.msgpack.decode(answer(handle.tick.remote(0, False, NO_FAULTS), 30), type=Status)


def test_err_a_zombie_can_neither_append_nor_be_heard(tmp_path: Path, cluster: RayCluster) -> None:
    log = OperationsLog(tmp_path / "logs", "supervisor")
    supervisor = supervisor_of(tmp_path, cluster, log)
    supervisor.start()
    for name, message in openings(RING):
        supervisor.tell(name, message)
    while supervisor.inputs() < 400:
        supervisor.step()

    # The second incarnation of b begins, while the first still runs and everybody talks to it.
    first = supervisor.hosts["b"].handle
    charge = supervisor.hosts["b"].charge
    second = begin(structs.replace(charge, namespace="elsewhere"), Spot(cluster.node_id))
    assert status_of(second).epoch == 2
    # The first finds itself fenced as soon as it wants to append, and says nothing more.
    while not status_of(first).fenced:
        pass
    stuck = status_of(first).inputs

    # The supervisor replaces it: now the second is the zombie.
    while supervisor.hosts["b"].epoch < 3:
        supervisor.step()
    told = encode(Frame(WIRE_FORMAT, 1, "a", "b", LONG, 0, (9, 9), ("", 0, 0), Told("x", 1, 0, 0)))
    ray.get(second.take.remote(Seal("elsewhere").close(told)), timeout=30)
    while not supervisor.quiet():
        supervisor.step()
    assert status_of(second).inputs["b"] < LONG

    # Whatever a zombie said to others would be of an epoch that they do not listen to any more.
    forged = Frame(WIRE_FORMAT, 2, "b", "c", LONG + 1, 0, (9, 9), ("", 0, 0), Told("x", 1, 0, 0))
    seal = Seal(charge.namespace)
    before = status_of(supervisor.hosts["c"].handle)
    ray.get(supervisor.hosts["c"].handle.take.remote(seal.close(encode(forged))), timeout=30)
    after = status_of(supervisor.hosts["c"].handle)
    assert after.inputs == before.inputs
    assert after.counts["refused_epoch"] == before.counts.get("refused_epoch", 0) + 1
    assert stuck["b"] < LONG

    for actor, (n, state_hash) in supervisor.hashes().items():
        supervisor.chronicle.final(actor, n, state_hash)
    ray.kill(second, no_restart=True)
    supervisor.stop()
    supervisor.chronicle.stated(RunEnded(quiet=True, steps=0))
    log.close()
    match = reexecute(tmp_path)
    assert match.whole, match
    assert match.epochs == {"a": 1, "b": 3, "c": 1, "d": 1}
