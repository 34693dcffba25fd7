"""deploy/prometheus: the rules are rules, say what they must when they must, and read only metrics there are."""

import contextlib
import os
import re
import subprocess
import tempfile
import unittest
import urllib.request

from project import DEPLOY, PROGRAMS, Case, documents, run

PLACE = DEPLOY / "prometheus"
# What `companion-maint --metrics-file` writes, what the node exporter says of the file, and Prometheus of whom it reads.
METRICS = {
    "companion_job_last_success_timestamp_seconds",
    "companion_job_last_run_timestamp_seconds",
    "companion_job_exit_code",
    "companion_job_duration_seconds",
    "companion_disk_free_bytes",
    "companion_backup_disk_free_bytes",
    "companion_database_bytes",
    "companion_backup_bytes",
    "companion_sessions",
    "companion_checkpoints",
    "node_textfile_mtime_seconds",
    "up",
}


@contextlib.contextmanager
def server():
    """A server of its own on which each job has run, and where it listens."""
    # The backups have a disk of their own.
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory(dir="/dev/shm") as backups:
        clean = {"PATH": os.environ["PATH"], "DATA_DIR": f"{place}/data", "PORT": "0", "MIN_FREE_DISK_BYTES": "0"}
        clean["BACKUP_DIR"] = f"{backups}/kept"
        # Models that are not there are told of as well.
        clean["LLM_BASE_URL"] = "http://127.0.0.1:9/v1"
        clean |= {"EMBEDDING_BASE_URL": "http://127.0.0.1:9/v1", "EMBEDDING_MODEL_NAME": "a-model"}
        command = [PROGRAMS["companion"]]
        with subprocess.Popen(command, env=clean, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as ours:
            try:
                url = ours.stdout.readline().strip().removeprefix("Listening on ")
                for job in ("cleanup-audio", "backup-db"):
                    run(PROGRAMS["companion-maint"], job, env=clean, cwd=place).check_returncode()
                # The first request is counted after it was answered.
                urllib.request.urlopen(f"{url}/livez", timeout=30).close()
                yield url
            finally:
                ours.terminate()


def told(url):
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        return answer.read().decode()


class Rules(Case):
    def setUp(self):
        (self.document,) = documents(PLACE / "companion.rules.yml")
        self.rules = [rule for group in self.document["groups"] for rule in group["rules"]]

    def test_promtool_accepts_them(self):
        self.succeeds("promtool", "check", "rules", "--lint=all", "--lint-fatal", PLACE / "companion.rules.yml")

    def test_they_speak_and_are_silent_when_they_must(self):
        self.succeeds("promtool", "test", "rules", PLACE / "companion.rules.test.yml")

    def test_every_alert_is_tried_both_ways(self):
        (trials,) = documents(PLACE / "companion.rules.test.yml")
        tried = [trial for test in trials["tests"] for trial in test["alert_rule_test"]]
        names = {rule["alert"] for rule in self.rules}
        self.assertEqual({trial["alertname"] for trial in tried if trial.get("exp_alerts")}, names)
        self.assertEqual({trial["alertname"] for trial in tried if not trial.get("exp_alerts")}, names)

    def test_they_read_only_metrics_there_are(self):
        with server() as url:
            ours = set(re.findall(r"^# TYPE (\S+)", told(url), re.MULTILINE))
        self.assertGreater(len(ours), 15)
        for rule in self.rules:
            named = set(re.findall(r"\b(?:up|[a-z]+(?:_[a-z]+)+)\b(?=[\[{]|\s*(?:$|[<>=!)]))", rule["expr"], re.MULTILINE))
            named = {name for name in named if name == "up" or name.startswith(("companion_", "node_"))}
            self.assertTrue(named, rule["alert"])
            self.assertLessEqual(named, METRICS | ours, rule["alert"])

    def test_the_servers_metrics_are_as_prometheus_wants_them(self):
        with server() as url:
            text = told(url)
        self.assertIn('companion_job_last_outcome{job_name="backup-db",outcome="succeeded"} 1', text)
        self.succeeds("promtool", "check", "metrics", input=text)
        spoilt = text.replace("# HELP companion_sessions", "# HELPS")
        self.assertNotEqual(run("promtool", "check", "metrics", input=spoilt).returncode, 0, "it would not notice")

    def test_the_example_is_read_and_finds_the_server(self):
        self.succeeds("promtool", "check", "config", "--syntax-only", PLACE / "prometheus.yml")
        (document,) = documents(PLACE / "prometheus.yml")
        self.assertEqual(document["rule_files"], ["companion.rules.yml"])
        (scrape,) = [it for it in document["scrape_configs"] if it["job_name"] == "companion"]
        self.assertEqual(scrape["static_configs"], [{"targets": ["127.0.0.1:8000"]}])
        with server() as url, urllib.request.urlopen(url + scrape["metrics_path"], timeout=30) as answer:
            self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4")

    def test_every_alert_says_what_it_is_and_how_bad(self):
        for rule in self.rules:
            self.assertIn(rule["labels"]["severity"], ("warning", "critical"))
            self.assertIn("summary", rule["annotations"])
            self.assertIn("for", rule)


if __name__ == "__main__":
    unittest.main()
