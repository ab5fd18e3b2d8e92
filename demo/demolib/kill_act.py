"""The act in which the leader is killed under traffic, and comes back."""

import time

from demolib.requests import Around, Requests
from demolib.stage import Stage
from demolib.traffic import CountingConnection, curl
from tunnelkit.cluster import Leader, Member
from tunnelkit.processes import wait_until

BEFORE_SECONDS, AFTER_SECONDS = 1.5, 3.0


class KillAct:
    """Kills the server that leads and that the client's new streams go by: the worst one to lose."""

    def __init__(self, stage: Stage):
        self.stage = stage
        self.cluster = stage.cluster

    def play(self):
        """Kill and return."""
        self.leader = self._choose()
        self.victim = self.cluster.member(self.leader.name)
        self.survivors = [member for member in self.cluster.members if member != self.victim]
        self.ports_before = self.stage.mapped_ports(self.survivors[0])
        self._kill_under_traffic()
        self._show_survivors()
        self._start_again()

    def _choose(self) -> Leader:
        """The leader, but one that clients dial directly: who dials a dead server is refused, a relay would accept."""
        stage = self.stage
        leader = self.cluster.wait_for_leader(self.cluster.members)
        if leader.name == stage.behind_relay.name:
            heir = self.cluster.members[0]
            stage.screen.step(f"gotunnelctl cluster transfer {heir.name}: the leader is behind the relay")
            self.cluster.control(heir, "cluster", "transfer", heir.name)
            leader = self.cluster.wait_for_leader(self.cluster.members, after_term=leader.term)
        stage.screen.step(f"{leader.name} leads (term {leader.term}); gotunnelctl move: the client to it")
        stage.move_client(self.cluster.member(leader.name))
        return leader

    # The kill

    def _kill_under_traffic(self):
        stage = self.stage
        linked = set(self.cluster.links())
        forward = Requests(stage.certificate, "127.0.0.1", stage.forward_port, "hello from apiserver\n", threads=3)
        mapped = {member: Requests(stage.certificate, member.bind, stage.kubelet_mapped, "hello from kubelet\n", threads=1)
                  for member in self.survivors}
        counting = {member: CountingConnection(stage.certificate, member.bind, stage.kubelet_mapped)
                    for member in self.cluster.members}
        stage.screen.step("new connections all the time, by the forward and to mapped ports;")
        stage.screen.detail("one lasting connection to the mapped port of each server")
        time.sleep(BEFORE_SECONDS)
        killed_at = self.cluster.kill(self.victim)
        stage.screen.step(f"kill -9 {self.victim.name}")
        self.successor = self.cluster.wait_for_leader(self.survivors, after_term=self.leader.term)
        elapsed = time.monotonic() - killed_at
        successor = self.successor
        stage.screen.detail(f"{elapsed * 1000:.0f} ms later both others say: {successor.name} leads, term {successor.term}")
        time.sleep(AFTER_SECONDS)
        stage.checks.add(self.successor.name != self.victim.name, "kill: next leader",
                         f"{self.successor.name}, known to both after {elapsed * 1000:.0f} ms")
        self._check_requests("kill: forward", forward.finish(killed_at))
        for member, requests in mapped.items():
            self._check_requests(f"kill: port on {member.name}", requests.finish(killed_at))
        # Links come and go with servers; those held before and after the kill were there all the time.
        self._check_lasting(counting, linked & set(self.cluster.links()))

    def _check_requests(self, what: str, around: Around):
        found = f"{around.new} new, {around.failed} failed, longest took {around.longest * 1000:.0f} ms"
        self.stage.screen.detail(f"{what.removeprefix('kill: ')}: {around.before} requests before, {around.new} after the kill;")
        self.stage.screen.detail(f"    of {around.under_way} under way {around.lost} were lost with the server")
        held = around.failed == 0 and around.failed_before == 0 and around.new > 0 and around.problem is None
        self.stage.checks.add(held, what, found if held else f"{found}; {around.problem}")

    def _check_lasting(self, counting: dict[Member, CountingConnection], linked: set[str]):
        """Whoever has a link of the client's own needs no other server; where there is none, a relay may have died."""
        for member, connection in counting.items():
            result = connection.finish()
            how = "was lost" if result.problem else "went on"
            if member == self.victim:
                reason = "inside the killed server"
            elif member.name in linked:
                reason = "the client has a link to it"
                found = result.problem or f"{result.requests} in order, none lost"
                self.stage.checks.add(result.problem is None and result.requests > 0, "kill: lasting connection",
                                      f"{member.name}: {found}")
            else:
                reason = "relayed by the killed server" if result.problem else "relayed by another server"
            self.stage.screen.detail(f"lasting, at {member.name}, {how}: {reason}")

    def _show_survivors(self):
        asked = self.cluster.member(self.successor.name)
        self.stage.screen.block(f"gotunnelctl status, on {asked.name}", self.cluster.control(asked, "status"))

    # The return

    def _start_again(self):
        stage = self.stage
        stage.screen.step(f"starting {self.victim.name} again, with the state that it left on its disk")
        self.cluster.start_server(self.victim)
        role = wait_until(f"{self.victim.name} follows", self._role_of_victim, stage.children)
        leader = self.cluster.wait_for_leader(self.cluster.members)
        stage.checks.add(leader == self.successor, "return: role", f"{role} of {leader.name}, term {leader.term}")
        wait_until("it knows the client", lambda: stage.mapped_ports(self.victim) == self.ports_before, stage.children)
        ports = ", ".join(f"{name} {port}" for name, port in sorted(self.ports_before.items()))
        same = all(stage.mapped_ports(member) == self.ports_before for member in self.cluster.members)
        stage.checks.add(same, "return: mapped ports", f"the same on all: {ports}")
        wait_until("its mapped port listens", self._victim_answers, stage.children)
        stage.screen.detail(f"the client is linked to {' and '.join(sorted(self.cluster.links()))};")
        stage.screen.detail(f"still the mapped port answers on {self.victim.name}, too")

    def _role_of_victim(self) -> str | None:
        status = self.victim.admin.get_json("/v1/status") or {}
        return status.get("role") if status.get("role") == "follower" else None

    def _victim_answers(self) -> bool:
        return curl(self.stage.certificate, self.victim.bind, self.stage.kubelet_mapped, may_fail=True) == "hello from kubelet\n"
