"""The image and what runs it: as far as can be told without a container engine. The scripts of the image and the programs
are run for real, as the image's user, with the root file system read-only and a volume whose top belongs to root."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import yaml
from compose_spec import PyCompose
from kustomize import render
from project import DEPLOY, PROGRAMS, ROOT, SCHEDULE, VERSION, Case, documents, run, settings

UID = "10001"


def instructions():
    """The Dockerfile as (instruction, rest), continuation lines joined, comments gone."""
    text = "".join(line for line in (DEPLOY / "Dockerfile").open() if not line.startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            yield tuple(line.split(None, 1))


def stages():
    """The Dockerfile's stages, each a list of instructions."""
    found = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def copied():
    """What the Dockerfile copies out of the repository."""
    for name, rest in instructions():
        words = rest.split()
        if name == "COPY" and not any(word.startswith("--from=") for word in words):
            yield from [word for word in words[:-1] if not word.startswith("--")]


def environment():
    (server,) = [rest for name, rest in stages()[-1] if name == "ENV"]
    return dict(word.split("=", 1) for word in server.split())


class Dockerfile(Case):
    def test_hadolint_finds_nothing(self):
        self.succeeds("hadolint", DEPLOY / "Dockerfile")

    def test_shellcheck_finds_nothing(self):
        self.succeeds("shellcheck", *sorted(DEPLOY.glob("*.sh")))

    def test_both_stages_are_the_same_debian_and_the_toolchain_is_ours(self):
        bases = [rest.split() for name, rest in instructions() if name == "FROM"]
        channel = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
        self.assertEqual(bases, [[f"rust:{channel}-bookworm", "AS", "build"], ["debian:bookworm-slim"]])
        self.assertIn(("ENV", f"RUSTUP_TOOLCHAIN={channel}"), list(instructions()))

    def test_what_it_copies_is_there_and_not_left_out(self):
        allowed = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
        self.assertEqual(sorted(copied()), sorted(allowed))
        for name in copied():
            self.assertTrue((ROOT / name).exists(), name)

    def test_what_it_copies_is_all_a_build_needs(self):
        with tempfile.TemporaryDirectory() as place:
            for name in copied():
                source, target = ROOT / name, Path(place, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
            self.succeeds(
                "cargo", "check", "--locked", "--bins", "--target-dir", ROOT / "target",
                cwd=place, timeout=1200, env=os.environ | {"RUSTUP_TOOLCHAIN": "1.95.0"},
            )  # fmt: skip

    def test_the_build_makes_what_is_copied_from_it(self):
        (build,) = [rest for name, rest in stages()[0] if name == "RUN"]
        self.assertIn("cargo build --release --locked --bins", build)
        (taken,) = [rest for name, rest in stages()[-1] if name == "COPY" and "--from=build" in rest]
        self.assertEqual(taken, "--from=build /out/companion /out/companion-maint /usr/local/bin/")

    def test_nobody_in_it_is_root(self):
        users = [rest for name, rest in stages()[-1] if name == "USER"]
        self.assertEqual(users, [f"{UID}:{UID}"])
        last = [name for name, _ in stages()[-1]]
        self.assertNotIn("RUN", last[last.index("USER") :])

    def test_its_settings_are_settings(self):
        self.knows(environment(), "Dockerfile")

    def test_its_commands_are_in_it(self):
        installed = {"companion"} | set(re.findall(r"/usr/local/bin/([\w-]+)", (DEPLOY / "Dockerfile").read_text()))
        said = {name: rest for name, rest in stages()[-1]}
        self.assertEqual(json.loads(said["CMD"]), ["companion"])
        self.assertIn(json.loads(said["HEALTHCHECK"].split("CMD ")[1])[0], installed)

    def test_the_slim_image_has_what_the_scripts_use(self):
        # Packages every Debian has ("Essential: yes" or "Priority: required"); the slim image has them too.
        for program in ("sh", "bash", "cat", "date", "mkdir", "mv", "sleep", "timeout", "useradd", "groupadd", "install"):
            path = Path(shutil.which(program)).resolve()
            owner = run("dpkg", "--search", path).stdout or run("dpkg", "--search", str(path).removeprefix("/usr")).stdout
            package = owner.split(":")[0]
            told = self.succeeds("dpkg-query", "--show", "--showformat=${Essential} ${Priority}", package)
            self.assertRegex(told, "yes|required", program)


class Compose(Case):
    def setUp(self):
        (self.compose,) = documents(DEPLOY / "compose.yaml")
        self.services = self.compose["services"]
        self.ours = {name: s for name, s in self.services.items() if s["image"].startswith("companion:")}

    def test_it_is_a_compose_file(self):
        # With its merge keys resolved and its variables at their defaults, which the reader does not do.
        resolved = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", yaml.safe_dump(self.compose))
        self.assertNotIn("$", resolved)
        PyCompose.from_yaml(resolved).validate()

    def test_the_reader_would_notice(self):
        with self.assertRaises(ValueError):
            PyCompose.from_yaml("services: {server: {image: a, comand: b}}")

    def test_it_has_what_it_says(self):
        local = {name for name, service in self.services.items() if service.get("profiles") == ["local-ai"]}
        self.assertEqual(local, {"model", "transcription", "speech"})
        self.assertEqual(set(self.services) - local, {"server", "schedule", "proxy", "qdrant"})

    def test_every_name_that_is_referred_to_exists(self):
        for name, service in self.services.items():
            self.assertLessEqual(set(service.get("depends_on", {})), set(self.services), name)
            self.assertLessEqual(set(service.get("networks", [])), set(self.compose["networks"]), name)
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                there = (DEPLOY / source).exists() if source.startswith(".") else source in self.compose["volumes"]
                self.assertTrue(there, volume)
            tag = service["image"].rpartition(":")[2]
            self.assertTrue(tag and tag != "latest" and "/" not in tag, name)
        build = self.services["server"]["build"]
        context = (DEPLOY / build["context"]).resolve()
        self.assertEqual((context, context / build["dockerfile"]), (ROOT, DEPLOY / "Dockerfile"))

    def test_server_and_jobs_are_this_version_and_share_settings_and_volumes(self):
        self.assertEqual(set(self.ours), {"server", "schedule"})
        server, schedule = self.ours["server"], self.ours["schedule"]
        self.assertEqual(server["image"], f"companion:{VERSION}")
        for key in ("image", "volumes", "read_only", "cap_drop", "security_opt"):
            self.assertEqual(schedule[key], server[key], key)
        self.assertLessEqual(schedule["environment"].items(), server["environment"].items())
        self.knows(server["environment"].keys() - {"TZ"}, "compose.yaml")

    def test_the_server_alone_is_given_the_tokens(self):
        keys = ("LLM_API_KEY", "STT_API_KEY", "TTS_API_KEY", "ELEVENLABS_API_KEY", "EMBEDDING_API_KEY", "QDRANT_API_KEY")
        for name in ("ACCESS_TOKEN", "ADMIN_TOKEN", *keys):
            self.assertEqual(self.ours["server"]["environment"][name], f"${{{name}:-}}")
            self.assertNotIn(name, self.ours["schedule"]["environment"])

    def test_our_services_are_hardened(self):
        for name, service in self.ours.items():
            self.assertIs(service["read_only"], True, name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["security_opt"], ["no-new-privileges:true"], name)
            self.assertIn("mem_limit", service, name)

    def test_every_keep_rule_can_be_set_in_each_installation(self):
        keep = {name for name in settings() if name.startswith("BACKUP_KEEP")}
        self.assertEqual(len(keep), 4)
        self.assertLessEqual(keep, set(self.services["server"]["environment"]))
        (cluster,) = documents(DEPLOY / "kubernetes/base/settings.yaml")
        self.assertLessEqual(keep, set(cluster["data"]))
        machine = (DEPLOY / "systemd/companion.env").read_text()
        self.assertEqual(keep, set(re.findall(r"^#?(BACKUP_KEEP\w*)=", machine, re.MULTILINE)))

    def test_the_server_is_reached_through_the_proxy_only(self):
        published = {name for name, service in self.services.items() if service.get("ports")}
        self.assertEqual(published, {"proxy"})
        (network,) = self.compose["networks"]["inner"]["ipam"]["config"]
        self.assertEqual(self.ours["server"]["environment"]["TRUSTED_PROXIES"], network["subnet"])

    def test_running_turns_get_their_time(self):
        grace = int(self.ours["server"]["stop_grace_period"].removesuffix("s"))
        self.assertGreaterEqual(grace, int(self.ours["server"]["environment"]["DRAIN_SECONDS"]) + 20)

    def test_the_proxys_settings_are_valid(self):
        caddyfile = DEPLOY / "Caddyfile"
        with tempfile.TemporaryDirectory() as home:
            told = self.succeeds("caddy", "adapt", "--config", caddyfile, env=os.environ | {"HOME": home})
            self.succeeds("caddy", "validate", "--adapter", "caddyfile", "--config", caddyfile, env=os.environ | {"HOME": home})
        expected = f'"dial":"server:{self.ours["server"]["environment"]["PORT"]}"'
        self.assertIn(expected, told)
        self.assertEqual(self.succeeds("caddy", "fmt", caddyfile), caddyfile.read_text())


class Contained(Case):
    """The real programs, as Kubernetes and compose would run them."""

    def setUp(self):
        # A volume as the kubelet hands it over: root's, of the group that fsGroup names, with the group's rights.
        self.place = Path(tempfile.mkdtemp(dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.place)
        self.place.chmod(0o755)
        for name in ("data", "backups", "bin"):
            (self.place / name).mkdir()
            os.chown(self.place / name, 0, int(UID))
            (self.place / name).chmod(0o2775)
        for name, program in PROGRAMS.items():
            shutil.copy(program, self.place / "bin" / name)
        for name in ("healthcheck", "schedule"):
            shutil.copy(DEPLOY / f"{name}.sh", self.place / "bin" / f"companion-{name}")
        (settings,) = [r for r in render(DEPLOY / "kubernetes/base") if r["metadata"]["name"] == "companion-settings"]
        self.environment = settings["data"] | {
            "PATH": f"{self.place}/bin:/usr/bin:/bin",
            # This machine only, and a port that is free; the rest is as in the cluster.
            "HOST": "127.0.0.1",
            "PORT": "0",
        }
        for name in ("DATA_DIR", "BACKUP_DIR"):
            self.environment[name] = f"{self.place}{settings['data'][name]}"

    def contained(self, *command, tmp="mount -o remount,bind,ro /tmp"):
        """The command line that runs `command` as the image's user, able to write to the volumes and nowhere else."""
        places = " ".join(f"{self.place}/{name}" for name in ("data", "backups"))
        script = f"""
            for volume in {places}; do mount --bind $volume $volume; done
            mount -o remount,bind,ro /
            for other in /var/tmp /work; do mountpoint -q $other && mount -o remount,bind,ro $other; done
            mountpoint -q /tmp || mount --bind /tmp /tmp
            {tmp}
            cd {self.place}/data
            exec setpriv --reuid {UID} --regid {UID} --clear-groups --no-new-privs --bounding-set=-all \\
                --inh-caps=-all -- "$@"
        """
        return ["unshare", "--mount", "--propagation", "private", "bash", "-ec", script, "bash", *command]

    def serve(self):
        server = subprocess.Popen(
            self.contained("companion"), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.addCleanup(lambda: (server.kill(), server.wait(), server.stdout.close()))
        address = server.stdout.readline()
        self.assertRegex(address, "^Listening on http://127.0.0.1:[0-9]+")
        return server, address.strip().rpartition(":")[2]

    def run_contained(self, *command, **more):
        return run(*self.contained(*command), env=self.environment | more)

    def test_nothing_else_can_be_written_here(self):
        for place in ("/", "/tmp", "/var/tmp", "/etc"):
            self.assertNotEqual(self.run_contained("touch", f"{place}/companion-was-here").returncode, 0, place)
        self.assertEqual(self.run_contained("touch", f"{self.place}/data/x").returncode, 0)

    def test_the_programs_can_use_a_volume_whose_top_belongs_to_root(self):
        server, port = self.serve()
        healthy = self.run_contained("companion-healthcheck", PORT=port)
        self.assertEqual(healthy.returncode, 0, healthy.stderr)
        for job in ["status", *SCHEDULE]:
            with self.subTest(job):
                done = self.run_contained("companion-maint", job, "--json")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(json.loads(done.stdout)["exit_code"], 0)
        self.assertTrue(list((self.place / "backups/companion").glob("companion-*.db.zst")))
        with self.subTest("a restore with the server up is refused, and with it down is done"):
            restore = ("companion-maint", "restore-db", "latest", "--yes", "--json")
            self.assertEqual(self.run_contained(*restore).returncode, 4)
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(timeout=30), 0)
        self.assertNotEqual(self.run_contained("companion-healthcheck", PORT=port).returncode, 0, "nobody answers")
        with self.subTest("restore"):
            done = self.run_contained(*restore)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_schedule_makes_up_for_what_was_missed(self):
        self.serve()
        kept = self.place / "data/schedule"
        kept.mkdir()
        os.chown(kept, int(UID), int(UID))
        for job in SCHEDULE:
            (kept / job).write_text("1 1 1 0\n")
        command = self.contained("companion-schedule", tmp="mount -t tmpfs -o mode=1777 tmpfs /tmp")
        schedule = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (schedule.kill(), schedule.wait()))
        reports = [json.loads(schedule.stdout.readline()) for _ in SCHEDULE]
        schedule.terminate()
        self.assertEqual(schedule.wait(timeout=30), 0)
        schedule.stdout.close()
        self.assertEqual([(report["job"], report["exit_code"]) for report in reports], [(job, 0) for job in SCHEDULE])
        self.assertRegex((kept / "backup-db").read_text(), r"^\d{8} \d{10} \d{10} 0\n$")


class Schedule(Case):
    """schedule.sh with a clock, a sleep and a companion-maint of the test's own."""

    def setUp(self):
        self.place = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.place)
        self.script = self.place / "schedule"
        # Its memory is where this test alone looks.
        self.script.write_text((DEPLOY / "schedule.sh").read_text().replace("/tmp/", f"{self.place}/tmp/"))
        (self.place / "data").mkdir()
        self.kept = self.place / "data/schedule"
        self.environment = {"PATH": f"{self.place}:/usr/bin:/bin", "DATA_DIR": f"{self.place}/data/companion"}
        self.program("date", f"""
            for word in "$@"; do
                case "$word" in --date=*) moved=${{word#--date=}} ;; +*) format=$word ;; esac
            done
            exec /bin/date --utc --date="$(head -n 1 {self.place}/times) UTC ${{moved:-}}" "$format" """)
        # Each sleep is the end of a minute: on to the next time, and at the last one the container is stopped.
        self.program("sleep", f"""
            if [ "$(wc -l <{self.place}/times)" -gt 1 ]; then sed -i 1d {self.place}/times; else kill -TERM "$PPID"; fi""")
        self.program("companion-maint", f"""
            echo "$(head -n 1 {self.place}/times) $1" >>{self.place}/ran
            exit "$(cat {self.place}/code-"$1" 2>/dev/null || echo 0)" """)

    def program(self, name, script):
        (self.place / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.place / name).chmod(0o755)

    def at(self, *times):
        (self.place / "times").write_text("".join(f"{time}\n" for time in times))

    def ran_at(self, *times, told=""):
        """What a container ran that was started at the first of these times, looked at the others and was then stopped."""
        shutil.rmtree(self.place / "tmp", ignore_errors=True)
        (self.place / "ran").write_text("")
        self.at(*times)
        done = run("sh", self.script, env=self.environment, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(told, done.stderr)
        return (self.place / "ran").read_text().splitlines()

    def wrong_at(self, time):
        """What --check finds wrong."""
        self.at(time)
        done = run("sh", self.script, "--check", env=self.environment)
        self.assertEqual((done.returncode, done.stderr), (1 if done.stdout else 0, ""))
        return done.stdout.splitlines()

    def test_each_job_runs_at_its_time(self):
        # From a Saturday night into Sunday.
        times = [f"2026-11-{day} {hour:02}:{minute:02}" for day in (28, 29) for hour in range(24) for minute in (0, 29, 30)]
        ran = self.ran_at("2026-11-27 23:30", *times)
        by_job = {job: [line.rsplit(" ", 1)[0] for line in ran if line.endswith(job)] for job in SCHEDULE}
        self.assertEqual(by_job["cleanup-audio"], [time for time in times if time.endswith(":00")])
        self.assertEqual(by_job["backup-db"], ["2026-11-28 02:00", "2026-11-29 02:00"])
        self.assertEqual(by_job["cleanup-sessions"], ["2026-11-28 03:00", "2026-11-29 03:00"])
        self.assertEqual(by_job["verify-backups"], ["2026-11-29 04:30"])

    def test_what_a_sleeping_machine_missed_is_made_up_for_with_the_backup_first(self):
        ran = self.ran_at("2026-11-28 22:00", "2026-11-29 09:12", "2026-11-29 09:13")
        self.assertEqual(ran, [f"2026-11-29 09:12 {job}" for job in SCHEDULE])

    def test_what_was_missed_while_the_machine_was_off_is_made_up_for_once(self):
        self.assertEqual(self.ran_at("2026-11-02 22:00"), [])
        ran = self.ran_at("2026-11-29 09:12", "2026-11-29 09:13")
        self.assertEqual(ran, [f"2026-11-29 09:12 {job}" for job in SCHEDULE])
        self.assertEqual(self.ran_at("2026-11-29 09:59"), [], "it knows what it ran before")
        self.assertEqual(self.ran_at("2026-11-29 10:02"), ["2026-11-29 10:02 cleanup-audio"])

    def test_a_new_installation_has_missed_nothing(self):
        self.assertEqual(self.ran_at("2026-11-29 02:30", "2026-11-29 02:31"), [])
        self.assertEqual(self.wrong_at("2026-11-29 02:32"), [])

    def test_a_clock_that_steps_back_a_little_runs_nothing_twice(self):
        ran = self.ran_at("2026-11-28 01:59", "2026-11-28 02:00", "2026-11-28 01:50", "2026-11-28 02:01")
        self.assertEqual(ran, ["2026-11-28 02:00 cleanup-audio", "2026-11-28 02:00 backup-db"])

    def test_a_clock_that_goes_far_back_stops_nothing(self):
        self.ran_at("2027-11-28 05:00")
        ran = self.ran_at("2026-11-28 05:00", "2026-11-28 05:01", "2026-11-29 02:00")
        self.assertEqual(ran[:4], [f"2026-11-28 05:00 {job}" for job in SCHEDULE])
        self.assertEqual(ran[4:], ["2026-11-29 02:00 cleanup-audio", "2026-11-29 02:00 backup-db"])

    def test_a_failure_shows_until_the_job_succeeds(self):
        self.ran_at("2026-11-28 09:59")
        for hour, (code, wrong) in enumerate((("3", True), ("75", False), ("1", True), ("0", False)), start=10):
            (self.place / "code-cleanup-audio").write_text(code)
            self.ran_at(f"2026-11-28 {hour}:00")
            told = [f"cleanup-audio: ended with exit {code}"] if wrong else []
            self.assertEqual(self.wrong_at(f"2026-11-28 {hour}:01"), told)
        (self.place / "code-cleanup-audio").write_text("4")
        self.ran_at("2026-11-28 14:00", told="companion-schedule: cleanup-audio ended with exit 4")
        self.assertEqual(self.ran_at("2026-11-28 14:10"), [])
        self.assertEqual(self.wrong_at("2026-11-28 14:10"), ["cleanup-audio: ended with exit 4"], "after a restart, too")

    def test_a_backup_that_told_of_lost_rows_shows_until_somebody_has_seen_it(self):
        self.ran_at("2026-11-28 01:59")
        (self.place / "code-backup-db").write_text("3")
        self.ran_at("2026-11-28 02:00", told="companion-schedule: backup-db ended with exit 3")
        told = ["backup-db: ended with exit 3 on 20261128; when you have seen to it: companion-schedule --seen"]
        self.assertEqual(self.wrong_at("2026-11-28 02:01"), told)
        (self.place / "code-backup-db").write_text("0")
        self.assertIn("2026-11-29 02:00 backup-db", self.ran_at("2026-11-29 02:00", "2026-11-29 02:01"))
        self.assertEqual(self.wrong_at("2026-11-29 02:01"), told, "the next night hides nothing, nor does a restart")
        self.succeeds("sh", self.script, "--seen", env=self.environment)
        self.assertEqual(self.wrong_at("2026-11-29 02:01"), [])
        self.ran_at("2026-11-29 02:02")
        self.assertEqual(self.wrong_at("2026-11-29 02:02"), [])

    def test_a_job_that_never_comes_to_run_shows_in_the_end(self):
        (self.place / "code-backup-db").write_text("75")
        self.ran_at("2026-11-28 10:00", "2026-11-29 02:00", "2026-11-29 15:59")
        self.assertEqual(self.wrong_at("2026-11-29 15:59"), [])
        self.ran_at("2026-11-29 16:01")
        self.assertEqual(self.wrong_at("2026-11-29 16:01"), ["backup-db: has not succeeded for 30 hours"])

    def test_a_loop_that_is_stuck_shows(self):
        stuck = ["the scheduler does not run, or is stuck"]
        self.assertEqual(self.wrong_at("2026-11-28 10:00"), stuck)
        self.ran_at("2026-11-28 10:00")
        self.assertEqual(self.wrong_at("2026-11-28 10:05"), [])
        self.assertEqual(self.wrong_at("2026-11-28 10:06"), stuck)
        self.assertEqual(self.wrong_at("2026-11-27 10:00"), stuck, "the clock went back")

    def test_a_long_run_is_no_stuck_loop_until_it_is_too_long(self):
        self.program("companion-maint", f"""
            for time in 11:34 11:36; do
                echo "2026-11-28 $time" >{self.place}/times
                sh {self.script} --check >>{self.place}/ran
                echo "$time $?" >>{self.place}/ran
            done""")
        ran = self.ran_at("2026-11-28 10:59", "2026-11-28 11:00")
        self.assertEqual(ran, ["11:34 0", "the scheduler does not run, or is stuck", "11:36 1"])

    def test_a_run_that_takes_too_long_is_ended_when_kubernetes_ends_it(self):
        self.program("timeout", f"""echo "$1 $4 $2" >>{self.place}/ran; exit 124""")
        self.ran_at("2026-11-02 22:00")
        ran = self.ran_at("2026-11-29 09:12")
        jobs = [r for r in render(DEPLOY / "kubernetes/base") if r["kind"] == "CronJob"]
        limits = {r["metadata"]["name"]: r["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] for r in jobs}
        self.assertEqual(ran, [f"--kill-after=60 {job} {limits[f'companion-{job}']}" for job in SCHEDULE])
        self.assertEqual(self.wrong_at("2026-11-29 09:13"), [f"{job}: ended with exit 124" for job in SCHEDULE])

    def test_a_stop_reaches_the_running_job_which_runs_again_at_the_next_start(self):
        real = (self.place / "companion-maint").read_text()
        self.program("companion-maint", f"""
            trap 'echo stopped >>{self.place}/ran; exit 1' TERM
            # Once `timeout` waits for us, for before that it would not pass the signal on.
            until read -r _ _ doing schedule _ <"/proc/$PPID/stat"; [ "$doing" = S ]; do :; done
            kill -TERM "$schedule"
            while true; do /bin/sleep 0.05; done""")
        self.assertEqual(self.ran_at("2026-11-28 10:59", "2026-11-28 11:00"), ["stopped"])
        (self.place / "companion-maint").write_text(real)
        self.assertEqual(self.ran_at("2026-11-28 11:10"), ["2026-11-28 11:10 cleanup-audio"])

    def test_a_volume_that_cannot_be_written_stops_and_repeats_nothing(self):
        self.kept.write_text("no directory")
        told = "cleanup-audio: its last run cannot be kept for the next start"
        ran = self.ran_at("2026-11-28 10:59", "2026-11-28 11:00", "2026-11-28 11:01", told=told)
        self.assertEqual(ran, ["2026-11-28 11:00 cleanup-audio"])

    def test_what_was_half_written_counts_as_nothing(self):
        for half in ("", "2026", "2026112809 1 1\n", "2026112809 1 1 x\n", "1 1 1 0 0\n"):
            self.kept.mkdir(exist_ok=True)
            (self.kept / "cleanup-audio").write_text(half)
            self.assertEqual(self.ran_at("2026-11-28 10:59"), [], half)
            self.assertEqual(self.wrong_at("2026-11-28 11:00"), [])

    def test_anything_else_is_refused(self):
        done = run("sh", self.script, "--now", env=self.environment)
        self.assertEqual(done.returncode, 2)

    def test_its_jobs_are_those_of_the_crontab(self):
        (listed,) = re.findall(r"^jobs='(.*)'$", (DEPLOY / "schedule.sh").read_text(), re.MULTILINE)
        self.assertEqual(listed.split(), list(SCHEDULE))


if __name__ == "__main__":
    unittest.main()
