"""deploy/grafana: the dashboard reads only metrics and labels there are, every query is one, and it can be imported anywhere."""

import json
import re
import tempfile
import unittest
from pathlib import Path

from project import DEPLOY, Case
from test_prometheus import server, told

BOARD = DEPLOY / "grafana" / "companion.json"
CHARTS = DEPLOY.parent / "static" / "admin" / "charts.js"
# Of each series of the admin page's charts: what of a query shows the same.
SHOWN = {
    "database_bytes": "companion_database_bytes{",
    "log_bytes": "companion_log_bytes{",
    "audio_bytes": "companion_audio_bytes{",
    "backup_bytes": "companion_backup_bytes{",
    "free_bytes": "companion_disk_free_bytes{",
    "resident_bytes": "process_resident_memory_bytes{",
    "sessions": "companion_sessions{",
    "persons": "companion_persons{",
    "memories": "companion_memories{",
    "turns": "companion_turn_stage_seconds_count{",
    "requests": "sum by (status) (rate(companion_http_requests_total{",
    "failed_requests": 'status=~"500|502|504"',
    "refused_too_large": 'status=~"413"',
    "refused_too_slow": 'status=~"408"',
    "refused_too_often": 'status=~"429"',
    "refused_not_let_in": 'status=~"401|403"',
    "refused_busy": 'status=~"503"',
    "refused_disk_full": 'status=~"507"',
    "refused_connections": "companion_ended_connections_total{",
    "static_not_modified": "sum by (result) (increase(companion_static_conditional_requests_total{",
    "static_sent": "sum by (result) (increase(companion_static_conditional_requests_total{",
    "open_connections": "companion_open_connections{",
    "voice_sockets": "companion_voice_sockets{",
}
# What Grafana fills in.
FILLED_IN = {"$__rate_interval": "5m", "$instance": ".*"}
# What Prometheus itself says of every series.
OF_PROMETHEUS = {"instance", "job"}
SELECTOR = re.compile(r"\b((?:companion|process)_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|=)\s*"([^"]*)"')


def series(text):
    """What the server tells: of each metric the values of each label."""
    found = {}
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        of = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            of.setdefault(label, set()).add(value)
    return found


class Dashboard(Case):
    def setUp(self):
        self.board = json.loads(BOARD.read_text())
        self.panels = [panel for panel in self.board["panels"] if panel["type"] != "row"]
        self.targets = [(panel["title"], target) for panel in self.panels for target in panel["targets"]]

    def test_it_can_be_imported_anywhere(self):
        self.assertGreaterEqual(self.board["schemaVersion"], 42)
        variables = {one["name"]: one for one in self.board["templating"]["list"]}
        self.assertEqual((variables["datasource"]["type"], variables["datasource"]["query"]), ("datasource", "prometheus"))
        ids = [panel["id"] for panel in self.board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertIsNone(self.board.get("id"))
        for panel in self.panels:
            self.assertTrue(panel["description"], panel["title"])
            for where in (panel, *panel["targets"]):
                self.assertEqual(where["datasource"], {"type": "prometheus", "uid": "${datasource}"}, panel["title"])

    def test_no_panel_lies_on_another_one(self):
        taken = {}
        for panel in self.board["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertIsNone(taken.get((x, y)), panel["title"])
                    taken[x, y] = panel["title"]

    def test_every_query_is_one(self):
        rules = []
        for number, (_, target) in enumerate(self.targets):
            expression = target["expr"]
            for name, value in FILLED_IN.items():
                expression = expression.replace(name, value)
            self.assertNotIn("$", expression)
            rules.append({"record": f"tried:{number}", "expr": expression})
        self.assertGreater(len(rules), 20)
        with tempfile.TemporaryDirectory() as place:
            file = Path(place, "rules.yml")
            file.write_text(json.dumps({"groups": [{"name": "tried", "rules": rules}]}))
            self.succeeds("promtool", "check", "rules", file)

    def test_it_reads_only_metrics_and_labels_there_are(self):
        with server() as url:
            there = series(told(url))
        for title, target in self.targets:
            selectors = SELECTOR.findall(target["expr"])
            self.assertTrue(selectors, title)
            for name, matchers in selectors:
                self.assertIn(name, there, title)
                for label, how, value in MATCHER.findall(matchers):
                    if label in OF_PROMETHEUS:
                        continue
                    self.assertIn(label, there[name], title)
                    # There is a status only once there was an answer with it.
                    wanted = value.split("|") if how == "=~" else [value]
                    if label == "status":
                        self.assertTrue(all(re.fullmatch("[45][0-9][0-9]", one) for one in wanted), title)
                    else:
                        self.assertLessEqual(set(wanted), there[name][label], title)
            labels = OF_PROMETHEUS.union(*(there[name] for name, _ in selectors))
            by = [label for group in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in re.split(r",\s*", group)]
            shown = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            self.assertLessEqual({*by, *shown}, labels, title)
            if by:
                self.assertLessEqual(set(shown), set(by), title)

    def test_it_shows_what_the_admin_page_shows(self):
        text = " ".join(target["expr"] for _, target in self.targets)
        charts = re.findall(r'\bname: "([a-z_]+)"', CHARTS.read_text())
        self.assertGreater(len(charts), 20)
        self.assertEqual(set(charts), set(SHOWN), "a series of the page of which nothing is said here, or the other way round")
        for name in charts:
            self.assertIn(SHOWN[name], text, name)
        for name in (
            "companion_backup_disk_free_bytes",
            "companion_job_last_outcome",
            "companion_job_last_freed_bytes",
            "companion_next_cleanup",
            "companion_turns_to_learn",
            "companion_memories_to_embed",
            "companion_memory_outbox_changes",
        ):
            self.assertIn(name, text)


if __name__ == "__main__":
    unittest.main()
