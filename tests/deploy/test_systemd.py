"""deploy/systemd: valid by systemd itself, hardened, and on the one schedule."""

import configparser
import os
import shutil
import tempfile
import unittest
from pathlib import Path

from project import DEPLOY, PROGRAMS, SCHEDULE, Case, run

PLACE = DEPLOY / "systemd"
JOBS = [*SCHEDULE, "status"]
DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
HARDENED = {
    "User": "companion",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "MemoryDenyWriteExecute": "yes",
    "LockPersonality": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "SystemCallArchitectures": "native",
    "StateDirectory": "companion",
    "StateDirectoryMode": "0700",
}


def unit(name):
    """A unit's sections; a key that stands more than once keeps its last value."""
    parsed = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parsed.optionxform = str
    parsed.read_string((PLACE / name).read_text())
    return parsed


def seconds(text):
    for end, factor in (("min", 60), ("h", 3600)):
        if text.endswith(end):
            return int(text.removesuffix(end)) * factor
    return int(text)


def calendar(cron):
    """The same time as `cron`, as OnCalendar= writes it."""
    minute, hour, _, _, day = cron.split()
    if hour == "*":
        return {"0": "hourly"}[minute]
    return ("" if day == "*" else f"{DAYS[int(day)]} ") + f"*-*-* {int(hour):02}:{int(minute):02}:00"


class Units(Case):
    @classmethod
    def setUpClass(cls):
        # A machine's root with systemd's own units, ours, and the programs where ours look for them.
        cls.root = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.root)
        for directory in ("etc/systemd/system", "usr/lib/systemd", "usr/local/bin", "bin"):
            (cls.root / directory).mkdir(parents=True)
        shutil.copytree("/usr/lib/systemd/system", cls.root / "usr/lib/systemd/system", symlinks=True)
        for path in PLACE.iterdir():
            shutil.copy(path, cls.root / "etc/systemd/system")
        for program in ("usr/local/bin/companion", "usr/local/bin/companion-maint", "bin/sh"):
            (cls.root / program).touch(0o755)

    def verify(self, *units):
        return run("systemd-analyze", "verify", "--man=no", f"--root={self.root}", *units)

    def test_systemd_finds_nothing_to_complain_of(self):
        names = sorted(path.name for path in PLACE.iterdir() if path.suffix in (".service", ".timer"))
        names = [name.replace("@.", "@companion-backup-db.service.") for name in names]
        self.assertEqual(len(names), 2 + 2 * len(JOBS))
        done = self.verify(*names)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_systemd_would_notice(self):
        broken = (PLACE / "companion.service").read_text().replace("ProtectSystem=", "ProtectSystm=")
        path = self.root / "etc/systemd/system/broken.service"
        path.write_text(broken.replace("/usr/local/bin/companion ", "/usr/local/bin/none "))
        self.addCleanup(os.remove, path)
        told = self.verify("broken.service").stderr
        self.assertIn("ProtectSystm", told)
        self.assertIn("/usr/local/bin/none is not executable", told)

    def test_systemd_rates_them_as_safe(self):
        for name in ["companion.service", *(f"companion-{job}.service" for job in JOBS)]:
            # In tenths of a point out of ten; a unit with nothing set has 96.
            self.succeeds(
                "systemd-analyze", "security", "--offline=true", "--threshold=15", f"--root={self.root}", name
            )

    def test_they_are_hardened(self):
        for name in ["companion.service", *(f"companion-{job}.service" for job in JOBS)]:
            service = unit(name)["Service"]
            self.assertEqual({key: service.get(key) for key in HARDENED}, HARDENED, name)
            self.assertIn("SystemCallFilter=@system-service", (PLACE / name).read_text(), name)

    def test_every_failure_is_told(self):
        for name in ["companion.service", *(f"companion-{job}.service" for job in JOBS)]:
            self.assertEqual(unit(name)["Unit"]["OnFailure"], "companion-failed@%n.service", name)

    def test_only_a_lock_that_is_held_is_no_failure(self):
        self.assertNotIn("SuccessExitStatus", unit("companion.service")["Service"])
        for job in JOBS:
            service = unit(f"companion-{job}.service")["Service"]
            self.assertEqual(service["SuccessExitStatus"], "75", job)
            self.assertEqual(service["Type"], "oneshot", job)
            self.assertGreater(seconds(service["TimeoutStartSec"]), 0, job)

    def test_wrong_settings_are_not_tried_again_and_running_turns_get_their_time(self):
        service = unit("companion.service")["Service"]
        self.assertEqual((service["Restart"], service["RestartPreventExitStatus"]), ("on-failure", "2"))
        drain = dict(line.split("=") for line in settings_lines())["DRAIN_SECONDS"]
        self.assertGreaterEqual(seconds(service["TimeoutStopSec"]), int(drain) + 20)

    def test_every_timer_is_on_the_schedule_and_makes_up_for_what_was_missed(self):
        for job, cron in SCHEDULE.items():
            timer = unit(f"companion-{job}.timer")["Timer"]
            self.assertEqual((timer["OnCalendar"], timer["Persistent"]), (calendar(cron), "true"), job)
        for job in JOBS:
            timer = unit(f"companion-{job}.timer")
            self.succeeds("systemd-analyze", "calendar", timer["Timer"]["OnCalendar"])
            self.assertEqual(timer["Install"]["WantedBy"], "timers.target")

    def test_the_backup_goes_before_the_cleanup(self):
        self.assertEqual(unit("companion-cleanup-sessions.service")["Unit"]["After"], "companion-backup-db.service")

    def test_the_installation_names_every_unit(self):
        head = (PLACE / "companion.service").read_text().split("[Unit]")[0]
        for job in JOBS:
            self.assertIn(f"companion-{job}.timer", head)

    def test_the_settings_file_is_one(self):
        self.knows((line.split("=")[0] for line in settings_lines()), "companion.env")
        # Every value is read before the data directory is looked for.
        command = [PROGRAMS["companion-maint"], "status", "--env-file", PLACE / "companion.env"]
        done = run(*command, "--data-dir", self.root / "none", env={})
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("DATA_DIR=/var/lib/companion", settings_lines())


class Hook(Case):
    """The command line of companion-failed@.service, as systemd would hand it to the shell."""

    def setUp(self):
        line = unit("companion-failed@.service")["Service"]["ExecStart"].replace("\\\n", " ")
        self.script = line.split("'")[1].replace("$$", "$")
        self.place = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.place)
        (self.place / "journalctl").write_text('#!/bin/sh\necho "the log of $5 $6 $7"\n')
        (self.place / "journalctl").chmod(0o755)

    def tell(self):
        environment = {"PATH": f"{self.place}:/usr/bin:/bin"}
        environment |= {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": "4"}
        script = self.script.replace("/etc/companion/on-failure", str(self.place / "on-failure"))
        return self.succeeds("sh", "-c", script, "sh", "companion-backup-db.service", env=environment)

    def test_without_a_sites_program_the_journal_gets_a_line_at_priority_error(self):
        self.assertEqual(self.tell(), "<3>companion-backup-db.service failed: exit-code, exit status 4\n")

    def test_a_sites_program_gets_the_name_the_log_and_the_code(self):
        hook = self.place / "on-failure"
        hook.write_text('#!/bin/sh\necho "$1 $MONITOR_EXIT_STATUS"\ncat\n')
        hook.chmod(0o755)
        self.assertIn("companion-backup-db.service 4\nthe log of --unit companion-backup-db.service", self.tell())


def settings_lines():
    lines = (PLACE / "companion.env").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    unittest.main()
