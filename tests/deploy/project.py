"""Where things are in the repository, and how the tests run programs."""

import re
import subprocess
import tomllib
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROGRAMS = {name: ROOT / "target" / "debug" / name for name in ("companion", "companion-maint")}
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]

# The one schedule, as cron writes it; crontab.example, the timers and the CronJobs are held to it.
SCHEDULE = {
    "cleanup-audio": "0 * * * *",
    "backup-db": "0 2 * * *",
    "cleanup-sessions": "0 3 * * *",
    "verify-backups": "30 4 * * 0",
}


def run(*command, **options):
    """Runs a command; its output is text, its failure is not an exception."""
    options = {"capture_output": True, "text": True, "timeout": 300} | options
    return subprocess.run([str(part) for part in command], check=False, **options)


def documents(path):
    """The YAML documents of a file. A key that stands twice is an error, which YAML alone would let pass."""
    return [document for document in yaml.load_all(path.read_text(), Loader=_StrictLoader) if document is not None]


def settings():
    """The names of all settings the server knows, as its help tells them."""
    told = run(PROGRAMS["companion"], "--help").stdout
    return set(re.findall(r"(?:^  |\(also )([A-Z][A-Z_]+)", told, re.MULTILINE))


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.value != "<<"]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"stands twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


class Case(unittest.TestCase):
    """What every test here uses."""

    maxDiff = None

    def succeeds(self, *command, **options):
        done = run(*command, **options)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def knows(self, names, where):
        """Fails when a setting given in `where` is not one."""
        self.assertLessEqual(set(names), settings(), where)
