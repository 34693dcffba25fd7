"""deploy/prometheus: the rules are rules, say what they must when they must, and read only metrics there are."""

import re
import unittest

from project import DEPLOY, Case, documents

PLACE = DEPLOY / "prometheus"
# What `companion-maint --metrics-file` writes, and what the node exporter says of the file.
METRICS = {
    "companion_job_last_success_timestamp_seconds",
    "companion_job_last_run_timestamp_seconds",
    "companion_job_exit_code",
    "companion_job_duration_seconds",
    "companion_disk_free_bytes",
    "companion_database_bytes",
    "companion_backup_bytes",
    "companion_sessions",
    "companion_checkpoints",
    "node_textfile_mtime_seconds",
}


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
        for rule in self.rules:
            named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b(?=[\[{]|\s*(?:$|[<>=!)]))", rule["expr"], re.MULTILINE))
            named = {name for name in named if name.startswith(("companion_", "node_"))}
            self.assertTrue(named, rule["alert"])
            self.assertLessEqual(named, METRICS, rule["alert"])

    def test_every_alert_says_what_it_is_and_how_bad(self):
        for rule in self.rules:
            self.assertIn(rule["labels"]["severity"], ("warning", "critical"))
            self.assertIn("summary", rule["annotations"])
            self.assertIn("for", rule)


if __name__ == "__main__":
    unittest.main()
