"""Every command line of ours in crontab.example and deploy/ is one the programs accept: it is run with --help added."""

import re
import shlex
import tempfile
import unittest

from kustomize import render
from project import DEPLOY, PROGRAMS, ROOT, SCHEDULE, Case, documents, run

BY_NAME = re.compile(r"(?<![\w./-])(?:/usr/local/bin/)?companion-maint((?: +[a-z-][\w-]*)*)")


def crontab():
    """The lines of crontab.example as (fields, command)."""
    for line in (ROOT / "crontab.example").read_text().splitlines():
        if line and not line.startswith("#") and not re.match(r"[A-Z]+=", line):
            fields = line.split(None, 5)
            yield " ".join(fields[:5]), fields[5]


def exec_lines():
    for path in sorted((DEPLOY / "systemd").glob("*.service")):
        for line in path.read_text().splitlines():
            if line.startswith("ExecStart=/usr/local/bin/"):
                yield path.name, shlex.split(line.removeprefix("ExecStart="))


def container_commands():
    for name in ("base", "restore", "restore-encrypted", "overlays/metrics", "overlays/qdrant"):
        for resource in render(DEPLOY / "kubernetes" / name):
            template = resource.get("spec", {}).get("jobTemplate", resource).get("spec", {}).get("template", {})
            for container in template.get("spec", {}).get("containers", []):
                if container["image"].startswith("companion:"):
                    yield f"{name}: {resource['metadata']['name']}", container["command"] + container.get("args", [])
    (compose,) = documents(DEPLOY / "compose.yaml")
    for name, service in compose["services"].items():
        if service["image"].startswith("companion:") and "command" in service:
            yield f"compose: {name}", service["command"]


class CommandLines(Case):
    def accepts(self, where, words):
        program = words[0].rpartition("/")[2]
        with self.subTest(where, command=" ".join(words)):
            done = run(PROGRAMS[program], *words[1:], "--help", env={})
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_crontabs_lines(self):
        found = {}
        for when, command in crontab():
            words = shlex.split(command.split(">>")[0])
            self.assertEqual(words[0], "/usr/local/bin/companion-maint")
            self.assertTrue(words[words.index("--env-file") + 1].startswith("/"), "a scheduler's directory is not ours")
            self.assertNotIn("%", command, "cron takes it for a line's end")
            self.accepts("crontab.example", words)
            found[words[1]] = when
        self.assertEqual(found, SCHEDULE)

    def test_what_a_failed_job_of_the_crontab_says_is_mailed(self):
        text = (ROOT / "crontab.example").read_text()
        self.assertRegex(text, r"(?m)^MAILTO=\S")
        with tempfile.TemporaryDirectory() as place:
            for _, command in crontab():
                ended = command.replace("/usr/local/bin/companion-maint", "exit_with").replace("/var/log/companion", place)
                for code, mailed in ((0, False), (75, False), (1, True), (3, True), (4, True)):
                    told = self.succeeds("sh", "-c", f"exit_with() {{ echo told; return {code}; }}; {ended}")
                    self.assertEqual(bool(told), mailed, (command, code))

    def test_the_units(self):
        found = dict(exec_lines())
        self.assertEqual(len(found), 2 + len(SCHEDULE))
        for where, words in found.items():
            self.accepts(where, words)

    def test_the_containers(self):
        found = list(container_commands())
        # The server three times (base, overlays), its jobs as often, the two restores, compose's scheduler.
        self.assertEqual(len(found), 3 * (1 + len(SCHEDULE)) + 3)
        for where, words in found:
            if words[0] == "companion-schedule":
                self.assertLessEqual(words[1:], ["--check"])
            else:
                self.accepts(where, words)

    def test_no_schedule_names_a_retention(self):
        told = [command for _, command in crontab()]
        told += [" ".join(words) for _, words in [*exec_lines(), *container_commands()]]
        self.assertFalse([line for line in told if "--retention" in line], "what the page announces is what happens")

    def test_what_comments_scripts_and_alerts_tell_one_to_run(self):
        """A command named in prose ends where the prose goes on, so only its name and its flags are looked at."""
        paths = [path for path in DEPLOY.rglob("*") if path.is_file()] + [ROOT / "crontab.example"]
        seen = set()
        for path in sorted(paths):
            for match in BY_NAME.finditer(path.read_text()):
                words = match[1].split()
                command = [word for word in words[:1] if not word.startswith("-")]
                flags = [word for word in words if word.startswith("--")]
                if not flags and not command:
                    continue
                seen.add(" ".join(command))
                with self.subTest(path.name, command=" ".join(words)):
                    told = run(PROGRAMS["companion-maint"], *command, "--help", env={})
                    self.assertEqual(told.returncode, 0, told.stderr)
                    for flag in flags:
                        self.assertRegex(told.stdout, rf"{flag}\b")
        self.assertGreater(len(seen), 5, "the commands were not found")


if __name__ == "__main__":
    unittest.main()
