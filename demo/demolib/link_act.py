"""The act in which a link breaks under load, again and again, and no connection inside it does."""

import hashlib
import ssl
from pathlib import Path

from demolib.breakable_link import MIB, Cut, PlannedCut
from demolib.stage import CLIENT_OPTIONS, FILE_MIB, Stage
from demolib.traffic import CounterResult, CountingConnection, Transfer, sha256_of
from tunnelkit.cluster import Member
from tunnelkit.plan import ClientPlan, Exposure
from tunnelkit.processes import wait_until

CLIENT, EXPOSURE = "worker-2", "backup"
RESUMES_METRIC = "gotunnel_session_resumes_total"

# 64 MiB pass: 32 down and 32 up. The silence outlasts heartbeat_timeout, so that the client gives the link up.
CUTS = [
    PlannedCut(8 * MIB, Cut.RESET),
    PlannedCut(20 * MIB, Cut.END),
    PlannedCut(32 * MIB, Cut.SILENCE, 2.0),
    PlannedCut(48 * MIB, Cut.RESET),
]


class LinkAct:
    """Large transfers and a counting connection of a client that has nothing but one link, which breaks."""

    def __init__(self, stage: Stage):
        self.stage = stage

    def play(self):
        """Breaks the link under traffic and checks what arrived."""
        stage, server = self.stage, self.stage.behind_relay
        stage.screen.step(f"starting {CLIENT}; its only link goes to {server.name} by a relay that breaks")
        stage.cluster.start_client(self._client(server))
        port = stage.cluster.mapped_ports(server, CLIENT)[EXPOSURE]
        stage.screen.step(f"{FILE_MIB} MiB down and {FILE_MIB} MiB up by the forward, small requests on one")
        stage.screen.detail(f"connection by the exposure; meanwhile the link breaks {len(CUTS)} times")
        admin = stage.cluster.client_admin(CLIENT)
        resumes_before = admin.counter(RESUMES_METRIC)
        counting = CountingConnection(stage.certificate, server.bind, port)
        stage.link.follow(CUTS)
        download = self._transfer("download", "/file", None, stage.directory / "downloaded")
        upload = self._transfer("upload", "/upload", stage.file, stage.directory / "upload-answer")
        wait_until("both transfers end", lambda: not download.running() and not upload.running(), stage.children, 70)
        self._check_transfers(download, upload)
        self._check_counting(counting.finish())
        self._check_cuts(admin.counter(RESUMES_METRIC) - resumes_before)
        code = stage.children.stop(stage.cluster.client_process(CLIENT))
        stage.checks.add(code == 0, "link: orderly end", f"{CLIENT}, {'killed' if code is None else f'exit code {code}'}")

    def _client(self, server: Member) -> ClientPlan:
        """A client that trusts the certificate of one server alone: it has no other to go to."""
        certificate = (self.stage.directory / server.name / "server.crt").read_text()
        pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
        return ClientPlan(
            CLIENT, [server.dial_port], links=1, forwards=[self.stage.forward_on(self.stage.link_forward)],
            exposures=[Exposure(EXPOSURE, self.stage.kubelet_port, 0)], options=[*CLIENT_OPTIONS, f"server_pins: [{pin}]"])

    def _transfer(self, name: str, path: str, upload: Path | None, output: Path) -> Transfer:
        url = f"https://127.0.0.1:{self.stage.link_forward}{path}"
        return Transfer(name, self.stage.children, self.stage.certificate, url, upload, output)

    def _check_transfers(self, download: Transfer, upload: Transfer):
        down_seconds, up_seconds = download.wait(), upload.wait()
        expected = sha256_of(self.stage.file)
        same_down = sha256_of(self.stage.directory / "downloaded") == expected
        same_up = upload.answer() == {"bytes": self.stage.file.stat().st_size, "sha256": expected}
        for what, same, seconds in (("download", same_down, down_seconds), ("upload", same_up, up_seconds)):
            found = f"SHA-256 {'equal' if same else 'DIFFERS'} ({expected[:12]}...), {seconds:.1f} s"
            self.stage.checks.add(same, f"link: {FILE_MIB} MiB {what}", found)

    def _check_counting(self, result: CounterResult):
        found = result.problem or f"{result.requests} in order, none lost, longest {result.longest_wait:.1f} s"
        self.stage.checks.add(result.problem is None and result.requests > 0, "link: one connection", found)

    def _check_cuts(self, resumes: float):
        done = self.stage.link.cuts_done
        kinds = ", ".join(f"{done.count(kind)} x {kind.value}" for kind in Cut if kind in done)
        self.stage.checks.add(len(done) == len(CUTS), "link: broken", kinds)
        self.stage.checks.add(resumes >= len(CUTS), "link: session resumed", f"{resumes:.0f} times, {len(CUTS)} or more were due")
